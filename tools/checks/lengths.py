#!/usr/bin/env python3
"""Names the files over 500 lines. A warning and no fault: a long table may be right; a long file
usually holds two ideas."""

import common

LIMIT = 500


def check(root):
    faults = []
    for path in common.files(root, (".h", ".cc", ".py", ".ts", ".proto", ".lua"),
                             ("common", "services", "tools", "tests", "proto")):
        count = common.read(root, path).count("\n")
        if count > LIMIT:
            faults.append(f"{path.as_posix()}:{LIMIT}: warning: {count} lines, the limit is {LIMIT}")
    return faults


def self_test():
    common.expect(check, {"common/a.cc": "x\n" * 500}, [])
    common.expect(check, {"common/a.cc": "x\n" * 501}, ["501 lines"])


def warn(root):
    for fault in check(root):
        print(fault)
    return []


if __name__ == "__main__":
    common.main(warn, self_test, __doc__)
