#!/usr/bin/env python3
"""The reasons of common/base/reason.h and the table of docs/errors.md are the same list."""

import re

import common

CONSTANT = re.compile(r'constexpr absl::string_view (k\w+) = "(\w+)";')
ROW = re.compile(r"^\|\s*`([A-Z][A-Z0-9_]*)`\s*\|(.*)\|\s*$")
CODES = {"CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
         "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
         "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
         "UNAUTHENTICATED"}
HEADER, TABLE = "common/base/reason.h", "docs/errors.md"


def camel(reason):
    return "k" + "".join(word.capitalize() for word in reason.split("_"))


def check(root):
    faults = []
    constants = {}
    for number, line in enumerate(common.read(root, HEADER).split("\n"), 1):
        match = CONSTANT.search(line)
        if not match:
            if "constexpr" in line:
                faults.append(f"{HEADER}:{number}: not a constant that this check can read")
            continue
        name, reason = match.groups()
        if name != camel(reason):
            faults.append(f"{HEADER}:{number}: {name} should be {camel(reason)} for {reason}")
        if reason in constants:
            faults.append(f"{HEADER}:{number}: {reason} stands there twice")
        constants[reason] = number
    rows = {}
    for number, line in enumerate(common.read(root, TABLE).split("\n"), 1):
        match = ROW.match(line)
        if not match:
            continue
        reason, cells = match.group(1), [c.strip() for c in match.group(2).split("|")]
        if reason in rows:
            faults.append(f"{TABLE}:{number}: {reason} stands there twice")
        rows[reason] = number
        if len(cells) != 3 or not all(cells):
            faults.append(f"{TABLE}:{number}: {reason} needs codes, meaning and what to do")
        elif not set(re.findall(r"[A-Z_]{4,}", cells[0])) or not set(
                re.findall(r"[A-Z_]{4,}", cells[0])) <= CODES:
            faults.append(f"{TABLE}:{number}: {reason} names no canonical code, or one that is none")
    for reason in sorted(set(constants) - set(rows)):
        faults.append(f"{HEADER}:{constants[reason]}: {reason} is not in {TABLE}")
    for reason in sorted(set(rows) - set(constants)):
        faults.append(f"{TABLE}:{rows[reason]}: {reason} is not in {HEADER}")
    return faults


def self_test():
    line = 'inline constexpr absl::string_view {} = "{}";\n'
    header = line.format("kNotFound", "NOT_FOUND") + line.format("kInternal", "INTERNAL")
    row = "| `{}` | `{}` | means | do |\n"
    table = row.format("NOT_FOUND", "NOT_FOUND") + row.format("INTERNAL", "INTERNAL")
    common.expect(check, {HEADER: header, TABLE: table}, [])
    for header_more, table_more, word in (
            (line.format("kNew", "NEW"), "", "NEW is not in docs"),
            ("", row.format("GONE", "INTERNAL"), "GONE is not in common"),
            (line.format("kWrong", "INTERNAL_TWO"), row.format("INTERNAL_TWO", "INTERNAL"),
             "should be kInternalTwo"),
            ("", row.format("INTERNAL", "INTERNAL"), "twice"),
            (line.format("kNew", "NEW"), row.format("NEW", "SOMETHING"), "canonical"),
            (line.format("kNew", "NEW"), "| `NEW` | `INTERNAL` |  | do |\n", "needs codes"),
    ):
        common.expect(check, {HEADER: header + header_more, TABLE: table + table_more}, [word])


if __name__ == "__main__":
    common.main(check, self_test, __doc__)
