"""Constraint values for CPUs that some versions of Bazel lack."""

# If fringe is a module, MODULE.bazel determines the version of @platforms. Only then do the names
# of other modules' repositories contain these characters.
_IS_MODULE = [mark for mark in "~+".elems() if mark in str(Label("@rules_cc//cc"))] != []

def cpu(name, cpu):
    """Declares a CPU by its name in @platforms, or as a new constraint value if @platforms lacks it.

    Bazel 4 has a built-in, old @platforms.

    Args:
      name: the constraint value.
      cpu: how newer ones name the CPU.
    """
    if _IS_MODULE:
        native.alias(
            name = name,
            actual = "@platforms//cpu:" + cpu,
        )
    else:
        native.constraint_value(
            name = name,
            constraint_setting = "@platforms//cpu",
        )
