#!/usr/bin/env python3
"""Starts the three services and the edge with the very arguments and files of a rendered chart.

usage: stack_check.py RENDER.yaml BIN_DIR ALERTS.yaml

Addresses, ports and folders are replaced, nothing else: TCP with mTLS between the services, TLS to
the edge, URLs and keys from files of mode 0440. Databases are SQLite, for lack of a cluster. Shows
that every flag exists, that the services get ready, that apps reach them through the edge and
nothing else, that alerts name metrics that are exported, and that SIGTERM drains. Ends with
"N passed, N failed".
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

COMPONENTS = ("profiles", "matching", "messaging")
# Services and methods to try: with no token a public method answers 0, a member's 16.
CALLS = (
    ("handrail.profiles.v1.IdentityService/ListSigningKeys", "0"),
    ("handrail.profiles.v1.ProfileService/GetProfile", "16"),
    ("handrail.matching.v1.MatchingService/ListTickets", "16"),
    ("handrail.messaging.v1.MessagingService/ListConversations", "16"),
    ("handrail.profiles.v1.DirectoryService/ListRevocations", "12"),
    ("handrail.matching.v1.MemberSyncService/PutMember", "12"),
    ("handrail.messaging.v1.ConversationSyncService/OpenConversation", "12"),
    ("handrail.profiles.v1.CaseSyncService/OpenCase", "12"),
)

passed = failed = 0


def expect(what, condition, seen=""):
    global passed, failed
    if condition:
        passed += 1
        return
    failed += 1
    print(f"FAILED: {what}" + (f": {seen}" if seen != "" else ""))


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def write(path, text, mode=0o440):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(path, mode)


def mount(source, target):
    """A copy, readable by the group, as Kubernetes mounts a Secret with an fsGroup."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(source):
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    for folder, _, names in os.walk(target):
        os.chmod(folder, 0o755)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o440)
    if not os.path.isdir(target):
        os.chmod(target, 0o440)


def tree(folder):
    return {os.path.join(where, name): open(os.path.join(where, name), "rb").read()
            for where, _, names in os.walk(folder) for name in names}


class Stack:
    def __init__(self, render, programs, work):
        with open(render, encoding="utf-8") as stream:
            self.docs = [doc for doc in yaml.safe_load_all(stream) if doc]
        self.programs, self.work = programs, work
        ports = iter(free_ports(3 * len(COMPONENTS) + 2))
        self.ports = {(c, p): next(ports) for c in COMPONENTS for p in (8443, 9443, 9090)}
        self.ports.update({("edge", 8443): next(ports), ("edge", 9090): next(ports)})
        self.processes = {}

    def arguments(self, component):
        for doc in self.docs:
            if doc["kind"] == "Deployment" and doc["metadata"]["name"].endswith("-" + component):
                return doc["spec"]["template"]["spec"]["containers"][0]["args"]
        raise KeyError(component)

    # The chart's flag with addresses and folders of this run.
    def here(self, component, argument):
        argument = re.sub(r"=0\.0\.0\.0:(\d+)$",
                          lambda m: f"=127.0.0.1:{self.ports[component, int(m[1])]}", argument)
        argument = re.sub(r"=dns:///\S+-(\w+)\.[\w-]+\.svc:(\d+)$",
                          lambda m: f"=dns:///localhost:{self.ports[m[1], int(m[2])]}", argument)
        return argument.replace("/etc/handrail/", f"{self.work}/{component}/")

    # The files of deploy/make_secrets, where the chart mounts them.
    def make_secrets(self):
        made = f"{self.work}/made"
        command = ["deploy/make_secrets", made, "--edge-host", "localhost", "--also-dns", "localhost"]
        subprocess.run(command, check=True, capture_output=True)
        first = tree(made)
        subprocess.run(command, check=True, capture_output=True)
        expect("make_secrets replaces nothing", tree(made) == first)
        os.chmod(self.work, 0o755)
        redis = f"{self.work}/redis.sock"
        self.processes["redis"] = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", redis, "--save", "", "--appendonly",
             "no", "--dir", self.work], stdout=subprocess.DEVNULL)
        for component in COMPONENTS:
            folder = f"{self.work}/{component}"
            write(f"{folder}/database/url", f"sqlite://{folder}/ledger.db\n")
            write(f"{folder}/redis/url", f"unix://{redis}\n")
            mount(f"{made}/tls-{component}", f"{folder}/tls")
        for component in COMPONENTS:
            mount(f"{made}/keyring-{component}", f"{self.work}/{component}/keyring/keyring")
        mount(f"{made}/signing-keys", f"{self.work}/profiles/signing-keys")
        mount(f"{made}/tls-edge", f"{self.work}/edge/edge-tls")
        mount(f"{made}/ca.crt", f"{self.work}/ca.crt")

    def check_flags(self, component):
        text = subprocess.run([f"{self.programs}/handrail_{component}", "--help"], check=True,
                              capture_output=True, text=True).stdout
        known = set(re.findall(r"--([a-z][a-z_]*)", text))
        used = {argument.split("=")[0].removeprefix("--")
                for argument in self.arguments(component)}
        expect(f"handrail_{component} has every flag of the chart", used <= known, used - known)
        invented = subprocess.run(
            [f"{self.programs}/handrail_{component}", "--no_such_flag=1"], check=False,
            capture_output=True)
        expect(f"handrail_{component} refuses a flag it does not know", invented.returncode == 2)

    def start_service(self, component):
        log = open(f"{self.work}/{component}.log", "wb")
        arguments = [self.here(component, argument) for argument in self.arguments(component)]
        self.processes[component] = subprocess.Popen(
            [f"{self.programs}/handrail_{component}", *arguments], stdout=log, stderr=log,
            env={"PATH": os.environ["PATH"]})

    def start_edge(self):
        config = next(doc for doc in self.docs
                      if doc["kind"] == "ConfigMap" and "nginx.conf" in doc["data"])["data"]
        folder = f"{self.work}/edge"
        for name, text in config.items():
            text = text.replace("/tmp/handrail-edge", f"{folder}/nginx")
            text = text.replace("/etc/handrail/ca/ca.crt", f"{self.work}/ca.crt")
            text = text.replace("/etc/handrail/edge-tls", f"{folder}/edge-tls")
            text = re.sub(r"server \S+-(\w+)-edge\.[\w-]+\.svc:(\d+);",
                          lambda m: f"server 127.0.0.1:{self.ports[m[1], int(m[2])]};", text)
            text = re.sub(r"listen (\d+)", lambda m: f"listen 127.0.0.1:{self.ports['edge', int(m[1])]}",
                          text)
            write(f"{folder}/{name}", text)
        # In a pod all of nginx is one user; here it may be root, whose workers would be nobody.
        user = "user root; " if os.getuid() == 0 else ""
        self.processes["edge"] = subprocess.Popen(
            ["nginx", "-e", "stderr", "-c", f"{folder}/nginx.conf", "-g", f"{user}daemon off;"],
            stdout=open(f"{self.work}/edge.log", "wb"), stderr=subprocess.STDOUT)

    def admin(self, component, path):
        url = f"http://127.0.0.1:{self.ports[component, 9090]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait_ready(self, component):
        until = time.monotonic() + 30
        answer = (0, "")
        while time.monotonic() < until and self.processes[component].poll() is None:
            answer = self.admin(component, "/readyz")
            if answer[0] == 200:
                break
            time.sleep(0.05)
        expect(f"{component} gets ready", answer[0] == 200, answer)
        if answer[0] != 200:
            with open(f"{self.work}/{component}.log", encoding="utf-8") as log:
                print(log.read()[-2000:])
        expect(f"{component} is live", self.admin(component, "/livez")[0] == 200)

    def call(self, method):
        """An empty request through the edge: the gRPC status."""
        frame = f"{self.work}/frame"
        with open(frame, "wb") as stream:
            stream.write(bytes(5))
        output = subprocess.run(
            ["curl", "-sS", "--http2", "--max-time", "10", "--cacert", f"{self.work}/ca.crt",
             "-H", "content-type: application/grpc", "-H", "te: trailers", "-H",
             "grpc-timeout: 5S", "--data-binary", f"@{frame}", "-D", "-", "-o", "/dev/null",
             f"https://localhost:{self.ports['edge', 8443]}/{method}"], check=False,
            capture_output=True, text=True)
        found = re.findall(r"(?mi)^grpc-status: (\d+)", output.stdout)
        return found[-1] if found else output.stdout + output.stderr

    def exported_metrics(self):
        names = set()
        for component in COMPONENTS:
            status, text = self.admin(component, "/metrics")
            expect(f"{component} exports metrics", status == 200)
            names |= set(re.findall(r"(?m)^([a-zA-Z_:][\w:]*)[{ ]", text))
        return names

    def stop(self, component, number):
        process = self.processes.pop(component)
        process.send_signal(number)
        try:
            code = process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            code = "no end after 20 s"
        return code

    def kill_all(self):
        for name, process in self.processes.items():
            # SIGKILL would leave nginx' workers behind.
            process.send_signal(signal.SIGTERM if name == "edge" else signal.SIGKILL)
            process.wait()


def metrics_of(path):
    with open(path, encoding="utf-8") as stream:
        return set(re.findall(r"\bhandrail_[a-z_]+\b", " ".join(
            rule["expr"] for group in yaml.safe_load(stream)["groups"] for rule in group["rules"])))


def check(stack, alerts):
    for component in COMPONENTS:
        stack.check_flags(component)
    stack.make_secrets()
    for component in COMPONENTS:
        stack.start_service(component)
    stack.start_edge()
    for component in COMPONENTS + ("edge",):
        stack.wait_ready(component)
    for method, status in CALLS:
        seen = stack.call(method)
        expect(f"{method} through the edge answers {status}", seen == status, seen)
    exported, named = stack.exported_metrics(), metrics_of(alerts)
    expect("alerts name metrics", len(named) >= 4, named)
    expect("every metric of an alert is exported", named <= exported, named - exported)
    for component in ("messaging", "matching", "profiles"):
        code = stack.stop(component, signal.SIGTERM)
        expect(f"{component} ends well on SIGTERM", code == 0, code)
    expect("a call to a service that is gone is UNAVAILABLE", stack.call(CALLS[0][0]) == "14")
    expect("the edge ends well on SIGQUIT", stack.stop("edge", signal.SIGQUIT) == 0)


def main(arguments):
    if len(arguments) != 3:
        print(__doc__)
        return 2
    render, programs, alerts = arguments
    missing = [c for c in COMPONENTS if not os.access(f"{programs}/handrail_{c}", os.X_OK)]
    expect(f"the services are built in {programs}", not missing, missing)
    if missing:
        finish()
    work = tempfile.mkdtemp(prefix="handrail-stack-")
    stack = Stack(render, os.path.abspath(programs), work)
    try:
        check(stack, alerts)
    finally:
        stack.kill_all()
        shutil.rmtree(work, ignore_errors=True)
    return finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
