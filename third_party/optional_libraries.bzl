"""The repository of C libraries that recipes and examples use, as far as they are installed.

Each library is a target that links it, or an empty target. Sources test `__has_include`. No library
of fringe depends on it.
"""

# Each library, with the header that shows that it is installed, and its name for the linker.
_LIBRARIES = {
    "expat": ("expat.h", "expat"),
    "sqlite3": ("sqlite3.h", "sqlite3"),
    "uring": ("liburing.h", "uring"),
    "zlib": ("zlib.h", "z"),
}

def _optional_libraries_impl(repository_ctx):
    targets = []
    for name, (header, library) in _LIBRARIES.items():
        installed = repository_ctx.path("/usr/include/" + header).exists
        targets.append("""
cc_library(
    name = "%s",
    linkopts = [%s],
    visibility = ["//visibility:public"],
)
""" % (name, "\"-l%s\"" % library if installed else ""))
    repository_ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_ctx.name)
    repository_ctx.file(
        "BUILD",
        "load(\"@rules_cc//cc:cc_library.bzl\", \"cc_library\")\n" + "".join(targets),
    )

optional_libraries_repository = repository_rule(
    implementation = _optional_libraries_impl,
    doc = "A target for each of a few C libraries, empty if the library is not installed.",
    local = True,
)
