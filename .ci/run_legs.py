"""Runs the legs of CI, and prints a table of them.

    .ci/run                  # every leg
    .ci/run quick            # the legs marked "quick": for use before each commit
    .ci/run gcc-o0 arm       # only these legs

Every leg runs, whether or not an earlier one failed. The run fails if a leg fails, if it has no
result, or if it ran no test. A leg in which every case was skipped is "skipped", with the reason.
The last line counts test cases, not targets.

CI_CACHE=none    compiles everything anew. Otherwise ~/.cache/fringe keeps what was compiled, for as
                 long as the packages of the machine have the same versions. Every test runs anew.
CI_BAZEL_FLAGS   are additional flags for every build.
"""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import count_cases
from legs import LEGS

# A leg that takes longer hangs. It is ended, and the next one begins.
LEG_SECONDS = 1200

# All of them have to be done by then. The legs that remain fail, but the table is printed.
DEADLINE_SECONDS = 5200

BUILDIFIER = "@bazel/buildifier@8.2.1"  # A package of npm that holds the program itself.

# Code whose optimization cannot change a result.
FAST_FLAGS = (
    "--//testing:fast_compilation",
    "--per_file_copt=external/com_google_googletest/.*@-O0,-U_FORTIFY_SOURCE,-fno-lto",
)

# GCC would collect garbage from 128 MB on, a tenth of its time. A file of tests takes 0.5 to 0.8 GB.
GCC_FLAGS = ("--copt=--param=ggc-min-heapsize=2000000",)

# Clang allocates with malloc, and takes 7% less time on huge pages. Tests run without them.
CLANG_FLAGS = ("--action_env=GLIBC_TUNABLES=glibc.malloc.hugetlb=1", "--test_env=GLIBC_TUNABLES=")

# --- What runs a leg ------------------------------------------------------------------------------


@dataclasses.dataclass
class Result:
    """The cases of a leg, and a word on the whole."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reason: str = ""  # What failed outside of any case.
    why_skipped: str = ""
    ok: bool = True
    seconds: float = 0


STARTED = time.monotonic()
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
scratch = None
cache_flags = []
quick = False


def run(command, output=None, signal="TERM", **kwargs):
    """Runs a command for as long as a leg may take. Returns its status and a sentence on that."""
    left = max(1, int(min(LEG_SECONDS, DEADLINE_SECONDS - (time.monotonic() - STARTED))))
    timeout = ["timeout", "--signal=" + signal, "--kill-after=60", str(left)]
    with subprocess.Popen(
        [*timeout, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if output is not None else None,
        stderr=subprocess.STDOUT if output is not None else None,
        text=True,
        errors="replace",
        **kwargs,
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            output.append(line.rstrip("\n"))
    status = process.returncode
    return status, f"it was ended after {left} s" if status in (124, 137) else ""


def flags_for_builds():
    return [*cache_flags, *os.environ.get("CI_BAZEL_FLAGS", "").split()]


def bazel_leg(leg):
    """Builds and runs tests. Each leg has its own outputs, so that none replaces those of another."""
    events = scratch / "events.json"
    events.unlink(missing_ok=True)
    tags = leg.quick_tags if quick and leg.quick_tags else leg.tags
    fast = leg.fast or (quick and bool(leg.quick_tags))
    suffix = "-".join(filter(None, [*leg.configs, "quick" if quick and leg.quick_tags else ""]))
    flags = ["--config=" + config for config in leg.configs]
    flags += ["--platform_suffix=-" + suffix] if suffix else []
    flags += ["--build_tests_only", "--test_tag_filters=" + tags] if tags else []
    flags += FAST_FLAGS if fast else ()
    flags += ["--//testing:suites"] if fast and leg.suites else []
    if fast:
        flags += CLANG_FLAGS if leg.uses_clang else GCC_FLAGS
    flags += ["--repo_env=FRINGE_ABSEIL=stand_in"] if leg.stand_in else []
    # On an interrupt Bazel ends what it runs, and says what that was.
    status, reason = run(
        [*leg.within, "./bazelw", "test", "--keep_going", "--noshow_progress", "--nocache_test_results"]
        + [f"--build_event_json_file={events}", *flags_for_builds(), *flags, *leg.targets],
        signal="INT",
    )
    if not events.exists() or not events.stat().st_size:
        return Result(ok=False, reason=reason or "Bazel did not start")
    passed, failed, skipped, why = count_cases.count(events)
    return Result(passed, failed, skipped, reason, why, status == 0)


def script_leg(leg):
    """Runs a script whose last line counts cases as that of this one does."""
    output = []
    flags = " ".join(flags_for_builds())
    status, reason = run(leg.command, output, env={**os.environ, "CONSUMER_FLAGS": flags})
    match = SUMMARY.match(output[-1]) if output else None
    reasons = [line.strip() for line in output if line.strip().startswith("skipped")]
    why = reasons[-1].removeprefix("skipped").lstrip(": ") if reasons else ""
    counts = map(int, match.groups()) if match else (0, 0, 0)
    return Result(*counts, reason, why, status == 0)


def check_leg(leg):
    """Runs a command, which is one case."""
    command = [word.format(scratch=scratch) for word in leg.command]
    if leg.files:
        found = files(leg.files)
        if not found:
            return Result(ok=False, reason="there are no such files")
        command += found
    status, reason = run(command)
    return Result(passed=int(status == 0), ok=status == 0, reason=reason)


def files(patterns):
    """Returns the project's files that match, without those that Git ignores."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]
    command += ["--exclude-standard", "--deduplicate", "--", *patterns]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and os.path.exists(name)]


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", "/tmp"), ".cache")
    return pathlib.Path(home, "fringe")


def buildifier_leg(leg):
    """Fetches buildifier unless it is there, and runs it."""
    folder = cache_folder() / ("buildifier-" + BUILDIFIER.rsplit("@", 1)[1])
    program = folder / "node_modules/.bin/buildifier"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = ["npm", "install", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]
        status, reason = run([*fetch, "--prefix", str(folder), BUILDIFIER])
        if status:
            return Result(ok=False, reason=reason or "npm could not install buildifier")
    command = (str(program), "-mode=check", "-lint=warn")
    return check_leg(dataclasses.replace(leg, command=command))


RUNNERS = {
    "bazel": bazel_leg,
    "buildifier": buildifier_leg,
    "check": check_leg,
    "script": script_leg,
}

# --- Before the first leg -------------------------------------------------------------------------


def install_packages(legs):
    """Installs all that the legs need at once, so that every leg finds the same packages."""
    configs = {"--config=" + config for leg in legs for config in leg.configs}
    programs = sorted({program for leg in legs for program in leg.programs})
    # Bazel itself is not run.
    subprocess.run(
        ["./bazelw", *sorted(configs)],
        env={**os.environ, "BAZEL": "true", "FRINGE_ALSO_INSTALL": " ".join(programs)},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    subprocess.run(["./bazelw", "--version"], stdout=subprocess.DEVNULL, check=False)


def prepare_cache():
    """Returns the flags that keep what is compiled.

    Bazel does not track the headers and programs of the system, so the folder is named after the
    version of every package. Folders of other versions are removed, and one that has grown too large.
    """
    if os.environ.get("CI_CACHE") == "none" or not shutil.which("dpkg-query"):
        return []
    packages = subprocess.run(["dpkg-query", "--show"], stdout=subprocess.PIPE, check=False).stdout
    name = hashlib.sha256(packages).hexdigest()[:16]
    parent = cache_folder() / "compiled"
    for folder in parent.iterdir() if parent.exists() else ():
        megabytes = subprocess.run(["du", "-sm", folder], stdout=subprocess.PIPE, check=False).stdout
        if folder.name != name or int(megabytes.split()[0]) > 20000:
            shutil.rmtree(folder, ignore_errors=True)
    return [f"--disk_cache={parent / name}"]


def start_making_unstable(legs):
    """Starts making the Debian unstable of later legs, which mostly waits for the network."""
    if not any("debootstrap" in leg.programs for leg in legs):
        return None
    with open(scratch / "unstable.log", "w", encoding="utf-8") as log:
        return subprocess.Popen(
            ["testing/debian_unstable/in_root", "--make"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


# --- The run --------------------------------------------------------------------------------------


def word_on(result):
    """Returns how a leg ended."""
    because = f": {result.reason}" if result.reason else ""
    if result.passed + result.failed + result.skipped == 0:
        return "FAILED, ran nothing" + because, False
    if result.failed or not result.ok:
        return "FAILED" + because, False
    if result.passed == 0:
        return f"skipped: {result.why_skipped}", True
    return "ok", True


def run_leg(leg):
    """Runs one leg, and prints what it runs."""
    print(f"=== {leg.name}", flush=True)
    started = time.monotonic()
    try:
        result = RUNNERS[leg.runner](leg)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        result = Result(ok=False, reason=str(error))
    result.seconds = time.monotonic() - started
    return result


def print_table(legs, results):
    """Prints a line for each leg, and the sums. Returns whether everything is well."""
    well, sums = True, [0, 0, 0]
    print(f"\n{'leg':20} {'passed':>8} {'failed':>8} {'skipped':>8} {'time':>8}")
    for leg in legs:
        result = results.get(leg.name, Result(ok=False, reason="it has no result"))
        word, good = word_on(result)
        well = well and good
        # A failure outside of any case is a failure.
        counts = [result.passed, max(result.failed, 0 if good else 1), result.skipped]
        sums = [total + count for total, count in zip(sums, counts)]
        print(f"{leg.name:20} {counts[0]:8} {counts[1]:8} {counts[2]:8} {result.seconds:6.0f} s  {word}")
    print(f"\n{sums[0]} passed, {sums[1]} failed, {sums[2]} skipped")
    return well


def parse_arguments():
    names = " ".join(leg.name + ("*" if leg.quick else "") for leg in LEGS)
    parser = argparse.ArgumentParser(
        prog=".ci/run",
        usage=".ci/run [--help] [quick | LEG...]",
        description=__doc__,
        epilog=f"The legs, those of `quick` with a star: {names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("legs", nargs="*", metavar="LEG")
    return parser, parser.parse_args().legs


def main():
    global scratch, cache_flags, quick
    parser, wanted = parse_arguments()
    by_name = {leg.name: leg for leg in LEGS}
    if len(by_name) != len(LEGS):
        sys.exit("run: two legs have the same name.")
    quick = wanted == ["quick"]
    for name in wanted:
        if not quick and name not in by_name:
            parser.error(f"there is no leg {name}; --help names all.")
    legs = [leg for leg in LEGS if (leg.quick if quick else not wanted or leg.name in wanted)]

    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        install_packages(legs)
        cache_flags = prepare_cache()
        making = start_making_unstable(legs)
        results = {}
        try:
            for leg in legs:
                results[leg.name] = run_leg(leg)
        finally:
            if making and making.poll() is None:
                making.terminate()
                making.wait()
            well = print_table(legs, results)
    sys.exit(0 if well else 1)


main()
