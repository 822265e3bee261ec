#!/usr/bin/env python3
"""The include rule: dependence goes one way (docs/architecture.md).

- A folder of common/ includes only the folders below it, and the libraries that are its purpose.
- services/<x>/domain includes common/base, its own folder, absl and the C++ standard library.
- A service never includes another one; common/ includes no service.
Tests may include more: the suites they run, common/testing, test libraries, the stores.
"""

import re

import common

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
TEST_FILE = re.compile(r"_(test(_\w+)?|conformance|fuzzer)\.(cc|h)$|(^|/)testing/|^tests/")

# Folder -> what it may include of ours. Its own folder always.
OURS = {
    "common/base": (),
    "common/storage": ("common/base",),
    "common/crypto": ("common/base", "common/storage"),
    "common/rpc": ("common/base", "common/crypto", "common/storage", "handrail"),
}
# Libraries that are kept out of a folder. Prefixes of an include path.
GRPC = ("grpc/", "grpcpp/", "google/", "handrail/")
STORES = ("sqlite3", "libpq", "postgresql/", "hiredis/", "pg_")
KEPT_OUT = {
    "common/base": GRPC + STORES + ("openssl/", "sodium", "nlohmann/", "prometheus/", "httplib"),
    "common/storage": GRPC,
    "common/crypto": GRPC,
    "common/rpc": STORES,
}


def includes(text):
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) or match.group(2), match.group(2) is not None


def below(include, folder):
    return include.startswith(folder + "/")


def fault_in_common(folder, include):
    if include.startswith("services/"):
        return "common/ includes no service"
    if include.startswith("common/"):
        allowed = OURS[folder] + (folder,)
        if not any(below(include, f) for f in allowed):
            return f"{folder} may include only {', '.join(allowed)} of ours"
    if include.startswith(KEPT_OUT[folder]) and not any(below(include, f) for f in OURS[folder]):
        return f"this library stays out of {folder}"
    return None


def fault_in_domain(service, include, angled):
    if angled:
        # The C++ standard library has no suffix; a system header would be a door to the outside.
        return "a domain includes no system header" if "." in include or "/" in include else None
    if include.startswith("absl/") or below(include, "common/base"):
        return None
    if below(include, f"services/{service}/domain"):
        return None
    return "a domain includes only common/base, itself, absl and the standard library"


def fault_of(path, include, angled):
    parts = path.split("/")
    service = parts[1] if parts[0] == "services" and len(parts) > 2 else None
    if service:
        other = re.match(r"services/([^/]+)/", include)
        if other and other.group(1) != service:
            return "a service never includes another; it owns the interface of what it needs"
    if TEST_FILE.search(path):
        return None
    if service and parts[2] == "domain":
        return fault_in_domain(service, include, angled)
    if service and re.search(r"(^|/)stores?/|_store\.(h|cc)$", "/".join(parts[2:])):
        if include.startswith(GRPC):
            return "a store knows neither gRPC nor protos"
    folder = "/".join(parts[:2])
    if folder in OURS:
        return fault_in_common(folder, include)
    return None


def check(root):
    faults = []
    services_with_code = set()
    services_with_domain = set()
    for path in common.cpp_files(root):
        name = path.as_posix()
        parts = path.parts
        if parts[0] == "services":
            services_with_code.add(parts[1])
            if parts[2] == "domain":
                services_with_domain.add(parts[1])
        for line, include, angled in includes(common.read(root, path)):
            fault = fault_of(name, include, angled)
            if fault:
                faults.append(f"{name}:{line}: includes {include}: {fault}")
    for service in sorted(services_with_code - services_with_domain):
        faults.append(f"services/{service}: has no folder domain/, so the rule guards nothing there")
    return faults


def self_test():
    good = {
        "common/base/a.h": '#include <vector>\n#include <unistd.h>\n#include "absl/time/time.h"\n'
                           '#include "common/base/b.h"\n',
        "common/base/a_test.cc": '#include "common/testing/c.h"\n#include "gtest/gtest.h"\n',
        "common/rpc/a.cc": '#include <grpcpp/grpcpp.h>\n#include "handrail/common/v1/policy.pb.h"\n',
        "services/x/domain/a.h": '#include <vector>\n#include "common/base/a.h"\n'
                                 '#include "services/x/domain/b.h"\n#include "absl/time/time.h"\n',
        "services/x/domain/a_test.cc": '#include "services/x/stores/s.h"\n',
        "services/x/handlers.cc": '#include "services/x/domain/a.h"\n#include <grpcpp/grpcpp.h>\n',
    }
    common.expect(check, good, [])
    for path, line, word in (
            ("common/base/z.h", '#include "common/storage/database.h"', "may include only"),
            ("common/base/z.h", "#include <grpcpp/grpcpp.h>", "stays out"),
            ("common/storage/z.cc", '#include "google/rpc/status.pb.h"', "stays out"),
            ("common/storage/z.cc", '#include "services/x/domain/a.h"', "no service"),
            ("common/rpc/z.cc", '#include "sqlite3.h"', "stays out"),
            ("services/x/domain/z.cc", "#  include <grpcpp/grpcpp.h>", "no system header"),
            ("services/x/domain/z.cc", "#include <sqlite3.h>", "no system header"),
            ("services/x/domain/z.cc", '#include "handrail/x/v1/x.pb.h"', "only common/base"),
            ("services/x/domain/z.cc", '#include "common/storage/database.h"', "only common/base"),
            ("services/x/domain/z.cc", '#include "services/x/stores/s.h"', "only common/base"),
            ("services/x/domain/z_test.cc", '#include "services/y/a.h"', "never includes another"),
            ("services/x/z.cc", '#include "services/y/domain/a.h"', "never includes another"),
            ("services/x/stores/z.cc", "#include <grpcpp/grpcpp.h>", "neither gRPC"),
            ("services/y/z.cc", "#include <vector>", "no folder domain"),
    ):
        common.expect(check, {**good, path: line + "\n"}, [word])


if __name__ == "__main__":
    common.main(check, self_test, __doc__)
