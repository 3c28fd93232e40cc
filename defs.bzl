"""C++ rules with a default stack, and `fringe_stack` for custom stacks.

```
load("@fringe//:defs.bzl", "fringe_cc_binary")

fringe_cc_binary(
    name = "server",
    srcs = ["server.cc"],
    stack = "@fringe//stacks:pooled_stack",
    deps = ["@fringe//fringe:generator"],
)
```

`stack` is a `fringe_stack`: `@fringe//stacks:os_stack`, `:pooled_stack`, `:malloc_stack`, or your
own. A stack without a guard also needs `unguarded_stack = True`. If `stack` is not set, each rule
is the plain rule of rules_cc.
"""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//stacks:stack.bzl", "all_headers", "default_stack_choice", _fringe_stack = "fringe_stack")

fringe_stack = _fringe_stack

def fringe_cc_binary(
        name,
        stack = None,
        unguarded_stack = False,
        stack_malloc = None,
        **kwargs):
    """A `cc_binary` with its own default stack, which applies to every library in it too.

    Libraries are compiled once for each default stack among the binaries of a build.

    Args:
      name: the binary.
      stack: the label of a `fringe_stack`. The default is the value of `//flags:default_stack`.
      unguarded_stack: whether to allow a stack whose overflow corrupts memory.
      stack_malloc: the heap of every `MallocStack` in it, "system" or "jemalloc". The default is
        the value of `//flags:malloc`.
      **kwargs: as for `cc_binary`. Before Bazel 5.3, `env` is for `cc_test` only.
    """
    _on_stack(cc_binary, _binary_on_stack, name, stack, unguarded_stack, stack_malloc, kwargs)

def fringe_cc_test(
        name,
        stack = None,
        unguarded_stack = False,
        stack_malloc = None,
        **kwargs):
    """A `cc_test` with its own default stack, which applies to every library in it too.

    Args:
      name: the test.
      stack: as for `fringe_cc_binary`.
      unguarded_stack: as for `fringe_cc_binary`.
      stack_malloc: as for `fringe_cc_binary`.
      **kwargs: as for `cc_test`.
    """
    _on_stack(cc_test, _on_stack_test, name, stack, unguarded_stack, stack_malloc, kwargs)

def fringe_cc_library(
        name,
        stack = None,
        unguarded_stack = False,
        stack_for_srcs_only = False,
        **kwargs):
    """A `cc_library` whose sources have their own default stack, in any binary.

    Its dependencies keep the default stack of the binary, and so do sources that include its
    headers. A header that mentions a generator must therefore name the stack's type: otherwise the
    two would disagree on the type, and corrupt memory. So its `hdrs`, and those of its dependencies,
    are also compiled without a default stack: each must compile alone.

    Args:
      name: the library.
      stack: as for `fringe_cc_binary`, but not a `select`.
      unguarded_stack: as for `fringe_cc_binary`.
      stack_for_srcs_only: a promise that each generator in `hdrs` names its stack. A library with
        `stack` and headers must make it.
      **kwargs: as for `cc_library`.
    """
    if not stack:
        _require_stack(name, unguarded_stack)
        if stack_for_srcs_only:
            fail("%s sets `stack_for_srcs_only` but not `stack`: remove it, or set `stack`." % name)
        cc_library(name = name, **kwargs)
        return
    if "srcs" not in kwargs:
        fail("fringe_cc_library %s has a `stack` but no `srcs`: add sources, or remove `stack`." % name)
    if (kwargs.get("hdrs") or kwargs.get("textual_hdrs")) and not stack_for_srcs_only:
        fail(("fringe_cc_library %s has headers and a `stack`, which is not the default in files that " +
              "include them: name the stack of each generator in the headers, and set " +
              "`stack_for_srcs_only = True`.") % name)
    choice = name + "_default_stack_choice"
    default_stack_choice(
        name = choice,
        stack = stack,
        tags = ["manual"],
        testonly = kwargs.get("testonly"),
        unguarded = unguarded_stack,
        visibility = ["//visibility:private"],
    )
    srcs = kwargs.pop("srcs")
    deps = kwargs.pop("deps", [])
    local_defines = kwargs.pop("local_defines", [])
    hdrs = kwargs.get("hdrs") or []
    both = {key: kwargs[key] for key in _LIBRARY_BOTH if key in kwargs}
    if "include_prefix" in kwargs or "strip_include_prefix" in kwargs:
        both["hdrs"] = hdrs

    # The check includes headers of dependencies of dependencies.
    both["features"] = kwargs.get("features", []) + ["-layering_check"]

    # Compiles the headers without a default stack.
    check = name + "_headers_must_name_their_stacks"
    all_headers(
        name = check + "_",
        srcs = srcs,
        hdrs = hdrs,
        tags = ["manual"],
        testonly = kwargs.get("testonly"),
        visibility = ["//visibility:private"],
        deps = deps + kwargs.get("implementation_deps", []),
    )
    cc_library(
        name = check,
        srcs = [check + "_"],
        local_defines = local_defines + ["FRINGE_HEADERS_NAME_THEIR_STACKS"],
        tags = ["manual"],
        visibility = ["//visibility:private"],
        deps = deps,
        **both
    )
    path = "/".join([part for part in [native.package_name(), choice + ".h"] if part])
    cc_library(
        name = name,
        srcs = srcs + [choice],
        local_defines = local_defines + ["FRINGE_DEFAULT_STACK_CHOICE=\\\"%s\\\"" % path],
        deps = deps + [stack, check],
        **kwargs
    )

# Attributes of a library that the check of its headers has too.
_LIBRARY_BOTH = [
    "compatible_with",
    "copts",
    "defines",
    "implementation_deps",
    "include_prefix",
    "includes",
    "restricted_to",
    "strip_include_prefix",
    "target_compatible_with",
    "testonly",
    "textual_hdrs",
    "toolchains",
]

# --- Implementation of a binary or a test with a stack --------------------------------------------

# Labels in the form that transitions require, for any name of this repository.
_DEFAULT_STACK = str(Label("//flags:default_stack"))
_UNGUARDED = str(Label("//flags:unguarded_default_stack"))
_MALLOC = str(Label("//flags:malloc"))

# Attributes of the target that a user runs. All others belong to the program.
_OUTER = [
    "args",
    "data",
    "deprecation",
    "env",
    "env_inherit",
    "flaky",
    "local",
    "shard_count",
    "size",
    "timeout",
    "visibility",
]

# Attributes of both.
_BOTH = [
    "compatible_with",
    "exec_compatible_with",
    "restricted_to",
    "target_compatible_with",
    "testonly",
]

def _require_stack(name, unguarded_stack):
    if unguarded_stack:
        fail("%s sets `unguarded_stack` but not `stack`: set `stack`, or remove `unguarded_stack`." % name)

def _on_stack(plain_rule, outer_rule, name, stack, unguarded_stack, stack_malloc, kwargs):
    """Declares the program in its own folder, and `name`, which builds it with `stack`."""
    if not stack:
        _require_stack(name, unguarded_stack)
        if not stack_malloc:
            plain_rule(name = name, **kwargs)
            return
    tags = kwargs.pop("tags", [])
    outer = {key: kwargs.pop(key) for key in _OUTER if key in kwargs}
    outer.update({key: kwargs[key] for key in _BOTH if key in kwargs})

    # The last component is the name that the program sees, and the name of a shared library.
    program = "on_stack/" + name
    plain_rule(
        name = program,
        # `//...` builds only `name`: this target would have another stack there.
        tags = tags + ["manual"],
        visibility = ["//visibility:private"],
        **kwargs
    )
    outer_rule(
        name = name,
        program = program,
        stack = stack,
        stack_malloc = stack_malloc,
        tags = tags,
        unguarded_stack = unguarded_stack,
        **outer
    )

def _stack_transition_impl(settings, attr):
    chosen = dict(settings)
    if attr.stack:
        chosen[_DEFAULT_STACK] = attr.stack
        chosen[_UNGUARDED] = attr.unguarded_stack
    if attr.stack_malloc:
        chosen[_MALLOC] = attr.stack_malloc
    return chosen

_stack_transition = transition(
    implementation = _stack_transition_impl,
    inputs = [
        _DEFAULT_STACK,
        _MALLOC,
        _UNGUARDED,
    ],
    outputs = [
        _DEFAULT_STACK,
        _MALLOC,
        _UNGUARDED,
    ],
)

def _expand(ctx, value):
    return ctx.expand_make_variables("env", ctx.expand_location(value, ctx.attr.data), {})

def _on_stack_impl(ctx):
    # Some versions of Bazel pass a list for an attribute with a transition.
    program = ctx.attr.program
    program = (program[0] if type(program) == "list" else program)[DefaultInfo]
    file = program.files_to_run.executable

    # Keeps the extension that the system requires.
    last = ctx.label.name.split("/")[-1]
    executable = ctx.actions.declare_file(ctx.label.name + file.basename[len(last):])
    ctx.actions.symlink(output = executable, target_file = file, is_executable = True)
    runfiles = ctx.runfiles([executable], transitive_files = depset(ctx.files.data))
    for data in ctx.attr.data:
        runfiles = runfiles.merge(data[DefaultInfo].default_runfiles)
    providers = [
        DefaultInfo(
            executable = executable,
            files = depset([executable]),
            runfiles = runfiles.merge(program.default_runfiles),
        ),
        coverage_common.instrumented_files_info(ctx, dependency_attributes = ["program", "data"]),
    ]
    if ctx.attr.env or ctx.attr.env_inherit:
        env = {key: _expand(ctx, value) for key, value in ctx.attr.env.items()}
        if ctx.attr.env_inherit:
            # Bazel 4 has no second parameter.
            providers.append(testing.TestEnvironment(env, ctx.attr.env_inherit))
        else:
            providers.append(testing.TestEnvironment(env))
    return providers

_ATTRIBUTES = {
    "data": attr.label_list(
        doc = "As for the program. Built without `stack`.",
        allow_files = True,
    ),
    "env": attr.string_dict(doc = "As for the program."),
    "env_inherit": attr.string_list(doc = "As for the program."),
    "program": attr.label(
        doc = "The target to build with `stack`.",
        cfg = _stack_transition,
        executable = True,
        mandatory = True,
    ),
    "stack": attr.label(doc = "The default stack. If not set, that of the build."),
    "stack_malloc": attr.string(doc = "The heap of stacks. If not set, that of the build."),
    "unguarded_stack": attr.bool(
        doc = "Whether to allow a stack whose overflow is not certain to fault.",
    ),
    "_allowlist_function_transition": attr.label(
        default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
    ),
}

_binary_on_stack = rule(
    implementation = _on_stack_impl,
    attrs = _ATTRIBUTES,
    doc = "A program that is built with its own default stack.",
    executable = True,
)

_on_stack_test = rule(
    implementation = _on_stack_impl,
    attrs = _ATTRIBUTES,
    doc = "A test that is built with its own default stack.",
    test = True,
)
