"""A network that a controller looks after, by what its operators run and see."""

import json
import os
import re
import signal
import tarfile

import archive
from handbook import Section
from installed import Network, volumes
from machine import wait_for
from running import RELEASE, SPACE, coordinators, page

COORDINATORS = coordinators(2)
# Operators beside the first, with one shard each: of three, two make a quorum, so that one shard of any may be away.
OTHERS = {"other": "beta", "third": "gamma"}
INTERVAL = 5.0
# The longest that users wait for a round when a leader is lost, or a shard, in seconds.
MOST_WITHOUT_A_LEADER, MOST_WITHOUT_A_SHARD = 10.0, 6.0
# Little noise, of a promise that is worth little: what is measured here is not the processor.
LITTLE_NOISE = ("--malicious", "0", "--trust-heavy-operators", "--epsilon", "ln4", "--delta", "1e-3", "--disturbed", "10",
                "--total-delta", "1")
# So many claims are made in all tests together, and a local volume is used once.
VOLUMES = 40


class Controlled(Network):
    def __init__(self, cluster, arguments):
        super().__init__(cluster, arguments.antiphon.resolve(), arguments.image.resolve())
        self.operator = arguments.operator.resolve()
        self.toolbox = arguments.toolbox and arguments.toolbox.resolve()
        self.handbook = Section("With the controller")
        self.killed = 0
        # What other operators' resources say of the coordinators, and the cloud, once there is one.
        self.join, self.cloud = None, None

    def prepare(self):
        super().prepare()
        volumes(self.cluster, range(10, 10 + VOLUMES))
        self.cluster.import_image(self.operator, "localhost/antiphon-operator")
        if self.toolbox:
            self.cluster.import_image(self.toolbox, "localhost/antiphon-toolbox")
        self.second, self.bad = self.another_image("next", None), self.another_image("bad", b"no program")
        # Commands of the handbook name no namespace where the current one is meant.
        config = json.loads(self.cluster.kubeconfig.read_text())
        config["contexts"][0]["context"]["namespace"] = SPACE
        self.cluster.kubeconfig.write_text(json.dumps(config))
        # As this old API server takes it: without rules in CEL.
        definition = self.chart("antiphon-definitions") / "templates" / "mixnetworks.yaml"
        definition.write_text(json.dumps(without_rules(json.loads(definition.read_text()))))
        self.cluster.start_front()

    def another_image(self, version, program):
        """The same program under another digest, as a new release would be, or another program."""
        with tarfile.open(self.image) as tar:
            manifest = json.load(tar.extractfile("manifest.json"))[0]
            with tarfile.open(fileobj=tar.extractfile(manifest["Layers"][0])) as files:
                program = program or files.extractfile("antiphond").read()
        content, digest = archive.builder().image_of(program, "localhost/antiphon", version)
        (self.folder / f"{version}.tar").write_bytes(content)
        self.cluster.import_image(self.folder / f"{version}.tar")
        return digest

    def run(self, *command):
        return self.cluster.machine.run(*command).stdout

    def follow(self, beginning, *more, **replaced):
        """Runs a command of the handbook."""
        return self.run("sh", "-ec", " ".join((self.handbook.command(beginning, **replaced), *more)))

    def install_controller(self):
        """As the handbook says; the image is there already, and this old API server applies on the client's side."""
        old = ("--server-side=false", "--disable-openapi-validation")
        for name, more in (("antiphon-definitions", {}), ("antiphon-operator", {"sha256:DIGEST": archive.digest_of(self.operator)})):
            chart = {f"k8s/chart/{name}": self.chart(name)}
            settings = ("--set", "image.pullPolicy=Never") if more else ()
            self.follow(f"helm install {name}", *old, *settings, **chart, **more)

    def make_keys(self):
        net = self.folder / "net"
        net.mkdir()
        operators = []
        for name in ("alpha", *OTHERS.values()):
            public = self.run(self.antiphon, "keygen", "operator", "--out", f"{name}.key").strip()
            operators += ["--operator", f"{name}={public}"]
        self.run(self.antiphon, "keygen", "network", *operators, *LITTLE_NOISE, "--out", "network.toml")
        (net / "network.toml").write_text((self.folder / "network.toml").read_text())
        shown = self.run(self.antiphon, "keygen", "show", "network.toml")
        self.id = re.search(r"network ((?:[0-9a-f]+ ?)+)", shown)[1].replace(" ", "").strip()
        self.follow("kubectl create secret generic alpha-key")
        self.follow("kubectl create configmap net")
        for name in OTHERS.values():
            self.run("kubectl", "create", "secret", "generic", f"{name}-key", f"--from-file=operator.key={name}.key")

    def documented(self, **changes):
        """The specification of the handbook, with what it leaves open and settings for a small machine."""
        import yaml
        text = self.handbook.specification.replace("DIGEST", self.digest.removeprefix("sha256:")).replace("ID ", f"{self.id} ")
        mix = yaml.safe_load(text)
        small = {"resources": {"cpuRequest": "100m", "memory": "256Mi"}, "state": {"storageClass": "local"}, "imagePullPolicy": "Never",
                 "requires": {"operators": 3}}
        mix["spec"] = {**mix["spec"], **small, **changes}
        for own in [mix["spec"]["coordinator"].get("run")]:
            if own is not None:
                own.update(deadlines={"gather_ms": 30000, "hand_over_ms": 10000, "submit_ms": 3000}, resources={"cpuRequest": "100m", "memory": "256Mi"})
        return mix

    def apply(self, mix):
        self.cluster.kubectl("apply", "--filename", "-", input=json.dumps(mix))

    def other(self, name, **changes):
        """The resource of another operator, with one shard."""
        operator = OTHERS[name]
        key = {"secret": f"{operator}-key"}
        mix = self.documented(**{"operator": operator, "shards": 1, "operatorKey": key, "coordinator": {"join": self.join}, **changes})
        mix["metadata"]["name"] = name
        return mix

    def without(self, name):
        """Has another operator's shards leave, and its resource go."""
        self.cluster.kubectl("delete", "mixnetwork", name, "--timeout=240s", timeout=260)
        wait_for("its pods to go", 240, lambda: not [pod for pod in self.all_pods() if pod.startswith(f"{name}-")], every=1)

    def patch(self, name=RELEASE, **spec):
        self.cluster.kubectl("patch", "mixnetwork", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def identities(self):
        """The coordinators' public keys, as shards are told them."""
        maps = {each["metadata"]["name"]: each["data"] for each in self.cluster.get("configmaps", "-n", SPACE)}
        config = maps.get(f"{RELEASE}-shard", {}).get(f"{RELEASE}-shard-0.toml", "")
        return re.findall(r'identity = "([0-9a-f]{64})"', config)

    def all_pods(self):
        return super().pods()

    def pods(self):
        """The pods of the first operator, and the coordinators'."""
        return {name: pod for name, pod in super().pods().items() if name.startswith(f"{RELEASE}-")}

    def shards(self):
        return {name: pod for name, pod in self.pods().items() if "-shard-" in name}

    def process_of(self, pod):
        """The number of a pod's process on this machine."""
        container = pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]
        tasks = self.cluster.ctr("tasks", "list").stdout.splitlines()
        [process] = [line.split()[1] for line in tasks if line.startswith(container)]
        return int(process)

    def kill(self, pod):
        os.kill(self.process_of(pod), signal.SIGKILL)

    def kill_controller(self):
        """Kills the controller that acts."""
        lease = json.loads(self.cluster.kubectl("get", "lease", "antiphon-operator", "-o", "json").stdout)
        holder = lease["spec"].get("holderIdentity")
        if holder:
            self.killed += 1
            self.cluster.kubectl("delete", "pod", holder, "--grace-period=0", "--force", "--wait=false", check=False)

    def restarts_of_the_controller(self):
        """How often each of its pods' programs was started again."""
        pods = json.loads(self.cluster.kubectl("get", "pods", "--selector", "app.kubernetes.io/name=antiphon-operator", "-o", "json").stdout)
        return {pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods["items"]}

    def mix(self, name=RELEASE):
        return json.loads(self.cluster.kubectl("get", "mixnetwork", name, "-o", "json").stdout)

    def conditions(self, name=RELEASE):
        return self.mix(name).get("status", {}).get("conditions", [])

    def condition(self, kind, name=RELEASE):
        return next((each for each in self.conditions(name) if each["type"] == kind), {"status": "", "message": "", "reason": ""})

    def serves(self, shards, name=RELEASE):
        mix = self.mix(name)
        conditions = {each["type"]: each["status"] for each in mix.get("status", {}).get("conditions", [])}
        settled = conditions.get("Progressing") == "False" and conditions.get("Ready") == "True"
        current = mix.get("status", {}).get("observedGeneration") == mix["metadata"]["generation"]
        return current and settled and mix["status"]["shards"] == shards

    def strength(self):
        """The layers of the epoch, and the weight that is present beyond what an epoch takes."""
        status = self.mix()["status"]
        return status["layers"], status["quorumMargin"]

    def have(self, shards):
        """Has the network so many shards before a test begins."""
        if self.mix()["spec"]["shards"] != shards:
            self.patch(shards=shards)
        wait_for(f"{shards} shards that serve", 420, lambda: self.serves(shards) and len(self.shards()) == shards, every=1)

    def keys(self):
        secrets = self.cluster.get("secrets", "-n", SPACE)
        return next(each["data"] for each in secrets if each["metadata"]["name"] == f"{RELEASE}-shard-keys")

    def claims(self):
        names = {each["metadata"]["name"] for each in self.cluster.get("persistentvolumeclaims", "-n", SPACE)}
        return {name for name in names if name.startswith(f"state-{RELEASE}-")}

    def leader(self):
        """The term and the pod of the coordinator that leads, if one does."""
        pages = [(host.split(".")[0], page(host, "/status")) for host in COORDINATORS]
        # One that stops says so in words.
        leaderships = [(pod, json.loads(text)["leadership"]) for pod, text in pages if text.startswith("{")]
        return max(((each["term"], pod) for pod, each in leaderships if each["role"] == "leader"), default=None)

    def both_coordinators_are_ready(self):
        return [is_ready(pod) for name, pod in self.pods().items() if "-coordinator-" in name] == [True] * len(COORDINATORS)

    def clients_of(self, shard):
        """How many clients are linked to a shard."""
        host = self.all_pods()[shard]["status"].get("podIP", "0.0.0.0")
        counted = re.findall(r"^antiphon_shard_clients (\d+)", page(host, "/metrics"), re.M)
        return sum(map(int, counted))

    def in_epoch(self, pod):
        """Whether a shard's pod takes part, as its node sees it."""
        return page(pod["status"].get("podIP", "0.0.0.0"), "/ready").startswith("ready: in epoch")


def is_ready(pod):
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def without_rules(value):
    if isinstance(value, dict):
        return {key: without_rules(each) for key, each in value.items() if key != "x-kubernetes-validations"}
    return [without_rules(each) for each in value] if isinstance(value, list) else value
