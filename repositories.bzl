"""Where fringe's dependencies come from, for a build by `WORKSPACE`.

Each function here leaves a repository alone that the workspace already has: declare your own
before you call it, and yours is used. Nothing here uses the network.
"""

load("//third_party:system_repository.bzl", "system_repository")
load("//third_party/abseil:repository.bzl", "abseil_repository")
load("//third_party/rules_cc:repository.bzl", "rules_cc_repository")

def _unless_defined(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

def fringe_repositories():
    """Declares what fringe's libraries depend on."""
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
    """Declares what only fringe's own tests and benchmarks depend on."""
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

def fringe_offline_repositories():
    """Declares what Bazel 4 itself would fetch to build and test C++.

    For machines without a network only: a workspace that builds Java or measures coverage wants
    the real ones.
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
