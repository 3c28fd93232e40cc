"""A benchmark and the smoke test that belongs to it."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//:copts.bzl", "FRINGE_COPTS")

# Where functions and loops happen to lie changes such short ones by half: all of them begin at a
# cache line.
_ALIGNMENT = [
    "-falign-functions=64",
    "-falign-loops=64",
]

BENCHMARK_COPTS = FRINGE_COPTS + _ALIGNMENT

def fringe_benchmark(name, benchmarks, deps, smoke_arguments = []):
    """Declares a binary `name` of Google Benchmark, and `name_test`, which runs it briefly.

    Args:
      name: the target, whose source is `name.cc`.
      benchmarks: every benchmark in it. The test fails when another set of them runs, or one errs.
      deps: what the source includes, besides Google Benchmark.
      smoke_arguments: flags of Google Benchmark for the test, to leave out what takes long.
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
        # Further arguments may be given on the command line: they go to Google Benchmark.
        args = benchmarks + smoke_arguments,
        copts = BENCHMARK_COPTS,
        deps = deps + [":smoke_main"],
    )
