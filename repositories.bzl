"""Declares fringe's dependencies for builds with `WORKSPACE`.

No function here replaces a repository that the workspace already has. To use your own, declare it
before the call. Nothing here uses the network.
"""

load("//third_party:optional_libraries.bzl", "optional_libraries_repository")
load("//third_party:system_repository.bzl", "system_repository")
load("//third_party/abseil:repository.bzl", "abseil_repository")
load("//third_party/rules_cc:repository.bzl", "rules_cc_repository")

def _unless_defined(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

def fringe_repositories():
    """Declares the dependencies of fringe's libraries."""
    _unless_defined(
        rules_cc_repository,
        name = "rules_cc",
    )
    _unless_defined(
        abseil_repository,
        name = "com_google_absl",
    )
    _unless_defined(
        system_repository,
        name = "jemalloc",
        files = {Label("//third_party/jemalloc:BUILD.jemalloc"): "BUILD"},
        package = "libjemalloc-dev",
        probe = "/usr/include/jemalloc/jemalloc.h",
    )

def fringe_development_repositories():
    """Declares the dependencies of fringe's tests, examples and benchmarks only."""
    _unless_defined(
        system_repository,
        name = "com_google_googletest",
        files = {Label("//third_party/googletest:BUILD.googletest"): "BUILD"},
        package = "googletest",
        probe = "/usr/src/googletest/googletest/src/gtest-all.cc",
        tree = "/usr/src/googletest",
    )
    _unless_defined(
        system_repository,
        name = "com_github_google_benchmark",
        files = {Label("//third_party/benchmark:BUILD.benchmark"): "BUILD"},
        package = "libbenchmark-dev",
        probe = "/usr/include/benchmark/benchmark.h",
    )
    _unless_defined(
        optional_libraries_repository,
        name = "optional_libraries",
    )

def fringe_offline_repositories():
    """Declares the repositories that Bazel 4 would fetch to build and test C++.

    Call it only on machines without a network. A workspace that builds Java or measures coverage
    needs the real ones.
    """
    _unless_defined(
        system_repository,
        name = "rules_java",
        files = {
            Label("//third_party:package.BUILD"): "java/BUILD",
            Label("//third_party/rules_java:defs.bzl"): "java/defs.bzl",
        },
    )
    _unless_defined(
        system_repository,
        name = "remote_coverage_tools",
        files = {Label("//third_party/coverage_tools:BUILD.coverage_tools"): "BUILD"},
    )
