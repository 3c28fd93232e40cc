"""Stacks as targets: what makes one, and how one becomes the default."""

load("@rules_cc//cc:cc_library.bzl", "cc_library")

# What `default_stack_choice` has to know of a stack travels in tags of its library: so a stack is an
# ordinary `cc_library`, which every Bazel and every other tool knows.
_TAG = "fringe_stack."

_StackInfo = provider(
    doc = "How to declare and to create a stack.",
    fields = {
        "bytes": "A C++ expression for how large a default stack is.",
        "create": "A C++ expression for a new stack of `kBytes`.",
        "header": "The header with its type.",
        "type": "The C++ type.",
    },
)

def fringe_stack(name, type, hdrs, create = None, bytes = "256 << 10", tags = [], **kwargs):
    """Declares a `cc_library` with a stack that can be the default.

    ```
    fringe_stack(
        name = "arena_stack",
        hdrs = ["arena_stack.h"],
        type = "game::ArenaStack",
        deps = ["@fringe//stacks:stack"],
    )
    ```

    It can then be the `stack` of `fringe_cc_binary` and its like, and stand behind
    `//flags:default_stack`. It must not depend on `@fringe//fringe:generator`, which depends on
    whatever stack is the default.

    Args:
      name: the library.
      type: the C++ type, a `fringe::Stack`, with its namespaces.
      hdrs: as of `cc_library`; the first declares the type.
      create: a C++ expression for a new stack. It may give the stack itself, an `absl::StatusOr`
        of it, or what is false where there is none and is dereferenced where there is, such as
        `std::optional`. `kBytes` is how large it is to be. By default, `TYPE::Create(kBytes)`.
      bytes: a C++ expression for how large a default stack is, in bytes.
      tags: as of any target.
      **kwargs: as of `cc_library`.
    """
    cc_library(
        name = name,
        hdrs = hdrs,
        tags = tags + [
            _TAG + "type=::" + type,
            _TAG + "create=" + (create or "::%s::Create(kBytes)" % type),
            _TAG + "bytes=" + bytes,
        ],
        **kwargs
    )

def _stack_aspect_impl(_target, ctx):
    found = {}
    for tag in getattr(ctx.rule.attr, "tags", []):
        if tag.startswith(_TAG):
            key, _, value = tag[len(_TAG):].partition("=")
            found[key] = value
    if not found:
        return []
    return [_StackInfo(header = ctx.rule.files.hdrs[0], **found)]

_stack_aspect = aspect(
    implementation = _stack_aspect_impl,
    doc = "Reads the tags of `fringe_stack`.",
)

_CHOICE = """\
// Written by the build: {label} is the default stack.

#ifndef FRINGE_DEFAULT_STACK_CHOICE_H_
#define FRINGE_DEFAULT_STACK_CHOICE_H_

#include <cstddef>

#include "{header}"

// Whether the build says that an overflow need not fault.
#define FRINGE_UNGUARDED_DEFAULT_STACK {unguarded}

namespace fringe::internal {{

// Translation units with another default stack have a struct of another name.
struct {struct} {{
  using Type = {type};
  static constexpr std::size_t kBytes = {bytes};
  static auto Create() {{ return {create}; }}
}};

using DefaultStackChoice = {struct};

}}  // namespace fringe::internal

#endif  // FRINGE_DEFAULT_STACK_CHOICE_H_
"""

def _identifier(text):
    """Makes an identifier of C++ that no other text gives."""
    return "".join([
        character if character.isalnum() else "_%d_" % hash(character)
        for character in text.elems()
    ])

def _default_stack_choice_impl(ctx):
    stack = ctx.attr.stack
    if _StackInfo not in stack:
        fail(("%s is no stack that fringe can create: declare it with `fringe_stack` of " +
              "@fringe//:defs.bzl.") % stack.label)
    info = stack[_StackInfo]
    name = _identifier(str(stack.label))
    header = ctx.actions.declare_file(ctx.label.name + ".h")
    ctx.actions.write(header, _CHOICE.format(
        bytes = info.bytes,
        create = info.create,
        # Relative to where it is included: no other folder of that name can be meant, and the root
        # of the build is not searched for the sources of every repository.
        header = "../" * len(header.dirname.split("/")) + info.header.path,
        label = stack.label,
        struct = "DefaultStackChoice_" + name,
        type = info.type,
        unguarded = 1 if ctx.attr.unguarded else 0,
    ))
    return DefaultInfo(files = depset([header]))

default_stack_choice = rule(
    implementation = _default_stack_choice_impl,
    doc = "The header that tells `default_stack.h` which stack is the default.",
    attrs = {
        "stack": attr.label(
            doc = "A `fringe_stack`.",
            aspects = [_stack_aspect],
            mandatory = True,
        ),
        "unguarded": attr.bool(
            doc = "Whether it may be a stack whose overflow is not certain to fault.",
        ),
    },
)
