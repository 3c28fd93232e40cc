"""The repository of libraries that recipes, examples and benchmarks use, as far as they are installed.

A target with the name of the library is incompatible unless the library is installed, so that targets
that depend on it are skipped. `NAME_if_installed` is empty instead, for sources that test
`__has_include`, or FRINGE_HAS_NAME, which it defines. No library of fringe depends on either.
"""

load(":system_repository.bzl", "installed_libraries")

# Each library, with the header that shows that it is installed, and its name for the linker.
_LIBRARIES = {
    "boost_context": ("boost/context/fiber.hpp", "boost_context"),
    # Headers only.
    "boost_coroutine2": ("boost/coroutine2/coroutine.hpp", "boost_context"),
    "boost_fiber": ("boost/fiber/all.hpp", "boost_fiber"),
    "expat": ("expat.h", "expat"),
    "sqlite3": ("sqlite3.h", "sqlite3"),
    "uring": ("liburing.h", "uring"),
    "zlib": ("zlib.h", "z"),
}

def _optional_libraries_impl(repository_ctx):
    targets = []
    boost_libraries = installed_libraries(repository_ctx, "boost_")
    for name, (header, library) in _LIBRARIES.items():
        installed = repository_ctx.path("/usr/include/" + header).exists

        # Debian installs the headers of all libraries of Boost together.
        if library.startswith("boost_") and library not in boost_libraries:
            installed = False
        targets.append("""
cc_library(
    name = "{name}",
    linkopts = ["-l{library}"],
    target_compatible_with = {compatible},
    visibility = ["//visibility:public"],
)

cc_library(
    name = "{name}_if_installed",
    defines = {defines},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
""".format(
            name = name,
            library = library,
            compatible = [] if installed else ["@fringe//platforms:never"],
            defines = ["FRINGE_HAS_%s=1" % name.upper()] if installed else [],
            linkopts = ["-l" + library] if installed else [],
        ))
    repository_ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_ctx.name)
    repository_ctx.file(
        "BUILD",
        "load(\"@rules_cc//cc:cc_library.bzl\", \"cc_library\")\n" + "".join(targets),
    )

optional_libraries_repository = repository_rule(
    implementation = _optional_libraries_impl,
    doc = "Two targets for each of a few libraries.",
    local = True,
)
