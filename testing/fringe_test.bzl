"""The macro for fringe's own tests."""

load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("//:copts.bzl", "FRINGE_COPTS")
load("//:defs.bzl", "fringe_cc_test")

def subject_tags():
    """Returns the tag of every test in this package: the name of its folder.

    It is the first folder of the path, or the second below //testing. `.ci/run` selects tests by it.
    """
    folders = native.package_name().split("/")
    return [folders[1] if folders[0] == "testing" else folders[0]]

# Tests of a subject in which the optimizer is a part.
_COMPILED_AS_THE_BUILD_SAYS = [
    "arch",
    "compiler",
    "hardening",
    "measures",
    "registers",
    "switch",
    "unwinding",
]

def _level(tags):
    """Returns the flags of `//testing:fast_compilation`."""
    if [tag for tag in tags if tag in _COMPILED_AS_THE_BUILD_SAYS]:
        # On Windows a switch is a call, which no optimizer sees through.
        return select({
            "//testing:fast_compilation_on_windows": [
                "-O0",
                "-U_FORTIFY_SOURCE",
            ],
            "//conditions:default": [],
        })
    return select({
        "//testing:fast_compilation_enabled": [
            "-O0",
            # glibc refuses to fortify without optimization.
            "-U_FORTIFY_SOURCE",
        ],
        "//conditions:default": [],
    })

# Stacks of memory, which Windows does not have. A test that needs one skips itself there.
_MEMORY_STACKS = [
    "//stacks:malloc_stack",
    "//stacks:os_stack",
    "//stacks:pooled_stack",
    "//stacks:span_stack",
]

def _only_those_of_the_system(deps):
    """Returns `deps`, without the stacks of memory on Windows."""
    if type(deps) != "list":
        return deps
    memory_stacks = [dep for dep in deps if dep in _MEMORY_STACKS]
    if not memory_stacks:
        return deps
    return [dep for dep in deps if dep not in _MEMORY_STACKS] + select({
        "//platforms:windows": [],
        "//conditions:default": memory_stacks,
    })

def fringe_test(
        name,
        srcs = None,
        copts = [],
        deps = [],
        googletest = True,
        own_main = False,
        size = "small",
        tags = [],
        **kwargs):
    """Declares a GoogleTest program.

    Args:
      name: the test.
      srcs: its sources; by default `name.cc`.
      copts: flags in addition to `FRINGE_COPTS`.
      deps: its dependencies, except GoogleTest.
      googletest: whether it uses GoogleTest.
      own_main: whether its sources define `main`.
      size: as for `cc_test`.
      tags: in addition to `subject_tags()`. "switch": registers or unwinding at a switch. "compiler":
        other behavior that depends on how a compiler translates code around a switch. "hardening":
        it has more to check in a hardened build. "measures": it has bounds on the size of frames.
        "threads": it has more to check under ThreadSanitizer. "valgrind": another test, under
        Valgrind. "lto": its own flags optimize it at link time in every build. "clones": it has
        clones of functions. "jemalloc", which is added here: its stacks are from that heap.
      **kwargs: as for `fringe_cc_test`, so that a test can choose its default stack.
    """
    tags = subject_tags() + tags
    if kwargs.get("stack_malloc") == "jemalloc":
        tags = tags + ["jemalloc"]
    if googletest:
        deps = deps + ["@com_google_googletest//:gtest"]
        if not own_main:
            deps = deps + ["@com_google_googletest//:gtest_main"]
    fringe_cc_test(
        name = name,
        size = size,
        srcs = [name + ".cc"] if srcs == None else srcs,
        copts = FRINGE_COPTS + _level(tags) + copts,
        tags = tags,
        deps = _only_those_of_the_system(deps),
        **kwargs
    )

def fringe_suite(name, tests, copts = [], linkopts = [], tags = []):
    """Declares tests, and one program of all of them, which takes their place with `//testing:suites`.

    Most of the time of compiling a test goes into headers and templates that the others use too.
    The sources are compiled as one file, so what one of them defines must not have the name of what
    another defines.

    Args:
      name: the program of all tests.
      tests: for each test, its dependencies, except GoogleTest. Its source is `TEST.cc`.
      copts: as for `fringe_test`, of each.
      linkopts: as for `cc_test`, of each.
      tags: as for `fringe_test`, of each. All have the tag "suite" too: of a test and the program
        that contains it, one is always skipped, and CI does not count that one.
    """
    sources = [test + ".cc" for test in tests]
    paths = ["%s/%s" % (native.package_name(), source) for source in sources]
    native.genrule(
        name = name + "_source",
        testonly = True,
        outs = [name + ".cc"],
        cmd = "printf '#include \"%%s\"\\n' %s > $@" % " ".join(paths),
    )
    cc_library(
        name = name + "_sources",
        testonly = True,
        textual_hdrs = sources,
    )
    all_deps = {dep: None for deps in tests.values() for dep in deps}.keys()
    programs = dict(tests, **{name: all_deps + [":" + name + "_sources"]})
    for program, deps in programs.items():
        is_suite = program == name
        fringe_test(
            name = program,
            copts = copts,
            linkopts = linkopts,
            tags = tags + ["suite"],
            target_compatible_with = select({
                "//testing:suites_enabled": [] if is_suite else ["//platforms:never"],
                "//conditions:default": ["//platforms:never"] if is_suite else [],
            }),
            deps = deps,
        )
