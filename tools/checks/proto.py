#!/usr/bin/env python3
"""The rules of the API, with buf (tools/proto) and without a network:

lint      buf's STANDARD and COMMENTS (proto/buf.yaml)
breaking  nothing breaks a client of the committed baseline (tools/proto/baseline.binpb); a change
          that is meant to: tools/proto/baseline, and a line in docs/decisions.md
access    every method says who may call it and its rank under load; a write has a request_id
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import common

NODE_MODULES = common.ROOT / "tools/proto/node_modules"
BUF = NODE_MODULES / "@bufbuild/buf-linux-x64/bin/buf"
BASELINE = common.ROOT / "tools/proto/baseline.binpb"
POLICY = "[handrail.common.v1.policy]"
# What our protos may import from google-proto-files.
GOOGLE = ("api/annotations", "api/field_behavior", "api/field_info", "api/http", "api/resource",
          "rpc/error_details", "rpc/status", "type/date")


class Workspace:
    """A temporary buf workspace: our protos, and beside them the few google ones."""

    def __init__(self, protos=common.ROOT / "proto"):
        self._folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self._folder.name)
        shutil.copytree(protos, self.path / "proto")
        for name in GOOGLE:
            target = self.path / "google_protos/google" / f"{name}.proto"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(NODE_MODULES / "google-proto-files/google" / f"{name}.proto", target)
        (self.path / "buf.work.yaml").write_text("version: v1\ndirectories: [proto, google_protos]\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def buf(self, *arguments):
        """Lines that buf printed when it found faults; an empty list when it found none."""
        run = subprocess.run([str(BUF), *arguments], cwd=self.path, capture_output=True, text=True,
                             timeout=120, check=False)
        if run.returncode == 0:
            return []
        lines = [l for l in (run.stdout + run.stderr).split("\n") if l.strip()]
        return lines or [f"buf {arguments[0]} ended with {run.returncode}"]


def lint(workspace):
    return workspace.buf("lint", "proto")


def breaking(workspace, baseline=BASELINE):
    if not baseline.exists():
        return [f"{baseline.name} is not there: tools/proto/baseline makes it"]
    return workspace.buf("breaking", "proto", "--against", str(baseline))


def method_faults(method, full_name, fields_of):
    policy = method.get("options", {}).get(POLICY)
    if policy is None:
        return [f"{full_name}: has no (handrail.common.v1.policy): say who may call it"]
    faults = []
    if policy.get("access", "ACCESS_UNSPECIFIED") == "ACCESS_UNSPECIFIED":
        faults.append(f"{full_name}: its policy has no access")
    if policy.get("callClass", "CALL_CLASS_UNSPECIFIED") == "CALL_CLASS_UNSPECIFIED":
        faults.append(f"{full_name}: its policy has no call_class")
    if policy.get("write") and "request_id" not in fields_of.get(method["inputType"], ()):
        faults.append(f"{full_name}: is a write, and its request has no request_id")
    return faults


def access(workspace):
    image_path = workspace.path / "image.json"
    faults = workspace.buf("build", "proto", "-o", str(image_path))
    if faults:
        return faults
    image = json.loads(image_path.read_text(encoding="utf-8"))
    fields_of = {}
    for file in image["file"]:
        for message in file.get("messageType", []):
            fields_of[f".{file['package']}.{message['name']}"] = {
                field["name"] for field in message.get("field", [])}
    methods = 0
    for file in image["file"]:
        for service in file.get("service", []):
            for method in service.get("method", []):
                methods += 1
                name = f"{file['package']}.{service['name']}.{method['name']}"
                faults += method_faults(method, name, fields_of)
    return faults if methods else ["no method found: the check looked at nothing"]


RULES = {"lint": lint, "breaking": breaking, "access": access}

SAMPLE = '''// A file.
syntax = "proto3";

package handrail.sample.v1;

import "handrail/common/v1/policy.proto";

// A service.
service SampleService {
  // A call.
  rpc DoIt(DoItRequest) returns (DoItResponse) {
    option (handrail.common.v1.policy) = {
      access: ACCESS_MEMBER
      call_class: CALL_CLASS_MATCHING
      write: true
    };
  }
}

// A request.
message DoItRequest {
  // Names the call.
  string request_id = 1;
}

// A response.
message DoItResponse {
  // A name.
  string name = 1;
}
'''


def faults_of_sample(rule, old="", new="", **more):
    """What a rule says of the real protos with a sample beside them, one text of it replaced."""
    assert old in SAMPLE
    with tempfile.TemporaryDirectory() as folder:
        protos = pathlib.Path(folder, "proto")
        shutil.copytree(common.ROOT / "proto", protos)
        common.plant(protos, {
            "handrail/sample/v1/sample.proto": SAMPLE.replace(old, new) if old else SAMPLE})
        with Workspace(protos) as workspace:
            return RULES[rule](workspace, **more)


def self_test():
    def see(faults, word):
        if not any(word in fault for fault in faults):
            raise AssertionError(f"'{word}' not in {faults}")

    for rule in ("lint", "access"):
        faults = [f for f in faults_of_sample(rule) if "sample" in f]
        if faults:
            raise AssertionError(f"{rule} found without cause: {faults}")
    see(faults_of_sample("lint", "string request_id", "string requestId"), "lower_snake_case")
    see(faults_of_sample("lint", "  // A name.\n", ""), "comment")
    see(faults_of_sample("access", "access: ACCESS_MEMBER", ""), "has no access")
    see(faults_of_sample("access", "call_class: CALL_CLASS_MATCHING", ""), "has no call_class")
    see(faults_of_sample("access", "string request_id", "string other_id"), "no request_id")
    see(faults_of_sample("access", SAMPLE[SAMPLE.index("    option"):SAMPLE.index("  }\n}")], ""),
        "has no (handrail.common.v1.policy)")
    see(faults_of_sample("access", "string request_id = 1", "string request_id = "), "missing message field tag")
    with tempfile.TemporaryDirectory() as folder:
        before = pathlib.Path(folder, "before.binpb")
        see(faults_of_sample("breaking", baseline=before), "is not there")
        protos = pathlib.Path(folder, "proto")
        shutil.copytree(common.ROOT / "proto", protos)
        common.plant(protos, {"handrail/sample/v1/sample.proto": SAMPLE})
        with Workspace(protos) as workspace:
            assert workspace.buf("build", "proto", "-o", str(before)) == []
        assert faults_of_sample("breaking", baseline=before) == []
        see(faults_of_sample("breaking", "string name = 1", "string name = 2", baseline=before),
            "Previously present field")
        see(faults_of_sample("breaking", "string name = 1", "bytes name = 1", baseline=before),
            "changed type")


def write_baseline():
    with Workspace() as workspace:
        faults = workspace.buf("build", "proto", "--exclude-source-info", "-o", str(BASELINE))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rule", nargs="*", help="lint, breaking, access; none: all three")
    parser.add_argument("--self-test", action="store_true",
                        help="plant faults and see that the rules find them")
    parser.add_argument("--write-baseline", action="store_true",
                        help="make today's protos what later ones must not break")
    arguments = parser.parse_args()
    if not BUF.exists():
        sys.exit("buf is not there: run tools/setup")
    if arguments.write_baseline:
        sys.exit(write_baseline())
    if arguments.self_test:
        try:
            self_test()
        except AssertionError as error:
            print(f"self-test: {error}")
            sys.exit(2)
        return
    faults = []
    with Workspace() as workspace:
        for name in arguments.rule or RULES:
            if name not in RULES:
                parser.error(f"no rule {name}")
            faults += [f"{name}: {fault}" for fault in RULES[name](workspace)]
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
