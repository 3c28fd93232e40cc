#!/usr/bin/env python3
"""Converts the comments of a header to Doxygen's form.

    filter.py HEADER

Prints the header with the same number of lines, so that warnings have the right line numbers:

  * A block of `//` above a declaration becomes `///`. It documents each of the consecutive one-line
    declarations below it. The first block documents the file.
  * A comment behind a member becomes `///<`. * The labels of the house style (Requires, Returns,
  Errors, Cost, Thread safety) begin sections. * Indented lines after an empty line are code, unless
  they are a list. * Deleted functions are omitted. So are the namespace of the build mode, which
  users do not name, and
    specialisations of templates of the standard library.
"""

import re
import sys

# The Doxyfile defines the commands that Doxygen lacks.
LABELS = {
    "Requires": "@pre",
    "Requires, of both": "@pre",
    "Returns": "@return",
    "Errors": "@errors",
    "Cost": "@cost",
    "Thread safety": "@threads",
}
LABEL = re.compile(f"({'|'.join(LABELS)}): ")
OTHERS = re.compile(r"^template <.*>\ninline constexpr bool std::[^;]*;$", re.MULTILINE)
COMMENT = re.compile(r"(\s*)//(?!/)( ?)(.*)")

# What follows a block that documents nothing.
NO_DECLARATION = re.compile(r"\s*(#|\}|public:|private:|protected:|static_assert|namespace|$)")
CONDITIONAL_TEMPLATE = re.compile(r"#if .*\ntemplate <")
ONE_LINE = re.compile(r"\s*(?!//)\S.*[;}]$")


def convert(texts):
    """Returns the lines of a comment in Doxygen's form."""
    result = []
    in_code = False
    for index, text in enumerate(texts):
        following = texts[index + 1] if index + 1 < len(texts) else None
        if not text and following and not in_code and re.match(r"  +[^ *]", following):
            in_code = True
            text = "@code{.cpp}"
        elif in_code and following is None:
            text += " @endcode"
        elif in_code and not text and not following.startswith("  "):
            in_code = False
            text = "@endcode"
        elif not in_code:
            text = LABEL.sub(lambda match: LABELS[match.group(1)] + " ", text, count=1)
        result.append(text)
    return result


def convert_file(lines):
    result = []
    shared = None  # documents the next line too, if that is a one-line declaration
    index = 0
    while index < len(lines):
        line = lines[index]
        comment = COMMENT.match(line)
        if comment:
            end = index
            while end < len(lines) and COMMENT.match(lines[end]):
                end += 1
            block = [COMMENT.match(text).group(3) for text in lines[index:end]]
            documents = end < len(lines) and not NO_DECLARATION.match(lines[end])
            # The parameters of a template may depend on the build.
            documents |= CONDITIONAL_TEMPLATE.match("\n".join(lines[end : end + 2])) is not None
            if index == 0:
                block[0] = "@headerfile_ " + block[0]
            if documents or index == 0:
                texts = convert(block)
                result += [f"{comment.group(1)}/// {text}".rstrip() for text in texts]
                shared = " ".join(texts) if documents and ONE_LINE.match(lines[end]) else None
            else:
                result += lines[index:end]
            index = end
            if documents:
                result.append(lines[end])
                index += 1
            continue
        if not ONE_LINE.match(line):
            shared = None
        if "namespace FRINGE_ABI" in line or line.endswith(" = delete;"):
            line = ""
        behind = re.sub(r"(?<=[;,]) +// (?=\S)", " ///< ", line)
        result.append(f"/** {shared} */ {line}" if shared and behind == line else behind)
        index += 1
    return result


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = OTHERS.sub(lambda match: "\n" * match.group(0).count("\n"), file.read())
    print("\n".join(convert_file(text.splitlines())))


main()
