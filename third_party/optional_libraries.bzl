"""The repository of C libraries that recipes and examples use, as far as they are installed.

A target with the name of the library is incompatible unless the library is installed, so that targets
that depend on it are skipped. `NAME_if_installed` is empty instead, for sources that test
`__has_include`. No library of fringe depends on either.
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
    name = "{name}",
    linkopts = ["-l{library}"],
    target_compatible_with = {compatible},
    visibility = ["//visibility:public"],
)

cc_library(
    name = "{name}_if_installed",
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
""".format(
            name = name,
            library = library,
            compatible = [] if installed else ["@fringe//platforms:never"],
            linkopts = ["-l" + library] if installed else [],
        ))
    repository_ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_ctx.name)
    repository_ctx.file(
        "BUILD",
        "load(\"@rules_cc//cc:cc_library.bzl\", \"cc_library\")\n" + "".join(targets),
    )

optional_libraries_repository = repository_rule(
    implementation = _optional_libraries_impl,
    doc = "Two targets for each of a few C libraries.",
    local = True,
)
