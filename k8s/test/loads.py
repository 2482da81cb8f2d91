"""Load tests in a cluster, as the handbook starts them."""

import json
import os
import re
import signal

import archive
from handbook import Section
from machine import wait_for
from running import RELEASE, SPACE, page, told


class Load:
    """Simulated clients in a Job, from now on until they are stopped."""

    number = 0

    def __init__(self, network, clients=200):
        Load.number += 1
        self.network, self.clients, self.release = network, clients, f"load{Load.number}"
        section = Section("Load tests")
        identities = re.findall(r"[0-9a-f]{64}", (network.folder / "net" / "values.yaml").read_text())
        one = section.specification.removeprefix("coordinators:\n")
        every = [one.replace("coordinator-0", f"coordinator-{at}").replace("IDENTITY", identity) for at, identity in enumerate(identities)]
        (network.folder / "coordinators.yaml").write_text("coordinators:\n" + "".join(every))
        command = section.command(
            "helm install load", **{"install load": f"install {self.release}", "k8s/chart/antiphon-load": network.chart("antiphon-load"),
                                    "sha256:DIGEST": archive.digest_of(network.toolbox), "mix-network": "net",
                                    "clients=200": f"clients={clients}", "rounds=20": "rounds=2000"})
        small = "image.pullPolicy=Never,resources.requests.cpu=100m,resources.requests.memory=64Mi,resources.limits.memory=1Gi"
        network.run("sh", "-ec", f"{command} --server-side=false --set {small}")
        wait_for("the load test's clients", 180, self.are_linked, every=0.5)
        told(f"{clients} simulated clients are linked")

    def pod(self):
        pods = self.network.cluster.get("pods", "-n", SPACE, "--selector", f"app.kubernetes.io/instance={self.release}")
        return pods[0]

    def are_linked(self):
        pod = self.pod()
        assert pod["status"]["phase"] in ("Pending", "Running"), self.network.logs(pod["metadata"]["name"])
        # Those of all operators: the API server knows them all.
        shards = [each for each in self.network.cluster.get("pods", "-n", SPACE) if "-shard-" in each["metadata"]["name"]]
        linked = [re.findall(r"^antiphon_shard_clients (\d+)", page(each["status"].get("podIP", "0.0.0.0"), "/metrics"), re.M)
                  for each in shards]
        return sum(int(count) for counts in linked for count in counts) >= self.clients

    def stop(self):
        """Asks the program to stop, and returns what it found."""
        pod = self.pod()
        os.kill(self.network.process_of(pod), signal.SIGTERM)
        name = pod["metadata"]["name"]
        wait_for("the load test's end", 120, lambda: self.pod()["status"]["phase"] in ("Succeeded", "Failed"), every=0.5)
        # It complains that it was stopped, wherever it is with its report.
        said = "".join(line for line in self.network.logs(name).splitlines() if not line.startswith("error: interrupted"))
        self.network.helm("uninstall", self.release, "--namespace", SPACE)
        assert said.startswith("{"), said
        return Found(json.loads(said))


class Found:
    """The report of a load test."""

    def __init__(self, report):
        self.report = report

    def all_arrived(self, what):
        """Every round that was opened was delivered, and every message came as it was sent."""
        report = self.report
        # A leader that goes may have reserved a number that no round has then.
        opened = [each for each in report["rounds"] if each["outcome"] == "delivered" or each["submitted"]]
        told(f"FIGURE {what} under {report['clients']} clients: {len(opened)} rounds, {report['messages']} messages, "
             f"{report['lost_messages']} lost; of {len(opened) * report['clients']} times that a client could take part, it did not "
             f"{sum(each['late'] for each in opened)} times, {sum(each['absent'] for each in opened)} of them without a gateway")
        if beats := report["beats"]:
            told(f"FIGURE {what}: {beats['count']} beats, {beats['cells']} cells, {beats['lost_cells']} lost, {beats['latency_ms']} ms")
        bad = [each for each in opened if each["outcome"] != "delivered" or each["lost_messages"] or each["idle_disturbed"]]
        assert opened and not bad, shown(bad)
        return opened


def everybody_took_part(rounds):
    """No client was without a gateway in any round, or too late for it."""
    bad = [each for each in rounds if each["late"]]
    assert not bad, shown(bad)


def shown(rounds):
    names = ("round", "outcome", "latency_ms", "late", "absent", "refused", "lost_messages")
    return [{name: each[name] for name in names} for each in rounds]
