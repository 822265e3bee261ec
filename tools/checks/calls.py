#!/usr/bin/env python3
"""The forbidden calls: time, randomness and the environment come in by constructor, threads go
through common/base, and what a process says goes through its log.

A line that has a good reason says so and is let through:
    poll(...);  // allowed(sleep): the only pause of WaitUntil, which has a deadline
"""

import re

import common

# The mains, and what the three services' mains share.
MAIN = r"_main\.cc$|^common/rpc/main_support\.cc$"
# rule, pattern, where it is allowed, what to do instead
RULES = (
    ("clock", r"\babsl::Now\s*\(|\bsystem_clock::now\b|\bgettimeofday\s*\(|\bCLOCK_REALTIME\b"
              r"|\bGetCurrentTimeNanos\s*\(|(?<![\w.>])(?:std::)?time\s*\(\s*(?:nullptr|NULL|0)\s*\)",
     rf"^common/base/|{MAIN}", "take a Clock (common/base/clock.h)"),
    ("random", r"(?<![\w.>])(?:std::)?s?rand\s*\(|\brandom_device\b|\bmt19937(?:_64)?\b|\bdrand48\b"
               r"|\babsl::BitGen\b|\bgetrandom\s*\(|\brandombytes_buf\b|\bRAND_bytes\b",
     rf"^common/base/|(?:^|/)testing/|{MAIN}", "take a Random (common/base/random.h)"),
    ("environment", r"\b(?:secure_)?getenv\s*\(|\bsetenv\s*\(|\bputenv\s*\(",
     rf"^common/base/|(?:^|/)testing/|^tests/|{MAIN}", "take the value as an option from main"),
    ("mutex", r"\bstd::(?:recursive_|shared_|timed_)?mutex\b|\bstd::condition_variable\b"
              r"|\bstd::(?:lock_guard|unique_lock|scoped_lock|shared_lock)\b|\babsl::Mutex\b",
     r"^common/base/mutex\.h$", "use Mutex, MutexLock, CondVar (common/base/mutex.h)"),
    ("detach", r"(?:\.|->)detach\s*\(|\bstd::async\s*\(", r"^$",
     "own the thread and join it: Executor or PeriodicTask (common/base/executor.h)"),
    ("sleep", r"\bsleep_(?:for|until)\b|(?<![\w.>])u?sleep\s*\(|\bnanosleep\s*\(|\babsl::SleepFor\b",
     # Waiting for another process can only poll; the waits of testing/ have deadlines.
     r"(?:^tools/|(?:^|/)testing/)(?!.*_test\.cc$)|_test_\w+\.(?:h|cc)$",
     "wait on a CondVar with a deadline; tests wait until something is true"),
    ("output", r"\bstd::(?:cout|cerr|clog)\b|(?<![\w.>])(?:std::)?f?printf\s*\(|\bputs\s*\(",
     rf"(?:^|/)testing/|^tools/|^tests/|{MAIN}|_test\.cc$", "use Log (common/base/log.h) and its fields"),
)
COMPILED = tuple((name, re.compile(p), re.compile(a), hint) for name, p, a, hint in RULES)
ALLOWED = re.compile(r"//.*\ballowed\((\w+)\): \S+")


def check(root):
    faults = []
    for path in common.cpp_files(root):
        name = path.as_posix()
        text = common.read(root, path)
        raw = text.split("\n")
        for number, line in enumerate(common.code_lines(text)):
            # The marker stands in the line or in the one above it.
            marks = set(ALLOWED.findall(raw[number]))
            if number > 0:
                marks |= set(ALLOWED.findall(raw[number - 1]))
            for rule, pattern, allowed, hint in COMPILED:
                if pattern.search(line) and not allowed.search(name) and rule not in marks:
                    faults.append(f"{name}:{number + 1}: {rule}: {raw[number].strip()}: {hint}")
    return faults


def self_test():
    common.expect(check, {
        "services/x/a.cc": "// absl::Now() in a comment\n/* getenv(\n rand( */\n"
                           'Log("std::cout << sleep(1)");\nauto r = R"(getenv( ")";\n'
                           "auto t = steady_clock::now();\nint time(int);\nx.time(0);\n"
                           "auto n = 1'000; operand(); brand(1);\n"
                           "std::chrono::system_clock::time_point deadline;\n",
        "services/x/x_main.cc": "getenv(\"A\"); absl::Now(); std::cout << 1;\n",
        "common/base/mutex.h": "std::mutex m;\n",
        "common/testing/wait.h": "usleep(1000);\n",
        "tests/a_test.cc": "usleep(1000);  // allowed(sleep): what is tested is the passing of time\n"
                           "// allowed(sleep): it is above\nusleep(1);\n",
    }, [])
    for path, line, word in (
            ("services/x/a.cc", "auto t = absl::Now();", "clock:"),
            ("services/x/a.cc", "auto t = std::chrono::system_clock::now();", "clock:"),
            ("services/x/a.cc", "auto t = time(nullptr);", "clock:"),
            ("services/x/a_test.cc", "auto t = absl::Now();", "clock:"),
            ("services/x/a.cc", "int r = rand();", "random:"),
            ("services/x/a.cc", "std::mt19937_64 engine;", "random:"),
            ("services/x/a.cc", 'auto* v = std::getenv("HOME");', "environment:"),
            ("services/x/a.cc", "std::mutex m;", "mutex:"),
            ("services/x/a.cc", "absl::Mutex m;", "mutex:"),
            ("services/x/a.cc", "thread.detach();", "detach:"),
            ("common/testing/a_test.cc", "usleep(1);", "sleep:"),
            ("tests/a_test.cc", "std::this_thread::sleep_for(x);", "sleep:"),
            ("services/x/a.cc", "sleep(1);", "sleep:"),
            ("services/x/a.cc", "sleep(1);  // allowed(sleep):", "sleep:"),
            ("services/x/a.cc", "sleep(1);  // allowed(clock): another rule", "sleep:"),
            ("services/x/a.cc", "std::cerr << member;", "output:"),
            ("common/rpc/a.cc", 'printf("%s", text);', "output:"),
    ):
        common.expect(check, {path: line + "\n"}, [word])


if __name__ == "__main__":
    common.main(check, self_test, __doc__)
