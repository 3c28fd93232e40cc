"""Constraint values of CPUs for which not every Bazel has a name."""

# Where fringe is a module, @platforms is as new as MODULE.bazel says. There only are these in the
# names of other modules' repositories.
_IS_MODULE = [mark for mark in "~+".elems() if mark in str(Label("@rules_cc//cc"))] != []

def cpu(name, cpu):
    """Declares a CPU by the name that @platforms has for it, or by one of our own where that has none.

    Bazel 4 comes with an @platforms of its own, which is old.

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
