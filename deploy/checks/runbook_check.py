#!/usr/bin/env python3
"""Each alert has a paragraph in deploy/README.md under its name, a test in which it fires, one in
which it is silent, and a severity; each metric that it names is one that the code registers.

usage: runbook_check.py   prints each fault, exits 1 if there is one
"""
import re
import subprocess
import sys

import yaml

ALERTS = "deploy/helm/handrail/files/alerts.yaml"
TESTS = "deploy/checks/alerts_test.yaml"


def main():
    with open(ALERTS, encoding="utf-8") as stream:
        rules = [rule for group in yaml.safe_load(stream)["groups"] for rule in group["rules"]]
    with open(TESTS, encoding="utf-8") as stream:
        cases = [case for test in yaml.safe_load(stream)["tests"] for case in test["alert_rule_test"]]
    with open("deploy/README.md", encoding="utf-8") as stream:
        headings = set(re.findall(r"(?m)^#+ (\w+)$", stream.read()))
    code = subprocess.run(
        ["git", "grep", "-h", "--untracked", "-oE", '"handrail_[a-z_]+"', "--", "common/*.cc",
         "services/*.cc", "common/*.h", "services/*.h"], check=True, capture_output=True,
        text=True).stdout
    registered = set(code.replace('"', "").split())
    faults = []
    for rule in rules:
        name = rule["alert"]
        own = [case for case in cases if case["alertname"] == name]
        if not any(case["exp_alerts"] for case in own):
            faults.append(f"{name}: no test in which it fires")
        if not any(not case["exp_alerts"] for case in own):
            faults.append(f"{name}: no test in which it is silent")
        if name not in headings:
            faults.append(f"{name}: no paragraph in deploy/README.md")
        if rule["annotations"].get("runbook") != f"deploy/README.md#{name.lower()}":
            faults.append(f"{name}: its runbook is not deploy/README.md#{name.lower()}")
        if rule["labels"].get("severity") not in ("page", "ticket"):
            faults.append(f"{name}: severity is page or ticket")
        for metric in re.findall(r"\bhandrail_[a-z_]+\b", rule["expr"]):
            if re.sub(r"_(bucket|sum|count)$", "", metric) not in registered:
                faults.append(f"{name}: nothing registers {metric}")
    if len(rules) < 4:
        faults.append(f"only {len(rules)} alerts found")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
