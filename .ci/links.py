#!/usr/bin/env python3
"""Checks every link in the Markdown documents.

    .ci/links.py [FILE.md ...]      # without arguments, all files in Git

A relative link must lead to a file or folder of the repository, and an anchor after `#` to one of
its headings. Other links must be complete https addresses. Their targets are not checked. The last
line of output is the number of links.
"""

import argparse
import os
import re
import subprocess
import sys
import urllib.parse

HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)? *$")
FENCE = re.compile(r"^ *(```+|~~~+)")
INLINE = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?[^)]*\)")
REFERENCE = re.compile(r"\[([^\[\]]+)\]\[([^\[\]]*)\]")
DEFINITION = re.compile(r"^ {0,3}\[([^\]]+)\]: *<?(\S+?)>?(?: +[\"'(].*)?$")
AUTOMATIC = re.compile(r"<([a-z]+:[^<>\s]*)>")
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


def lines_of(text):
    """Returns (number, line) of all lines outside of code blocks."""
    result = []
    fence = None
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence:
            if match and match.group(1).startswith(fence):
                fence = None
        elif match:
            fence = match.group(1)
        else:
            result.append((number, line))
    return result


def anchors_of(text):
    """Returns the anchors: a name for each heading, as GitHub creates it."""
    anchors = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    count = {}
    for _, line in lines_of(text):
        match = HEADING.match(line)
        if not match:
            continue
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1))
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count[name] = count.get(name, -1) + 1
        anchors.add(f"{name}-{count[name]}" if count[name] else name)
    return anchors


def links_of(text):
    """Returns (line number, target) of all links, and errors for undefined references."""
    links = []
    remarks = []
    lines = [(number, CODE.sub("", line)) for number, line in lines_of(text)]
    defined = {}
    for number, line in lines:
        match = DEFINITION.match(line)
        if match:
            defined[match.group(1).lower()] = match.group(2)
            links.append((number, match.group(2)))
    # An inline link may span lines, so the search covers whole paragraphs.
    start = 0
    while start < len(lines):
        end = start
        while end < len(lines) and lines[end][1].strip():
            end += 1
        paragraph = "\n".join(line for _, line in lines[start:end])
        for pattern in (INLINE, AUTOMATIC):
            for match in pattern.finditer(paragraph):
                number = lines[start + paragraph.count("\n", 0, match.start())][0]
                links.append((number, match.group(1)))
        for match in REFERENCE.finditer(paragraph):
            if (match.group(2) or match.group(1)).lower() not in defined:
                number = lines[start + paragraph.count("\n", 0, match.start())][0]
                remarks.append((number, f"{match.group(0)} is not defined."))
        start = max(end, start + 1)
    return links, remarks


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def check(document, target, known):
    """Returns what is wrong with a link, or None."""
    address = urllib.parse.urlsplit(target)
    if address.scheme or target.startswith("//"):
        whole = address.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", address.netloc)
        return None if whole else f"{target} is not a complete https address."
    path = urllib.parse.unquote(address.path)
    if path.startswith("/"):
        return f"{target} must be relative to the document."
    file = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
    if file not in known:
        return f"{target} does not exist in the repository."
    if address.fragment and not file.endswith(".md"):
        return f"{target} has an anchor, but the file has no headings."
    if address.fragment and urllib.parse.unquote(address.fragment) not in anchors_of(read(file)):
        return f"{target}: {file} has no such heading."
    return None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE.md")
    files = parser.parse_args().files
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]
        + ["--exclude-standard"],
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    known = {name for name in listed.split("\0") if name and os.path.exists(name)}
    documents = files or sorted(name for name in known if name.endswith(".md"))
    folders = {"."}
    for name in known:
        while os.path.dirname(name):
            name = os.path.dirname(name)
            folders.add(name)
    count = 0
    remarks = []
    for document in documents:
        links, wrong = links_of(read(document))
        remarks += [f"{document}:{number}: {sentence}" for number, sentence in wrong]
        for number, target in links:
            count += 1
            sentence = check(document, target, known | folders)
            if sentence:
                remarks.append(f"{document}:{number}: {sentence}")
    if remarks:
        print(*remarks, sep="\n", file=sys.stderr)
        sys.exit(f"links: {len(remarks)} of {count} links are wrong.")
    if not count:
        sys.exit("links: no links were found, so the check is wrong.")
    print(f"{count} links in {len(documents)} documents")


main()
