#!/usr/bin/env python3
"""Every C++ file stands as .clang-format says (clang-format 14). tools/format puts it right."""

import re
import shutil
import subprocess

import common

WARNING = re.compile(r"^(.*?):(\d+):\d+: (?:error|warning): code should be clang-formatted")


def check(root):
    tool = shutil.which("clang-format-14")
    if tool is None:
        return ["clang-format-14 is not installed: run tools/setup"]
    paths = [str(p) for p in common.cpp_files(root)]
    if not paths:
        return []
    run = subprocess.run([tool, "--dry-run", "--Werror", "--style=file", *paths], cwd=root,
                         capture_output=True, text=True, check=False)
    lines = {}
    for line in run.stderr.split("\n"):
        match = WARNING.match(line)
        if match:
            lines.setdefault(match.group(1), []).append(match.group(2))
    faults = [f"{path}:{numbers[0]}: {len(numbers)} places differ from clang-format: "
              f"tools/format {path}" for path, numbers in sorted(lines.items())]
    if run.returncode != 0 and not faults:
        faults.append(f"clang-format: {run.stderr.strip()[:500]}")
    return faults


def self_test():
    style = common.read(common.ROOT, ".clang-format")
    common.expect(check, {".clang-format": style, "common/base/a.cc": "int a = 1;\n"}, [])
    common.expect(check, {".clang-format": style, "common/base/a.cc": "int  a=1;\n"},
                  ["common/base/a.cc:1:"])
    common.expect(check, {".clang-format": "No: such\n", "common/base/a.cc": "int a;\n"},
                  ["clang-format:"])


if __name__ == "__main__":
    common.main(check, self_test, __doc__)
