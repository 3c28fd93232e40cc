#!/usr/bin/env python3
"""Packs fringe for use without Bazel.

    make_package.py version MODULE
    make_package.py soname MODULE OUTPUT
    make_package.py archive MODULE FOLDER --archiver=... --shared=... --objects ...

MODULE is MODULE.bazel. The first form prints its version; all other scripts use this. The second
writes the linker flag with the name of the shared library. The third creates
FOLDER/fringe-VERSION.tar.gz, whose bytes depend only on its inputs. //packaging:package.bzl calls
the last two.
"""

import argparse
import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile

# The time of every file in the archive: 1 January 1980, which every tool accepts.
TIME = 315532800

# Defines the default stack. The build generates it for its own output tree.
CHOICE = "stacks/fringe_default_stack_choice.h"

# The folder of the documents in the archive.
DOCUMENTS = "share/doc/fringe"

# A link in a document.
LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")

INCLUDE = re.compile(r'^#include "([^"]*)"$', re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def read_version(module):
    """Returns the version in MODULE.bazel."""
    call = re.search(r"^module\(.*?^\)", read(module), re.MULTILINE | re.DOTALL)
    version = call and re.search(r'^    version = "(\d+\.\d+\.\d+)",$', call.group(0), re.MULTILINE)
    if not version:
        sys.exit(f'make_package: {module} has no `version = "MAJOR.MINOR.PATCH",` in its module().')
    return version.group(1)


def interface_of(version):
    """Returns the part of a version that breaking changes increase: before 1.0, the minor version too."""
    major, minor, _ = version.split(".")
    return f"0.{minor}" if major == "0" else major


class Archive:
    """The contents of an archive, by path: the bytes of a file, or the target of a link."""

    def __init__(self, root):
        self.root = root
        self.files = {}
        self.links = {}

    def write(self, path):
        folders = set()
        for name in [*self.files, *self.links]:
            parts = f"{self.root}/{name}".split("/")[:-1]
            folders.update("/".join(parts[: i + 1]) for i in range(len(parts)))
        members = {folder: self.member(folder, tarfile.DIRTYPE, 0o755) for folder in folders}
        for name, content in self.files.items():
            member = self.member(f"{self.root}/{name}", tarfile.REGTYPE, 0o644)
            member.size = len(content)
            members[member.name] = member
        for name, target in self.links.items():
            member = self.member(f"{self.root}/{name}", tarfile.SYMTYPE, 0o777)
            member.linkname = target
            members[member.name] = member
        with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as zipped:
            with tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for name, member in sorted(members.items()):
                    content = self.files.get(name[len(self.root) + 1 :])
                    tar.addfile(member, None if content is None else io.BytesIO(content))

    @staticmethod
    def member(name, kind, mode):
        member = tarfile.TarInfo(name)
        member.type = kind
        member.mode = mode
        member.mtime = TIME
        member.uname = member.gname = "root"
        return member


def reachable(public, headers):
    """Returns the headers `public` and all that they include from fringe, by path, with their text.

    `headers` maps the path of each header to its file.
    """
    found = {}
    wanted = list(public)
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        text = read(headers[path])
        if path == CHOICE:
            text = INCLUDE.sub(lambda match: f'#include "{os.path.basename(match.group(1))}"', text)
        found[path] = text
        for included in INCLUDE.findall(text):
            beside = os.path.normpath(os.path.join(os.path.dirname(path), included))
            wanted += [name for name in (beside, included) if name in headers][:1]
    return found


def archive_of(arguments):
    """Packs the objects into a static library and returns its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "libfringe.a")
        # Deterministic, and allows two objects with the same name.
        subprocess.run([arguments.archiver, "qcsD", path, *arguments.objects], check=True)
        with open(path, "rb") as file:
            return file.read()


def with_links(text, name, documents, headers, interface):
    """Returns the text of a document, whose links lead to files of the package.

    Documents keep their places to one another. A link to a header leads to that of the package. What
    is not in the package becomes plain text.
    """

    def replace(match):
        title, target = match.groups()
        path, _, _ = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        if "://" in target or file in documents:
            return match.group(0)
        if file in headers:
            header = f"include/fringe-{interface}/{file}"
            return f"[{title}]({os.path.relpath(header, os.path.dirname(f'{DOCUMENTS}/{name}'))})"
        return title

    blocks = text.split("```")
    blocks[::2] = [LINK.sub(replace, block) for block in blocks[::2]]
    return "```".join(blocks)


def pack(arguments):
    version = read_version(arguments.module)
    interface = interface_of(version)
    headers = dict(header.split("=", 1) for header in arguments.headers)
    with open(arguments.shared, "rb") as file:
        shared = file.read()
    values = {
        "VERSION": version,
        "INTERFACE": interface,
        "POINTER_BYTES": {1: "4", 2: "8"}[shared[4]],  # the class of an ELF file
        "DEFINES": ";".join(arguments.defines),
        "DEFINE_FLAGS": "".join(f" -D{define}" for define in arguments.defines),
    }

    archive = Archive(f"fringe-{version}")
    reachable_headers = reachable(arguments.public, headers)
    for path, text in reachable_headers.items():
        archive.files[f"include/fringe-{interface}/{path}"] = text.encode()
    archive.files["lib/libfringe.a"] = archive_of(arguments)
    archive.files[f"lib/libfringe.so.{version}"] = shared
    archive.links[f"lib/libfringe.so.{interface}"] = f"libfringe.so.{version}"
    archive.links["lib/libfringe.so"] = f"libfringe.so.{interface}"
    for path in arguments.templates:
        name = os.path.basename(path)[: -len(".in")]
        text = re.sub(r"@([A-Z_]+)@", lambda match: values[match.group(1)], read(path))
        folder = "pkgconfig" if name.endswith(".pc") else "cmake/fringe"
        archive.files[f"lib/{folder}/{name}"] = text.encode()
    root = os.path.dirname(arguments.module)
    documents = {os.path.relpath(path, root or "."): path for path in arguments.documents}
    for name, path in documents.items():
        text = read(path)
        if name.endswith(".md"):
            text = with_links(text, name, documents, reachable_headers, interface)
        archive.files[f"{DOCUMENTS}/{name}"] = text.encode()
    archive.write(os.path.join(arguments.output, f"fringe-{version}.tar.gz"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["version", "soname", "archive"])
    parser.add_argument("module")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--archiver")
    parser.add_argument("--shared")
    for name in ["objects", "defines", "documents", "templates", "public", "headers"]:
        parser.add_argument("--" + name, nargs="+", default=[])
    arguments = parser.parse_args()
    if arguments.command == "archive":
        pack(arguments)
        return
    version = read_version(arguments.module)
    if arguments.command == "version":
        print(version)
        return
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.write(f"-soname=libfringe.so.{interface_of(version)}\n")


main()
