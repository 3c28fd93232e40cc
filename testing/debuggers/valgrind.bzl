"""Tests under Valgrind."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//testing:fringe_test.bzl", "subject_tags")

def valgrind_test(name, binary, leave_out = [], on_threads = [], expect_warning = False, other_tools = False, **kwargs):
    """Runs a program under memcheck. The test fails if Valgrind finds an error or a leak.

    Args:
      name: the test's name.
      binary: the program's label: a cc_test, or a cc_binary that takes GoogleTest's flags or
        ignores them.
      leave_out: patterns of tests that the program is not to run, besides death tests: those leave
        processes that die with whatever they have allocated.
      on_threads: patterns of tests that switch on another thread than the first. With a glibc that
        guards the stacks of threads without mappings of their own, Valgrind does not follow these, so
        they are left out there.
      expect_warning: Valgrind must warn of a stack that it does not know.
      other_tools: runs it under DRD, Helgrind and Callgrind instead, which must reach its end.
      **kwargs: as for any test.
    """
    cc_test(
        name = name,
        size = kwargs.pop("size", "medium"),
        args = [
            "$(rootpath %s)" % binary,
            "--expect_warning" if expect_warning else "'%s'" % ":".join(["*DeathTest*"] + leave_out),
        ] + (["'%s'" % ":".join(on_threads)] if on_threads else []) + [
            "--gtest_filter=%s" % ("*OtherTools*" if other_tools else "*Memcheck*"),
        ],
        data = [binary],
        tags = subject_tags() + kwargs.pop("tags", []),
        deps = ["//testing/debuggers:valgrind_runner"],
        **kwargs
    )
