"""A controller that is killed over and over while it does everything that it can do."""

import random
import time

from controlled import COORDINATORS
from machine import wait_for
from running import RELEASE, Watch, told
from steps.scaling import only_stayers_keep_keys_and_claims
from steps.upgrades import Upgrade

KILLS = 20
# Whoever comes after one that was killed waits for its Lease, 15 s, and is killed in its turn before it has done much, or after.
PAUSE = (6, 40)


class Killer:
    """Kills the controller that acts at random moments, until it has done so often enough."""

    def __init__(self, network):
        self.network, self.random = network, random.Random(12)
        self.first = network.killed
        self.next = time.monotonic() + self.random.uniform(*PAUSE) / 4

    def kills(self):
        return self.network.killed - self.first

    def __call__(self):
        if self.kills() < KILLS and time.monotonic() > self.next:
            self.network.kill_controller()
            self.next = time.monotonic() + self.random.uniform(*PAUSE)


def state(network, name):
    """What has to be the same in the end, whoever was killed on the way to it."""
    mix = network.mix(name)
    conditions = {each["type"]: each["status"] for each in mix["status"]["conditions"]}
    pods = {pod: each["spec"]["containers"][0]["image"] for pod, each in network.pods().items() if pod.startswith(f"{name}-")}
    return {"spec": mix["spec"], "conditions": conditions, "pods": pods, "shards": mix["status"]["shards"]}


def a_controller_that_is_killed_twenty_times_over_installs_scaling_upgrades_and_deletions_comes_to_the_same_end(network):
    network.have(3)
    wait_for("a network at rest", 60, lambda: network.serves(1, "third"), every=1)
    before = {name: state(network, name) for name in (RELEASE, "third")}
    keys, claims, watch = network.keys(), network.claims(), Watch(COORDINATORS)
    killer = Killer(network)

    def reach(what, within, check):
        wait_for(what, within, lambda: killer() or check(), every=0.5)

    while killer.kills() < KILLS:
        for _ in range(2):
            upgrade = Upgrade(network)
            network.patch(shards=5 if network.mix()["spec"]["shards"] == 3 else 3)
            upgrade.all["shard"] = network.mix()["spec"]["shards"]
            reach("a scaled and upgraded network", 900, upgrade.is_done)
        network.cluster.kubectl("delete", "mixnetwork", "third", "--wait=false")
        reach("a deleted network", 300, lambda: network.cluster.kubectl("get", "mixnetwork", "third", check=False).returncode)
        network.apply({"apiVersion": "antiphon.dev/v1alpha1", "kind": "MixNetwork", "metadata": {"name": "third"}, "spec": before["third"]["spec"]})
        reach("a network that is installed again", 300, lambda: network.serves(1, "third"))
    told(f"the controller was killed {killer.kills()} times")
    wait_for("the network as it was", 120, lambda: {name: state(network, name) for name in before} == before, every=1)
    only_stayers_keep_keys_and_claims(network, 3, keys)
    assert network.keys() == keys and network.claims() == claims, "keys and claims as before"
    watch.check(f"the controller was killed {killer.kills()} times over scaling, upgrades, a deletion and an install")
