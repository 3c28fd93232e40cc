"""The legs of CI. `.ci/run` runs them in this order, and fails if one of them has no result.

To add a leg, add a line to LEGS. To add a test to legs, give it tags (testing/fringe_test.bzl).
"""

import dataclasses

# Sets of tests, by tag. The first folder of a test's path is a tag too.

# Registers and unwinding at a switch.
SWITCH = "switch"
# In addition, other behavior that depends on how a compiler translates code around a switch.
COMPILER = "switch,compiler"
# In addition, everything that the libraries promise.
CORE = "switch,compiler,fringe,stacks,-lto,-valgrind"
# What depends on the CPU, with tests of debuggers and of whole programs.
CPU = "switch,compiler,registers,unwinding,debuggers,hardening,mixed_flags"

# For the tests of generated code.
FILE_CHECK = ("llvm-14-tools=FileCheck-14",)


@dataclasses.dataclass(frozen=True)
class Leg:
    """One line of the table."""

    name: str
    runner: str  # Of RUNNERS in run_legs.py.
    configs: tuple = ()  # For Bazel: `--config`s.
    tags: str = ""  # For Bazel: `--test_tag_filters`.
    targets: tuple = ("//...",)  # For Bazel.
    fast: bool = True  # For Bazel: leave code unoptimized where that cannot change a result.
    suites: bool = True  # For Bazel, if `fast`: compile each fringe_suite as one program.
    stand_in: bool = False  # For Bazel: with the stand-in for Abseil, as on other CPUs.
    command: tuple = ()  # For scripts and checks.
    within: tuple = ()  # For Bazel: a command that runs Bazel, whose words follow.
    files: tuple = ()  # For checks: patterns of the files that are appended to the command.
    programs: tuple = ()  # Debian packages, as for FRINGE_ALSO_INSTALL of bazelw.
    quick: bool = False  # Whether it is part of `.ci/run quick`.
    quick_tags: str = ""  # For Bazel: `tags` there.

    @property
    def uses_clang(self):
        return any(config == "libcxx" or config.endswith("clang") for config in self.configs)


def bazel(*configs, **kwargs):
    return Leg("-".join(configs), "bazel", configs=configs, **kwargs)


def script(name, *command, **kwargs):
    return Leg(name, "script", command=command, **kwargs)


def check(name, *command, **kwargs):
    return Leg(name, "check", command=command, **kwargs)


CROSS_CLANG = ("x86", "aarch64", "arm", "ppc64le", "riscv64", "s390x")

# The cheapest and most informative legs come first. Legs with one compiler are next to each other, and
# so are those with the stand-in for Abseil: Bazel configures anew what changes.
LEGS = [
    check("links", ".ci/links.py", quick=True),
    check(
        "clang-format",
        *("clang-format-16", "--dry-run", "-Werror"),
        files=("*.h", "*.cc"),
        programs=("clang-format-16",),
        quick=True,
    ),
    Leg(
        "buildifier",
        "buildifier",
        files=("WORKSPACE", "MODULE.bazel", "*BUILD", "*BUILD.*", "*.bzl"),
        programs=("npm",),
        quick=True,
    ),
    check("reference", "docs/reference/make", "{scratch}/reference", programs=("doxygen",)),
    # The README's command: everything, compiled as it is by default (GCC, -O2). Tests of other tools
    # are skipped where these are missing.
    Leg(
        "readme",
        "bazel",
        fast=False,
        quick=True,
        quick_tags=CORE,
        programs=(
            "elfutils=eu-stack",
            "google-perftools=google-pprof",
            "heaptrack",
            "libbackward-cpp-dev=/usr/include/backward.hpp",
            "libboost-context-dev=/usr/lib/*/libboost_context.so",
            "libboost-dev=/usr/include/boost/stacktrace.hpp",
            "libboost-fiber-dev=/usr/lib/*/libboost_fiber.so",
            "libunwind8=/usr/lib/*/libunwind.so.8",
            "linux-perf=perf",
            "lldb-14",
            *FILE_CHECK,
            "strace",
        ),
    ),
    bazel("hardened", tags="hardening"),
    bazel("gcc", "noexcept", "nortti", tags=COMPILER + ",counts", programs=FILE_CHECK),
    bazel("gcc", "o0", tags=COMPILER, stand_in=True),
    bazel("gcc", "fp", tags=SWITCH, stand_in=True),
    bazel("gcc", "native", tags="switch,-unwinding", stand_in=True),
    bazel("gcc", "lto", tags=COMPILER, stand_in=True),
    bazel("clang", "o0", tags=COMPILER, stand_in=True, quick=True, quick_tags=SWITCH),
    # Debian's Abseil is not instrumented.
    bazel("clang", "asan", "ubsan", tags=CORE, stand_in=True),
    bazel("clang", "tsan", tags="compiler,threads", stand_in=True),
    bazel("clang", "fp", tags=SWITCH, stand_in=True),
    bazel("clang", "native", tags="switch,-unwinding", stand_in=True),
    bazel("clang", "lto", tags=COMPILER + ",-clones", stand_in=True),
    bazel("clang", "o2", tags=COMPILER + ",counts,lto,registers", programs=FILE_CHECK),
    # Clang checks that a test depends on all that it includes. A suite has the dependencies of all its
    # tests, so this leg compiles them alone.
    bazel("clang", "noexcept", tags=CORE + ",-jemalloc,counts", suites=False, programs=FILE_CHECK),
    bazel("clang", "msan", targets=("//fringe:memory_sanitizer_test",)),
    bazel("libcxx", tags=CORE + ",-registers,-unwinding"),
    bazel("bare-metal", targets=("//testing/bare_metal:tests",)),
    # Other CPUs, in an emulator unless this machine runs their code. x86 runs all tests of the
    # libraries on 32 bits, and s390x those of fringe on a big-endian CPU. aarch64, riscv64 and ppc64le
    # are like x86_64 there.
    bazel("x86", tags="-valgrind,-docs,-examples,-benchmarks,-default_stack,-messages"),
    bazel("s390x", tags=COMPILER + ",fringe,-lto,-valgrind"),
    bazel("aarch64", tags=CPU),
    bazel("arm", tags=COMPILER),
    bazel("riscv64", tags=COMPILER + ",debuggers"),
    bazel("ppc64le", tags=COMPILER),
    bazel(
        "mips64el",
        targets=("//arch:arch_test", "//fringe:generator_exception_test")
        + ("//testing/registers:trap_test_msa",)
        + ("//testing/unwinding:backtrace_test", "//testing/unwinding:every_instruction_test"),
    ),
    bazel(
        "windows",
        tags="-lto,-valgrind",
        suites=False,  # Linking the largest takes 37 s.
        targets=("//fringe/...", "//stacks:windows_fiber_stack_test", "//stacks:windows_headers_test")
        + ("//examples:quickstart_test", "//examples:same_fringe_test")
        + ("//testing/registers/random_programs:random_programs_test",),
        within=("testing/windows/in_prefix",),
    ),
    script(
        "windows-compilers",
        "testing/windows/run",
        programs=(
            "clang-14",
            "clang-19",
            "g++-mingw-w64-x86-64-posix=x86_64-w64-mingw32-g++-posix",
        ),
    ),
    # bochs-term keeps apt from installing the emulator's graphical parts.
    script(
        "x86-shadow-stack",
        "testing/x86_shadow_stack/run",
        programs=(
            "bochs",
            "bochs-term=/usr/lib/*/bochs/plugins/libbx_term_gui.so",
            "bochsbios=/usr/share/bochs/BIOS-bochs-latest",
            "clang-14",
            "clang-19",
            "vgabios=/usr/share/bochs/VGABIOS-lgpl-latest",
        ),
    ),
    script("musl", "testing/musl/run", programs=("npm",)),
    script("macos", "testing/macos/run", programs=("llvm-19=llvm-dwarfdump-19", "npm")),
    bazel(
        "aarch64-hardened",
        targets=("//testing/hardening/...",)
        + ("//testing/unwinding:every_instruction_test_branch_protection",),
    ),
    # In newer emulators than Debian 12's.
    script(
        "aarch64-gcs",
        "testing/guarded_control_stack/run",
        programs=("g++-aarch64-linux-gnu=aarch64-linux-gnu-g++",),
    ),
    script("loongarch64", "testing/loongarch64/run"),
    *[bazel(cpu + "-clang", tags=SWITCH) for cpu in CROSS_CLANG],
    script("mistakes", "testing/mistakes/run"),
    script("first-hour", "testing/first_hour/run"),
    # Compilers that Bazel does not use, and their parts.
    script(
        "builds",
        "testing/builds/run",
        programs=(
            "clang-14",
            "clang-19",
            "libclang-rt-14-dev=/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.asan*",
            "libclang-rt-19-dev=/usr/lib/llvm-19/lib/clang/*/lib/linux/libclang_rt.asan*",
            "lld-14",
            "lld-19",
            "llvm-14=llvm-profdata-14",
            "llvm-19=llvm-profdata-19",
        ),
    ),
    script("consumers", "testing/consumers/run"),
    script("release", "testing/release/run"),
    *[
        script("unstable-" + leg, "testing/debian_unstable/run", leg, programs=("debootstrap",))
        for leg in ("flips", "gcc", "clang", "mistakes", "first_hour", "consumers", "workspaces")
    ],
]
