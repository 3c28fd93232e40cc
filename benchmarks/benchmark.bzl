"""A benchmark and its smoke test."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//:copts.bzl", "FRINGE_COPTS")

# The addresses of such short functions and loops change their times by up to half. So all of them
# start at a cache line. To GCC, the first instruction of a loop that is entered in its middle is the
# target of a jump, and a loop is worth aligning if it runs more than four times, which it cannot know
# of a body that suspends: two is enough here. Clang has neither option. Frame pointers are omitted in
# every build, so that figures can be compared.
_FLAGS = [
    "-falign-functions=64",
    "-falign-loops=64",
    "-falign-jumps=64",
    "--param=align-loop-iterations=2",
    "-Wno-ignored-optimization-argument",
    "-Wno-unused-command-line-argument",
    "-fomit-frame-pointer",
]

BENCHMARK_COPTS = FRINGE_COPTS + _FLAGS

def fringe_benchmark(name, benchmarks, deps, optional_benchmarks = [], smoke_arguments = []):
    """Declares a binary `name` of Google Benchmark, and `name_test`, which runs it briefly.

    Args:
      name: the target, whose source is `name.cc`.
      benchmarks: every benchmark in it. The test fails if a different set runs, or if one reports
        an error.
      deps: the dependencies of the source, except Google Benchmark.
      optional_benchmarks: those that only some builds have.
      smoke_arguments: flags of Google Benchmark for the test, to exclude long runs.
    """
    cc_binary(
        name = name,
        srcs = [name + ".cc"],
        copts = BENCHMARK_COPTS,
        deps = deps + ["@com_github_google_benchmark//:benchmark_main"],
    )
    cc_test(
        name = name + "_test",
        size = "small",
        srcs = [name + ".cc"],
        # Further arguments on the command line are passed to Google Benchmark.
        args = benchmarks + ["?" + name for name in optional_benchmarks] + smoke_arguments,
        copts = BENCHMARK_COPTS,
        deps = deps + [":smoke_main"],
    )
