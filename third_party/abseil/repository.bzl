"""Abseil, as Debian installs it (package `libabsl-dev`), under upstream's target names.

The headers are in the compiler's default include path, so a target only has to link. Every target
links all installed libraries with `--as-needed`, which keeps those that a binary uses. The
libraries behind a header change between releases of Abseil; this list does not. Each target also
links the library of its own name unconditionally. Bazel can link tests with shared libraries, and
gold ignores what those use.
"""

load("//third_party:system_repository.bzl", "installed_libraries", "require_installed")

# The targets that exist here, by package. Add an upstream name when a target needs it.
_TARGETS = {
    "absl/base": ["core_headers"],
    "absl/flags": ["flag", "parse", "usage"],
    "absl/status": ["status", "statusor"],
    "absl/strings": ["strings"],
}

_ROOT = """\
load("@rules_cc//cc:cc_library.bzl", "cc_library")

cc_library(
    name = "installed",
    linkopts = [{linkopts}],
    visibility = ["//:__subpackages__"],
)
"""

_PACKAGE = """\
load("@rules_cc//cc:cc_library.bzl", "cc_library")

[
    cc_library(
        name = name,
        linkopts = linkopts,
        visibility = ["//visibility:public"],
        deps = ["//:installed"],
    )
    for name, linkopts in {linkopts}.items()
]
"""

# The headers of the stand-in, by package and target.
_STAND_IN = {
    "absl/base": {"core_headers": ["thread_annotations.h"]},
    "absl/flags": {"parse": ["parse.h"], "usage": ["usage.h"]},
    "absl/status": {"status": ["status.h"], "statusor": ["statusor.h"]},
    "absl/strings": {"strings": ["ascii.h", "str_cat.h"]},
}

_STAND_IN_PACKAGE = """\
load("@rules_cc//cc:cc_library.bzl", "cc_library")

[
    cc_library(
        name = name,
        hdrs = hdrs,
        visibility = ["//visibility:public"],
        deps = [":status"] if name == "statusor" else [],
    )
    for name, hdrs in {headers}.items()
]
"""

def _stand_in(repository_ctx):
    """Fills the repository with the stand-in, for builds without an installed Abseil."""
    for package, names in _TARGETS.items():
        headers = _STAND_IN.get(package, {})
        content = _STAND_IN_PACKAGE.format(headers = headers)

        # A target without a header: code that needs it does not compile.
        content += "".join([
            "\ncc_library(name = \"%s\", visibility = [\"//visibility:public\"])\n" % name
            for name in names
            if name not in headers
        ])
        repository_ctx.file(package + "/BUILD", content)
        for header in [header for hdrs in headers.values() for header in hdrs]:
            path = package + "/" + header
            repository_ctx.symlink(Label("//third_party/abseil:stand_in/" + path), path)

def _installed(repository_ctx):
    """Fills the repository with targets that link the installed Abseil."""
    require_installed(repository_ctx, "/usr/include/absl/base/config.h", "libabsl-dev")
    libraries = installed_libraries(repository_ctx, "absl_")
    linkopts = ["-Wl,--push-state,--as-needed"] + [
        "-l" + library
        for library in libraries
    ] + ["-Wl,--pop-state"]
    repository_ctx.file(
        "BUILD",
        _ROOT.format(linkopts = ", ".join(["\"%s\"" % option for option in linkopts])),
    )
    for package, names in _TARGETS.items():
        own = {name: [
            "-Wl,--push-state,--no-as-needed,-l%s,--pop-state" % library
            for library in ["absl_" + name, package.replace("/", "_") + "_" + name]
            if library in libraries
        ] for name in names}
        repository_ctx.file(package + "/BUILD", _PACKAGE.format(linkopts = own))

def _abseil_repository_impl(repository_ctx):
    repository_ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_ctx.name)
    if repository_ctx.os.environ.get("FRINGE_ABSEIL") == "stand_in":
        _stand_in(repository_ctx)
    else:
        _installed(repository_ctx)

abseil_repository = repository_rule(
    implementation = _abseil_repository_impl,
    doc = "The installed Abseil, or the stand-in.",
    environ = ["FRINGE_ABSEIL"],
    local = True,
)
