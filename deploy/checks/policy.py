#!/usr/bin/env python3
"""What every render of the chart must hold, beyond being valid Kubernetes.

usage: policy.py RENDER.yaml...     prints each fault, exits 1 if there is one
       policy.py --self-test RENDER.yaml   plants faults into the render; each rule must catch its own
"""
import copy
import sys

import yaml

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")


def name_of(doc):
    return f"{doc['kind']} {doc['metadata']['name']}"


def of_kind(docs, *kinds):
    return [doc for doc in docs if doc["kind"] in kinds]


def pod_of(workload):
    return workload["spec"]["template"]


def containers(pod):
    return pod["spec"].get("containers", []) + pod["spec"].get("initContainers", [])


def matches(selector, labels):
    """A label selector against labels; matchExpressions In only, which is all that we use."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In" or labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def rule_restricted_pods(docs):
    for workload in of_kind(docs, *WORKLOADS):
        spec, where = pod_of(workload)["spec"], name_of(workload)
        security = spec.get("securityContext", {})
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            yield f"{where}: the pod may run as root"
        if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{where}: no seccomp profile"
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(key):
                yield f"{where}: {key}"
        for volume in spec.get("volumes", []):
            if "hostPath" in volume:
                yield f"{where}: volume {volume['name']} is a path of the node"
        for container in containers(pod_of(workload)):
            own = container.get("securityContext", {})
            what = f"{where}, container {container['name']}"
            if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
                yield f"{what}: may gain privileges"
            if own.get("readOnlyRootFilesystem") is not True:
                yield f"{what}: can write to its root file system"
            if own.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{what}: has capabilities"


def rule_no_account_token(docs):
    accounts = {doc["metadata"]["name"]: doc for doc in of_kind(docs, "ServiceAccount")}
    for workload in of_kind(docs, *WORKLOADS):
        spec = pod_of(workload)["spec"]
        account = accounts.get(spec.get("serviceAccountName"))
        if account is None:
            yield f"{name_of(workload)}: its service account is not of this chart"
        elif account.get("automountServiceAccountToken") is not False:
            yield f"{name_of(account)}: hands out its token"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name_of(workload)}: mounts a service account's token"


def rule_probes(docs):
    wanted = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for workload in of_kind(docs, "Deployment", "StatefulSet"):
        for container in pod_of(workload)["spec"]["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe, path in wanted.items():
                get = container.get(probe, {}).get("httpGet", {})
                if get.get("path") != path or get.get("port") not in ports:
                    yield f"{name_of(workload)}: {probe} is not {path} on one of its ports"


def rule_resources(docs):
    for workload in of_kind(docs, *WORKLOADS):
        for container in containers(pod_of(workload)):
            resources = container.get("resources", {})
            if not resources.get("limits", {}).get("memory"):
                yield f"{name_of(workload)}: no memory limit"
            if not {"cpu", "memory"} <= set(resources.get("requests", {})):
                yield f"{name_of(workload)}: asks for no cpu or no memory"
        for volume in pod_of(workload)["spec"].get("volumes", []):
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{name_of(workload)}: volume {volume['name']} has no size limit"


def seconds_of(args, flag):
    values = [arg.split("=")[1] for arg in args if arg.startswith(f"--{flag}=")]
    return int(values[0].rstrip("s")) if values else 0


def rule_drain(docs):
    for workload in of_kind(docs, "Deployment"):
        spec = pod_of(workload)["spec"]
        grace = spec.get("terminationGracePeriodSeconds", 30)
        for container in spec["containers"]:
            pre_stop = container.get("lifecycle", {}).get("preStop")
            if not pre_stop:
                yield f"{name_of(workload)}: no preStop"
                continue
            args = container.get("args", [])
            need = (pre_stop.get("sleep", {}).get("seconds", 0)
                    + seconds_of(args, "drain_serve_on") + seconds_of(args, "drain_deadline"))
            if grace <= need:
                yield f"{name_of(workload)}: {grace} s of grace end before the drain, {need} s"


def rule_disruption(docs):
    for workload in of_kind(docs, "Deployment", "StatefulSet"):
        labels = pod_of(workload)["metadata"]["labels"]
        budgets = [doc for doc in of_kind(docs, "PodDisruptionBudget")
                   if matches(doc["spec"]["selector"], labels)]
        if len(budgets) != 1:
            yield f"{name_of(workload)}: {len(budgets)} PodDisruptionBudgets select it, not 1"
        constraints = pod_of(workload)["spec"].get("topologySpreadConstraints", [])
        keys = {c["topologyKey"] for c in constraints if matches(c["labelSelector"], labels)}
        if not {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} <= keys:
            yield f"{name_of(workload)}: does not spread over nodes and zones"


def rule_network_policies(docs):
    policies = of_kind(docs, "NetworkPolicy")
    workloads = of_kind(docs, *WORKLOADS)
    for workload in workloads:
        labels = pod_of(workload)["metadata"]["labels"]
        own = [p for p in policies if matches(p["spec"]["podSelector"], labels)]
        for kind in ("Ingress", "Egress"):
            if not any(kind in p["spec"].get("policyTypes", []) for p in own):
                yield f"{name_of(workload)}: no NetworkPolicy limits its {kind}"
    for policy in policies:
        yield from policy_rule_faults(policy, workloads)


def policy_rule_faults(policy, workloads):
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in policy["spec"].get(direction, []):
            is_dns = [p.get("port") for p in rule.get("ports", [])] == [53, 53]
            if not rule.get("ports"):
                yield f"{name_of(policy)}: {direction} on all ports"
            if not rule.get(peers) and not is_dns:
                yield f"{name_of(policy)}: {direction} with everybody"
            for peer in rule.get(peers, []):
                if "podSelector" not in peer:
                    continue
                if not any(matches(peer["podSelector"], pod_of(w)["metadata"]["labels"])
                           for w in workloads):
                    yield f"{name_of(policy)}: {direction} names pods that do not exist"


def allowed(policies, direction, peers, own_labels, peer_labels, ports):
    """Whether pods of `own_labels` may talk in `direction` with pods of `peer_labels` on a port."""
    for policy in policies:
        if not matches(policy["spec"]["podSelector"], own_labels):
            continue
        for rule in policy["spec"].get(direction, []):
            if not any(port.get("port") in ports for port in rule.get("ports", [])):
                continue
            if any("podSelector" in peer and matches(peer["podSelector"], peer_labels)
                   for peer in rule.get(peers, [])):
                return True
    return False


def connections(docs):
    """(from labels, to labels, port number, port name) of each address in a flag or in the edge."""
    services = {doc["metadata"]["name"]: doc for doc in of_kind(docs, "Service")}
    workloads = of_kind(docs, "Deployment")
    texts = {w["metadata"]["name"]: pod_of(w)["spec"]["containers"][0].get("args", [])
             for w in workloads}
    for config in of_kind(docs, "ConfigMap"):
        texts.setdefault(config["metadata"]["name"], []).extend(
            line.strip().removeprefix("server ").rstrip(";")
            for line in config["data"].get("upstreams.conf", "").splitlines()
            if line.strip().startswith("server ") and ".svc:" in line)
    for workload in workloads:
        for text in texts[workload["metadata"]["name"]]:
            if ".svc:" not in text:
                continue
            address = text.split("=")[-1].removeprefix("dns:///")
            host, port = address.split(":")
            yield workload, host.split(".")[0], int(port), services


def rule_connections(docs):
    workloads = of_kind(docs, "Deployment")
    policies = of_kind(docs, "NetworkPolicy")
    found = 0
    for workload, service_name, port, services in connections(docs):
        found += 1
        where = f"{name_of(workload)} to {service_name}:{port}"
        service = services.get(service_name)
        if service is None:
            yield f"{where}: there is no such Service"
            continue
        entry = [p for p in service["spec"]["ports"] if p["port"] == port]
        targets = [w for w in workloads
                   if matches({"matchLabels": service["spec"]["selector"]},
                              pod_of(w)["metadata"]["labels"])]
        if not entry or not targets:
            yield f"{where}: the Service has no such port or no pods"
            continue
        own = pod_of(workload)["metadata"]["labels"]
        peer = pod_of(targets[0])["metadata"]["labels"]
        ports = {entry[0].get("targetPort"), port}
        if not allowed(policies, "egress", "to", own, peer, ports):
            yield f"{where}: no NetworkPolicy lets it out"
        if not allowed(policies, "ingress", "from", peer, own, ports):
            yield f"{where}: no NetworkPolicy lets it in"
    if found < 9:
        yield f"only {found} connections between pods found; 9 are known"


def rule_names_meet(docs):
    workloads = of_kind(docs, "Deployment")
    for service in of_kind(docs, "Service"):
        targets = [w for w in workloads if matches({"matchLabels": service["spec"]["selector"]},
                                                   pod_of(w)["metadata"]["labels"])]
        if len(targets) != 1:
            yield f"{name_of(service)}: selects {len(targets)} workloads, not 1"
            continue
        ports = {port["name"] for container in pod_of(targets[0])["spec"]["containers"]
                 for port in container.get("ports", [])}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"{name_of(service)}: the pods have no port {port['targetPort']}"
    for workload in workloads:
        if not matches(workload["spec"]["selector"], pod_of(workload)["metadata"]["labels"]):
            yield f"{name_of(workload)}: does not select its own pods"
    for scaler in of_kind(docs, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        own = [w for w in workloads if w["metadata"]["name"] == target]
        if not own or "replicas" in own[0]["spec"]:
            yield f"{name_of(scaler)}: its Deployment is missing or fixes the number of pods"
    seen = set()
    for doc in docs:
        key = (doc["apiVersion"], name_of(doc))
        if key in seen:
            yield f"{name_of(doc)}: there are two"
        seen.add(key)


def rule_mounts(docs):
    for workload in of_kind(docs, *WORKLOADS):
        volumes = {volume["name"] for volume in pod_of(workload)["spec"].get("volumes", [])}
        mounted, paths = set(), []
        for container in containers(pod_of(workload)):
            for mount in container.get("volumeMounts", []):
                mounted.add(mount["name"])
                paths.append(mount["mountPath"])
            for arg in container.get("args", []):
                path = arg.split("=")[-1]
                if path.startswith("/") and not any(
                        path == p or path.startswith(p + "/") for p in paths):
                    yield f"{name_of(workload)}: {arg} is not mounted"
        for lone in volumes ^ mounted:
            yield f"{name_of(workload)}: volume {lone} is only mounted or only there"


def rule_secrets(docs):
    for secret in of_kind(docs, "Secret"):
        yield f"{name_of(secret)}: the chart holds no secrets, it names them"
    for workload in of_kind(docs, *WORKLOADS):
        for container in containers(pod_of(workload)):
            for variable in container.get("env", []) + container.get("envFrom", []):
                if "secret" in str(variable).lower() or "://" in str(variable):
                    yield f"{name_of(workload)}: a secret in the environment"
            for arg in container.get("args", []):
                if any(word in arg for word in ("--database_url=", "--redis_url=")) or (
                        "://" in arg and "@" in arg):
                    yield f"{name_of(workload)}: a secret on the command line"
        for volume in pod_of(workload)["spec"].get("volumes", []):
            if "secret" in volume and volume["secret"].get("defaultMode") != 0o440:
                yield f"{name_of(workload)}: Secret {volume['name']} can be read by others"


RULES = {name.removeprefix("rule_"): function for name, function in list(globals().items())
         if name.startswith("rule_")}


def faults_of(docs):
    return [(name, fault) for name, rule in RULES.items() for fault in rule(docs)]


def load(path):
    with open(path, encoding="utf-8") as stream:
        return [doc for doc in yaml.safe_load_all(stream) if doc]


# --- planted faults -----------------------------------------------------------------------------


def deployment(docs, component="matching"):
    return [d for d in of_kind(docs, "Deployment")
            if d["metadata"]["labels"]["app.kubernetes.io/component"] == component][0]


def spec_of(docs, component="matching"):
    return pod_of(deployment(docs, component))["spec"]


def container_of(docs, component="matching"):
    return spec_of(docs, component)["containers"][0]


def first(docs, kind, part):
    return [d for d in of_kind(docs, kind) if part in d["metadata"]["name"]][0]


PLANTED = [
    ("restricted_pods", lambda d: spec_of(d)["securityContext"].pop("runAsNonRoot")),
    ("restricted_pods", lambda d: spec_of(d)["securityContext"].pop("seccompProfile")),
    ("restricted_pods", lambda d: spec_of(d).update(hostNetwork=True)),
    ("restricted_pods", lambda d: spec_of(d)["volumes"].append(
        {"name": "x", "hostPath": {"path": "/"}})),
    ("restricted_pods", lambda d: container_of(d)["securityContext"].pop("readOnlyRootFilesystem")),
    ("restricted_pods", lambda d: container_of(d)["securityContext"].update(privileged=True)),
    ("restricted_pods", lambda d: container_of(d)["securityContext"]["capabilities"].update(
        add=["NET_ADMIN"])),
    ("no_account_token", lambda d: spec_of(d).pop("automountServiceAccountToken")),
    ("no_account_token", lambda d: spec_of(d).update(serviceAccountName="default")),
    ("probes", lambda d: container_of(d).pop("startupProbe")),
    ("probes", lambda d: container_of(d)["livenessProbe"]["httpGet"].update(path="/readyz")),
    ("probes", lambda d: container_of(d)["readinessProbe"]["httpGet"].update(port="metrics")),
    ("resources", lambda d: container_of(d)["resources"]["limits"].pop("memory")),
    ("resources", lambda d: container_of(d)["resources"].pop("requests")),
    ("resources", lambda d: spec_of(d)["volumes"][0].update(emptyDir={})),
    ("drain", lambda d: container_of(d, "edge")["lifecycle"].pop("preStop")),
    ("drain", lambda d: spec_of(d).update(terminationGracePeriodSeconds=30)),
    ("disruption", lambda d: d.remove(first(d, "PodDisruptionBudget", "matching"))),
    ("disruption", lambda d: spec_of(d)["topologySpreadConstraints"].pop()),
    ("network_policies", lambda d: [d.remove(p) for p in of_kind(d, "NetworkPolicy")
                                    if "matching" in p["metadata"]["name"]
                                    or "default-deny" in p["metadata"]["name"]]),
    ("network_policies", lambda d: first(d, "NetworkPolicy", "matching")["spec"]["ingress"].append(
        {"ports": [{"port": 1}]})),
    ("network_policies", lambda d: first(d, "NetworkPolicy", "edge")["spec"]["egress"][0].pop(
        "ports")),
    ("connections", lambda d: first(d, "NetworkPolicy", "matching")["spec"].update(egress=[])),
    ("connections", lambda d: first(d, "NetworkPolicy", "profiles")["spec"].update(ingress=[])),
    ("connections", lambda d: d.remove(first(d, "Service", "messaging-edge"))),
    ("connections", lambda d: first(d, "Service", "profiles")["spec"].update(ports=[])),
    ("names_meet", lambda d: first(d, "Service", "messaging")["spec"]["selector"].update(x="y")),
    ("names_meet", lambda d: container_of(d)["ports"].pop()),
    ("names_meet", lambda d: deployment(d)["spec"]["selector"]["matchLabels"].update(x="y")),
    ("names_meet", lambda d: d.append(copy.deepcopy(first(d, "Service", "edge")))),
    ("names_meet", lambda d: first(d, "HorizontalPodAutoscaler", "matching")["spec"][
        "scaleTargetRef"].update(name="x")),
    ("names_meet", lambda d: deployment(d)["spec"].update(replicas=2)),
    ("mounts", lambda d: container_of(d)["volumeMounts"].pop()),
    ("mounts", lambda d: container_of(d)["args"].append("--key_ring_file=/elsewhere")),
    ("secrets", lambda d: d.append({"apiVersion": "v1", "kind": "Secret", "metadata": {
        "name": "x"}})),
    ("secrets", lambda d: container_of(d)["args"].append("--redis_url=redis://u:p@host")),
    ("secrets", lambda d: container_of(d).update(env=[{"name": "X", "valueFrom": {
        "secretKeyRef": {"name": "y", "key": "z"}}}])),
    ("secrets", lambda d: spec_of(d)["volumes"][1]["secret"].update(defaultMode=0o644)),
]


def self_test(path):
    clean = load(path)
    failed = [f"the render itself: {rule}: {fault}" for rule, fault in faults_of(clean)]
    for number, (rule, plant) in enumerate(PLANTED):
        docs = copy.deepcopy(clean)
        plant(docs)
        if rule not in {found for found, _ in faults_of(docs)}:
            failed.append(f"planted fault {number} is not found by {rule}")
    for rule in set(RULES) - {rule for rule, _ in PLANTED}:
        failed.append(f"no fault was planted for {rule}")
    for line in failed:
        print(line)
    print(f"policy: {len(RULES)} rules, {len(PLANTED)} planted faults, {len(failed)} not as expected")
    return 1 if failed else 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--self-test":
        return self_test(arguments[1])
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    bad = 0
    for path in arguments:
        for rule, fault in faults_of(load(path)):
            print(f"{path}: {rule}: {fault}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
