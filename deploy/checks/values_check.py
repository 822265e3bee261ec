#!/usr/bin/env python3
"""Values and schema of a chart meet.

usage: values_check.py CHART            each value has a comment near it and stands in the schema, and
                                        the schema has no value that values.yaml does not show
       values_check.py --objects CHART  the path of each object that has a fixed set of keys
"""
import json
import sys

import yaml


def resolve(schema, part):
    while "$ref" in part:
        part = schema["definitions"][part["$ref"].rsplit("/", 1)[1]]
    return part


def closed_objects(schema, part, path=""):
    part = resolve(schema, part)
    for alternative in part.get("allOf", []):
        yield from closed_objects(schema, alternative, path)
    if part.get("additionalProperties") is False:
        yield path
        for key, value in part["properties"].items():
            yield from closed_objects(schema, value, f"{path}{key}.")


def keys(schema, part, path=""):
    part = resolve(schema, part)
    for alternative in part.get("allOf", []):
        yield from keys(schema, alternative, path)
    for key, value in part.get("properties", {}).items():
        yield f"{path}{key}"
        yield from keys(schema, value, f"{path}{key}.")


def paths(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{key}.")


def uncommented(text):
    """Blocks of values (top level, separated by empty lines) without any comment."""
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip()]
        if lines and not any("#" in line for line in lines):
            # matching, messaging and edge repeat what profiles explains.
            if lines[0].rstrip(":") not in ("matching", "messaging"):
                yield lines[0]


def main(arguments):
    chart = arguments[-1]
    with open(f"{chart}/values.schema.json", encoding="utf-8") as stream:
        schema = json.load(stream)
    if arguments[0] == "--objects":
        print("\n".join(sorted(set(closed_objects(schema, schema)))))
        return 0
    with open(f"{chart}/values.yaml", encoding="utf-8") as stream:
        text = stream.read()
    values = yaml.safe_load(text)
    faults = [f"no comment: {name}" for name in uncommented(text)]
    shown = set(paths(values))
    known = set(keys(schema, schema))
    open_maps = ("labels", "annotations", "nodeSelector", "monitoringNamespace")
    faults += [f"not in the schema: {path}" for path in shown - known
               if not any(part in open_maps for part in path.split(".")[:-1])]
    hidden = {path for path in known - shown if path.split(".")[0] != "global"
              and not path.endswith(("ephemeral-storage", "limits.cpu"))}
    faults += [f"not in values.yaml: {path}" for path in hidden]
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
