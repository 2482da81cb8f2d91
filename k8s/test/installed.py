"""A network that helm installs with an API server, by what its operators see of it there."""

import json
import pathlib
import re
import shutil
import subprocess

import archive
from handbook import Section
from machine import wait_for
from running import RELEASE, SHARDS, SPACE, told

HERE = pathlib.Path(__file__).resolve().parent
# Small requests: all pods share this machine with whatever else runs on it.
TEST_VALUES = {
    "image": {"pullPolicy": "Never"},
    "shards": {"resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}, "state": {"storageClass": "local"}},
    "coordinator": {"resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}, "state": {"storageClass": "local"},
                    "deadlines": {"gather_ms": 30000}},
}


def volumes(cluster, numbers):
    """Volumes of the test's node."""
    node = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node"]}]}]
    place = cluster.folder / "volumes"
    if not place.exists():
        # In memory: whoever else writes to this machine's disk should not hold up what is measured.
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)

    def volume(at):
        path = place / str(at)
        path.mkdir()
        return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"volume-{at}"},
                "spec": {"capacity": {"storage": "64Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                         "local": {"path": str(path)}, "nodeAffinity": {"required": {"nodeSelectorTerms": node}}}}

    cluster.apply(*map(volume, numbers))


class Network:
    """The network under test, by what its operators and users run."""

    def __init__(self, cluster, antiphon, image):
        self.cluster, self.antiphon, self.image = cluster, antiphon, image
        self.folder = cluster.folder
        self.install_section = Section("Install")

    def prepare(self):
        """Volumes, which a cloud would provide, and an image, which a registry would hold."""
        self.digest = archive.digest_of(self.image)
        metadata = {"name": SPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
                           {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
                            "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"})
        volumes(self.cluster, range(SHARDS + 1))
        wait_for("the namespace's account", 30, lambda: self.cluster.get("serviceaccounts", "-n", SPACE))

    def chart(self, name="antiphon"):
        """A chart as this old API server takes it: one kind has an older version's name there, with the same fields."""
        copy = self.folder / "charts" / name
        if copy.exists():
            return copy
        shutil.copytree(HERE.parent / "chart" / name, copy)
        for file in copy.rglob("*.yaml"):
            text = file.read_text().replace("policy/v1\n", "policy/v1beta1\n")
            file.write_text(re.sub(r"^kubeVersion:.*\n", "", text, flags=re.M))
        return copy

    def by_the_book(self, beginning, *more, **replaced):
        """Runs a command of the handbook on installing."""
        command = " ".join((self.install_section.command(beginning, **replaced), *map(str, more)))
        return self.cluster.machine.run("sh", "-ec", command, timeout=320).stdout

    def make_keys(self):
        self.cluster.machine.environment["ANTIPHON"] = str(self.antiphon)
        self.by_the_book("k8s/new-network", **{"k8s/new-network": HERE.parent / "new-network"})

    def install(self):
        (self.folder / "test-values.json").write_text(json.dumps(TEST_VALUES))
        self.by_the_book("kubectl apply")
        self.by_the_book("helm install mix", "--values", "test-values.json", "--server-side=false",
                         **{"k8s/chart/antiphon": self.chart(), "image.repository=REPOSITORY,": "", "sha256:DIGEST": self.digest})

    def helm(self, *arguments):
        return self.cluster.machine.run("helm", *arguments).stdout

    def pods(self):
        return {each["metadata"]["name"]: each for each in self.cluster.get("pods", "-n", SPACE)}

    def ready(self):
        def is_ready(pod):
            return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
        pods = self.pods().values()
        return len(pods) == SHARDS + 1 and all(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods)

    def logs(self, pod):
        return self.cluster.kubectl("logs", "-n", SPACE, pod).stdout


def keys_stay_when_it_is_uninstalled(network):
    network.helm("uninstall", RELEASE, "--namespace", SPACE, "--no-hooks")
    wait_for("the pods to go", 240, lambda: not network.pods(), every=1)
    secrets = {each["metadata"]["name"] for each in network.cluster.get("secrets", "-n", SPACE)}
    assert {f"{RELEASE}-coordinator-keys", f"{RELEASE}-shard-keys"} <= secrets, secrets
    claims = network.cluster.get("persistentvolumeclaims", "-n", SPACE)
    assert len(claims) == SHARDS + 1, claims
    left = [each["metadata"]["name"] for kind in ("services", "configmaps", "networkpolicies", "poddisruptionbudgets", "statefulsets")
            for each in network.cluster.get(kind, "-n", SPACE) if each["metadata"]["name"].startswith(RELEASE)]
    assert not left, left
    told("uninstalled: keys and claims stay, nothing else")
