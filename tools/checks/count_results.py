#!/usr/bin/env python3
"""Counts the cases of one ctest run: count_results.py JUNIT_FILE GTEST_FOLDER

Prints "<passed> <failed>" and, to standard error, the names of what failed and the beginning of
why. A gtest binary counts by its cases, anything else as one. A binary that died, ran no case, or was not built is a failure,
and so is a run without any test: a suite that ran nowhere has shown nothing.
"""

import pathlib
import sys
import tempfile
import xml.etree.ElementTree as xml


REASON_LINES = 8


def reason(failure):
    """The beginning of what one failure says, indented."""
    lines = failure.get("message", "").strip().splitlines()
    more = ["..."] if len(lines) > REASON_LINES else []
    return "".join(f"\n    {line}" for line in lines[:REASON_LINES] + more)


def count_binary(name, ok, report):
    """(passed, failed, names of failures) of one ctest entry."""
    if not report.exists():
        return (1, 0, []) if ok else (0, 1, [name])
    try:
        suites = xml.parse(report).getroot()
    except xml.ParseError:
        return 0, 1, [f"{name}: left half a report: it died"]
    passed, failures = 0, []
    for case in suites.iter("testcase"):
        full = f"{name}: {case.get('classname')}.{case.get('name')}"
        said = case.findall("failure")
        if said:
            failures.append(full + "".join(reason(failure) for failure in said))
        elif case.get("status") == "run" and case.get("result") != "skipped":
            passed += 1
    if not failures and not ok:
        failures.append(f"{name}: failed outside its cases")
    elif not failures and passed == 0:
        failures.append(f"{name}: ran no case")
    return passed, len(failures), failures


def count(junit, gtest_folder):
    try:
        entries = list(xml.parse(junit).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        entries = []
    if not entries:
        return 0, 1, ["no test ran"]
    passed, failed, names = 0, 0, []
    for entry in entries:
        name = entry.get("name")
        p, f, n = count_binary(name, entry.get("status") == "run",
                               pathlib.Path(gtest_folder, f"{name}.xml"))
        passed, failed, names = passed + p, failed + f, names + n
    return passed, failed, names


def self_test():
    def junit(*entries):
        return "<testsuite>" + "".join(
            f'<testcase name="{n}" status="{s}"/>' for n, s in entries) + "</testsuite>"

    good = '<testcase name="a" classname="S" status="run" result="completed"/>'
    bad = '<testcase name="b" classname="S" status="run" result="completed">' \
          '<failure message="a.cc:7&#10;two"/></testcase>'
    skipped = '<testcase name="c" classname="S" status="run" result="skipped"><skipped/></testcase>'
    for entries, report, expected in (
            ([("t", "run")], f"<testsuites>{good}{good}{skipped}</testsuites>", (2, 0)),
            ([("t", "fail")], f"<testsuites>{good}{bad}</testsuites>", (1, 1)),
            ([("t", "fail")], f"<testsuites>{good}</testsuites>", (1, 1)),
            ([("t", "run")], f"<testsuites>{skipped}</testsuites>", (0, 1)),
            ([("t", "fail")], "<testsuites><test", (0, 1)),
            ([("t", "run"), ("u", "run")], None, (2, 0)),
            ([("t", "notrun")], None, (0, 1)),
            ([], None, (0, 1))):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "junit.xml")
            path.write_text(junit(*entries), encoding="utf-8")
            if report is not None:
                pathlib.Path(folder, "t.xml").write_text(report, encoding="utf-8")
            *got, names = count(path, folder)
        if tuple(got) != expected or len(names) != expected[1]:
            sys.exit(f"self-test: {entries} with {report}: {got} {names} instead of {expected}")
        if report is not None and bad in report and "\n    a.cc:7\n    two" not in names[0]:
            sys.exit(f"self-test: {names} do not say why")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    passed, failed, names = count(sys.argv[1], sys.argv[2])
    for name in names:
        print(f"failed: {name}", file=sys.stderr)
    print(passed, failed)


if __name__ == "__main__":
    main()
