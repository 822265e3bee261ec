"""What the checks share: finding files, taking comments and strings out of C++, and the frame of a
check with its self-test.

A check is a function check(root) that returns a list of faults, each "path:line: what is wrong and
what to do". Its self-test plants faults in a temporary tree: a check that finds nothing there is
broken, and says so before anyone trusts its silence.
"""

import argparse
import os
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

_SKIPPED_FOLDERS = {".git", "build", "gen", "node_modules", "__pycache__", ".node", ".stamps"}


def files(root, suffixes, below=()):
    """Paths relative to root, sorted, with one of the suffixes; only below the given folders."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            path = pathlib.Path(folder, name).relative_to(root)
            if not name.endswith(tuple(suffixes)):
                continue
            if below and not any(str(path).startswith(b + "/") for b in below):
                continue
            found.append(path)
    return found


def cpp_files(root):
    return files(root, (".h", ".cc"), ("common", "services", "tools", "tests"))


_CPP_TOKENS = re.compile(
    r"""//[^\n]*                               # line comment
      | /\*.*?\*/                              # block comment
      | R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"   # raw string
      | "(?:\\.|[^"\\\n])*"                    # string
      | (?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'   # character, but not a digit separator
    """,
    re.VERBOSE | re.DOTALL)


def code_lines(text):
    """The lines of C++ without comments and the contents of literals; line numbers are kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return _CPP_TOKENS.sub(blank, text).split("\n")


def read(root, path):
    return pathlib.Path(root, path).read_text(encoding="utf-8")


def plant(root, tree):
    """Writes {path: text} below root."""
    for path, text in tree.items():
        target = pathlib.Path(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def expect(check, tree, words):
    """Runs the check on a planted tree. Each of words must be in one fault, and each fault must
    hold one of the words; no words: no faults."""
    with tempfile.TemporaryDirectory() as folder:
        plant(folder, tree)
        faults = check(pathlib.Path(folder))
    missed = [w for w in words if not any(w in f for f in faults)]
    surplus = [f for f in faults if not any(w in f for w in words)]
    if missed or surplus:
        raise AssertionError(f"not found: {missed}; found without cause: {surplus}")


def main(check, self_test, what):
    """The command line of a check: exit status 1 with faults, 2 when the self-test fails."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--self-test", action="store_true",
                        help="plant faults and see that the check finds them")
    arguments = parser.parse_args()
    if arguments.self_test:
        try:
            self_test()
        except AssertionError as error:
            print(f"self-test: {error}")
            sys.exit(2)
        return
    faults = check(ROOT)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)
