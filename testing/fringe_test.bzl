"""The macro for fringe's own tests."""

load("//:copts.bzl", "FRINGE_COPTS")
load("//:defs.bzl", "fringe_cc_test")

def fringe_test(
        name,
        srcs = None,
        copts = [],
        deps = [],
        size = "small",
        googletest = True,
        own_main = False,
        **kwargs):
    """Declares a GoogleTest program.

    Args:
      name: the test.
      srcs: its sources; by default `name.cc`.
      copts: flags in addition to `FRINGE_COPTS`.
      deps: its dependencies, except GoogleTest.
      size: as for `cc_test`.
      googletest: whether it uses GoogleTest.
      own_main: whether its sources define `main`.
      **kwargs: as for `fringe_cc_test`, so that a test can choose its default stack.
    """
    if googletest:
        deps = deps + ["@com_google_googletest//:gtest"]
        if not own_main:
            deps = deps + ["@com_google_googletest//:gtest_main"]
    fringe_cc_test(
        name = name,
        size = size,
        srcs = [name + ".cc"] if srcs == None else srcs,
        copts = FRINGE_COPTS + copts,
        deps = deps,
        **kwargs
    )
