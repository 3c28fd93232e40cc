"""Rules of C++ that choose the stack of generators which name none, and stacks of one's own.

```
load("@fringe//:defs.bzl", "fringe_cc_binary")

fringe_cc_binary(
    name = "server",
    srcs = ["server.cc"],
    stack = "@fringe//stacks:pooled_stack",
    deps = ["@fringe//fringe:generator"],
)
```

`stack` is a `fringe_stack`: `@fringe//stacks:os_stack`, `:pooled_stack`, `:malloc_stack`, or one of
your own. One that is not guarded needs `unguarded_stack = True` beside it. Without `stack` each rule
is the plain one of rules_cc.
"""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//stacks:stack.bzl", "default_stack_choice", _fringe_stack = "fringe_stack")

fringe_stack = _fringe_stack

def fringe_cc_binary(
        name,
        stack = None,
        unguarded_stack = False,
        stack_malloc = None,
        **kwargs):
    """A `cc_binary` with a default stack of its own, which is that of every library in it too.

    Libraries are compiled once for each default stack among the binaries of a build.

    Args:
      name: the binary.
      stack: a label of a `fringe_stack`; without, what stands behind `//flags:default_stack`.
      unguarded_stack: whether it may be a stack whose overflow corrupts memory.
      stack_malloc: the heap of every `MallocStack` in it, "system" or "jemalloc"; without, that of
        `//flags:malloc`.
      **kwargs: as of `cc_binary`. Before Bazel 5.3, `env` is for `cc_test` only.
    """
    _on_stack(cc_binary, _binary_on_stack, name, stack, unguarded_stack, stack_malloc, kwargs)

def fringe_cc_test(
        name,
        stack = None,
        unguarded_stack = False,
        stack_malloc = None,
        **kwargs):
    """A `cc_test` with a default stack of its own, which is that of every library in it too.

    Args:
      name: the test.
      stack: as of `fringe_cc_binary`.
      unguarded_stack: as of `fringe_cc_binary`.
      stack_malloc: as of `fringe_cc_binary`.
      **kwargs: as of `cc_test`.
    """
    _on_stack(cc_test, _on_stack_test, name, stack, unguarded_stack, stack_malloc, kwargs)

def fringe_cc_library(name, stack = None, unguarded_stack = False, **kwargs):
    """A `cc_library` whose sources have a default stack of their own, whichever binary it is in.

    What it depends on keeps the binary's, and so do sources that include its headers: a header that
    takes or returns a generator has to name the stack's type.

    Args:
      name: the library.
      stack: as of `fringe_cc_binary`, but not a `select`.
      unguarded_stack: as of `fringe_cc_binary`.
      **kwargs: as of `cc_library`.
    """
    if not stack:
        _require_stack(name, unguarded_stack)
        cc_library(name = name, **kwargs)
        return
    if "srcs" not in kwargs:
        fail("fringe_cc_library %s has no srcs: nothing in it is compiled with its `stack`." % name)
    choice = name + "_default_stack_choice"
    default_stack_choice(
        name = choice,
        stack = stack,
        tags = ["manual"],
        testonly = kwargs.get("testonly"),
        unguarded = unguarded_stack,
        visibility = ["//visibility:private"],
    )
    path = "/".join([part for part in [native.package_name(), choice + ".h"] if part])
    cc_library(
        name = name,
        srcs = kwargs.pop("srcs") + [choice],
        local_defines = kwargs.pop("local_defines", []) + [
            "FRINGE_DEFAULT_STACK_CHOICE=\\\"%s\\\"" % path,
        ],
        deps = kwargs.pop("deps", []) + [stack],
        **kwargs
    )

# --- What a binary or a test with a stack is made of ----------------------------------------------

# Labels in the form that a transition wants, whatever the name of this repository is in the build.
_DEFAULT_STACK = str(Label("//flags:default_stack"))
_UNGUARDED = str(Label("//flags:unguarded_default_stack"))
_MALLOC = str(Label("//flags:malloc"))

# What belongs to the target that a user runs; anything else belongs to the program.
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

# What belongs to both.
_BOTH = [
    "compatible_with",
    "exec_compatible_with",
    "restricted_to",
    "target_compatible_with",
    "testonly",
]

def _require_stack(name, unguarded_stack):
    if unguarded_stack:
        fail("%s says `unguarded_stack`, which is about a `stack`, and names none." % name)

def _on_stack(plain_rule, outer_rule, name, stack, unguarded_stack, stack_malloc, kwargs):
    """Declares the program itself in a folder of its own, and `name`, which builds it with `stack`."""
    if not stack:
        _require_stack(name, unguarded_stack)
        if not stack_malloc:
            plain_rule(name = name, **kwargs)
            return
    tags = kwargs.pop("tags", [])
    outer = {key: kwargs.pop(key) for key in _OUTER if key in kwargs}
    outer.update({key: kwargs[key] for key in _BOTH if key in kwargs})

    # The last part is what the program sees as its name, and what a shared library is called.
    program = "on_stack/" + name
    plain_rule(
        name = program,
        # Only `name` is built for the sake of `//...`: this one would have another stack there.
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
    # A list, as of every attribute with a transition, in the Bazels that do so.
    program = ctx.attr.program
    program = (program[0] if type(program) == "list" else program)[DefaultInfo]
    file = program.files_to_run.executable

    # With the extension that the system asks for.
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
        doc = "As of the program; built as the build says, not with `stack`.",
        allow_files = True,
    ),
    "env": attr.string_dict(doc = "As of the program."),
    "env_inherit": attr.string_list(doc = "As of the program."),
    "program": attr.label(
        doc = "What is built with `stack`.",
        cfg = _stack_transition,
        executable = True,
        mandatory = True,
    ),
    "stack": attr.label(doc = "The default stack; without, that of the build."),
    "stack_malloc": attr.string(doc = "The heap of stacks; without, that of the build."),
    "unguarded_stack": attr.bool(
        doc = "Whether it may be a stack whose overflow is not certain to fault.",
    ),
    "_allowlist_function_transition": attr.label(
        default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
    ),
}

_binary_on_stack = rule(
    implementation = _on_stack_impl,
    attrs = _ATTRIBUTES,
    doc = "A program that is built with a default stack of its own.",
    executable = True,
)

_on_stack_test = rule(
    implementation = _on_stack_impl,
    attrs = _ATTRIBUTES,
    doc = "A test that is built with a default stack of its own.",
    test = True,
)
