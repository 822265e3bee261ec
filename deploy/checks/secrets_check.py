#!/usr/bin/env python3
"""What deploy/make_secrets makes is what the chart mounts.

usage: secrets_check.py RENDER.yaml KUBECTL   prints each fault, exits 1 if there is one

RENDER is the chart with default values. The script `apply` runs with the real kubectl, but for its
last step, which would need a cluster.
"""
import os
import subprocess
import sys
import tempfile

import yaml

# Only the operator knows these; deploy/README.md makes them by hand.
BY_HAND = {"handrail-profiles-database", "handrail-matching-database", "handrail-messaging-database",
           "handrail-redis"}


def wanted_of(render):
    """Secret name to the keys that a volume takes from it."""
    with open(render, encoding="utf-8") as stream:
        docs = [doc for doc in yaml.safe_load_all(stream) if doc]
    wanted = {}
    for doc in docs:
        if doc["kind"] != "Deployment":
            continue
        for volume in doc["spec"]["template"]["spec"]["volumes"]:
            if "secret" in volume:
                keys = wanted.setdefault(volume["secret"]["secretName"], set())
                keys |= {item["key"] for item in volume["secret"].get("items", [])}
    for name, keys in wanted.items():
        if name.endswith("-tls"):
            keys |= {"tls.crt", "tls.key"} | (set() if "edge" in name else {"ca.crt"})
    return wanted


def made_by(kubectl):
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["deploy/make_secrets", f"{work}/made"], check=True, capture_output=True)
        os.mkdir(f"{work}/bin")
        with open(f"{work}/bin/kubectl", "w", encoding="utf-8") as stream:
            stream.write(f'#!/bin/sh\ncase " $* " in *" apply "*) echo ---; cat ;; '
                         f'*) exec {os.path.abspath(kubectl)} "$@" ;; esac\n')
        os.chmod(f"{work}/bin/kubectl", 0o755)
        text = subprocess.run(
            [f"{work}/made/apply"], check=True, capture_output=True, text=True,
            env={"PATH": f"{work}/bin:{os.environ['PATH']}", "HOME": work}).stdout
    return {doc["metadata"]["name"]: set(doc["data"]) for doc in yaml.safe_load_all(text) if doc}


def main(arguments):
    if len(arguments) != 2:
        print(__doc__)
        return 2
    wanted, made = wanted_of(arguments[0]), made_by(arguments[1])
    with open("deploy/README.md", encoding="utf-8") as stream:
        readme = stream.read()
    faults = []
    for name, keys in wanted.items():
        if name in BY_HAND:
            if name.replace("profiles", "$service").replace("matching", "$service").replace(
                    "messaging", "$service") not in readme:
                faults.append(f"deploy/README.md does not say how to make {name}")
        elif not keys <= made.get(name, set()):
            faults.append(f"{name}: wanted {sorted(keys)}, made {sorted(made.get(name, ()))}")
    faults += [f"{name}: made and never mounted" for name in set(made) - set(wanted)]
    if len(wanted) < 10:
        faults.append(f"only {len(wanted)} Secrets found in the render")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
