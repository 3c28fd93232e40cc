"""Tests in which `MallocStack` uses another heap than in the rest of the build."""

def _malloc_transition_impl(_settings, attr):
    return {"//flags:malloc": attr.malloc}

_malloc_transition = transition(
    implementation = _malloc_transition_impl,
    inputs = [],
    outputs = ["//flags:malloc"],
)

def _malloc_test_impl(ctx):
    # A transition makes its attribute a list.
    binary = ctx.attr.binary[0][DefaultInfo]
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = executable,
        target_file = binary.files_to_run.executable,
        is_executable = True,
    )
    return [DefaultInfo(executable = executable, runfiles = binary.default_runfiles)]

malloc_test = rule(
    implementation = _malloc_test_impl,
    attrs = {
        "binary": attr.label(
            doc = "The program: a cc_test, or a cc_binary that is one.",
            cfg = _malloc_transition,
            executable = True,
            mandatory = True,
        ),
        "malloc": attr.string(
            doc = "What `//flags:malloc` is for it.",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    doc = "Runs a program that is built with a setting of `//flags:malloc` as a test.",
    test = True,
)
