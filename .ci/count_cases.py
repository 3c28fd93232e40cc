"""Counts the test cases of one Bazel run.

    count_cases.py EVENTS

EVENTS is the file that Bazel writes for `--build_event_json_file`. Prints three numbers: cases
passed, failed and skipped. GoogleTest programs count by their cases, and so do other tests whose
last line of output is `N passed, N failed, N skipped`. Any other test is one case. A target that
does not build is a failed case. A test for another CPU is a skipped case.
"""

import collections
import json
import re
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree

SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


def read(uri):
    path = urllib.request.url2pathname(urllib.parse.urlparse(uri).path)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def count_googletest(text, reasons):
    """Returns (passed, failed, skipped), or None if this is not GoogleTest's own XML."""
    try:
        root = xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError:
        return None
    cases = [case for case in root.iter("testcase") if case.get("result")]
    if not cases:
        return None
    run = [case for case in cases if case.get("status") == "run"]
    failed = sum(case.find("failure") is not None for case in run)
    skipped = 0
    for case in run:
        if case.get("result") == "skipped" and case.find("failure") is None:
            skipped += 1
            message = case.find("skipped")
            lines = (message.get("message") or "").split("\n") if message is not None else []
            reasons[" ".join(lines[1:]).strip()] += 1  # The first line says where.
    return len(run) - failed - skipped, failed, skipped


def count_summary(text):
    """Returns the counts in the last line of a test's output, or None."""
    lines = text.strip().splitlines()
    match = SUMMARY.match(lines[-1].strip()) if lines else None
    return tuple(map(int, match.groups())) if match else None


def count_attempt(result, reasons):
    outputs = {output["name"]: output.get("uri", "") for output in result.get("testActionOutput", [])}
    passed = result.get("status") in ("PASSED", "FLAKY")
    counts = count_googletest(read(outputs.get("test.xml", "")), reasons)
    counts = counts or count_summary(read(outputs.get("test.log", "")))
    counts = counts or ((1, 0, 0) if passed else (0, 1, 0))
    if not passed and counts[1] == 0:  # Every case passed, but the test failed.
        counts = (counts[0], 1, counts[2])
    return counts


def count(path):
    """Returns (passed, failed, skipped, the most frequent reason for skipping) of a file of events."""
    attempts = {}
    reasons = collections.Counter()
    tests = set()
    with open(path, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            test = event["id"].get("testResult")
            configured = event["id"].get("targetConfigured")
            target = event["id"].get("targetCompleted")
            if test and "testResult" in event:
                # The last attempt counts.
                which = (test["label"], test.get("run"), test.get("shard"))
                attempts[which] = count_attempt(event["testResult"], reasons)
            elif configured and "configured" in event:
                # Of a test and its suite (testing/fringe_test.bzl), one is always skipped.
                details = event["configured"]
                if details.get("targetKind", "").endswith("_test rule") and "suite" not in details.get("tag", []):
                    tests.add(configured["label"])
            elif target and event.get("aborted", {}).get("reason") == "SKIPPED":
                if target["label"] in tests:
                    attempts[(target["label"], None, None)] = (0, 0, 1)
                    reasons["no test is for this platform"] += 1
            elif target and not event.get("completed", {}).get("success"):
                attempts[(target["label"], None, None)] = (0, 1, 0)
    sums = [sum(column) for column in zip((0, 0, 0), *attempts.values())]
    reasons.pop("", None)
    return *sums, reasons.most_common(1)[0][0] if reasons else ""


if __name__ == "__main__":
    print(*count(sys.argv[1])[:3])
