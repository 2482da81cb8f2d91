"""A number of shards that follows the load."""

import json
import re
import time

from controlled import COORDINATORS
from loads import Load
from machine import wait_for
from running import Watch, page, told

# Epochs that are short enough to wait for, and have room for a change.
EPOCH = {"rounds": 60, "intervalMs": 2000, "prepareAheadRounds": 10}
FEWEST, MOST, CLIENTS = 3, 4, 400
# Rounds over which shares are taken, and some more.
MEASURED_IN = 25 * EPOCH["intervalMs"] / 1000
# A change is looked at again two epochs later.
SETTLES_IN = 3 * EPOCH["rounds"] * EPOCH["intervalMs"] / 1000


def with_short_epochs(network):
    """The controller replaces coordinators for another configuration."""
    own = network.mix()["spec"]["coordinator"]["run"]
    before = coordinators_of(network)
    network.patch(coordinator={"run": {**own, "epoch": EPOCH}})
    wait_for("coordinators with another configuration", 300, lambda: not set(before) & set(coordinators_of(network)), every=1)
    wait_for("both coordinators", 120, network.both_coordinators_are_ready, every=0.5)
    # Another number of shards takes another epoch.
    network.have(MOST)
    network.have(FEWEST)


def coordinators_of(network):
    return [pod["metadata"]["uid"] for name, pod in network.pods().items() if "-coordinator-" in name]


def shares(network):
    """How much of what they have rounds need: of the busiest shard's processors, and of their time."""
    def shown(host, name):
        return [float(value) for value in re.findall(rf"^{name} ([0-9.e-]+)$", page(host, "/metrics"), re.M)]
    hosts = [pod["status"].get("podIP", "0.0.0.0") for pod in network.shards().values()]
    computing = [value for host in hosts for value in shown(host, "antiphon_shard_round_share")]
    took = [value for host in COORDINATORS for value in shown(host, "antiphon_coordinator_round_share")]
    return (max(computing), max(took)) if computing and took else None


def settled_shares(network, what):
    time.sleep(MEASURED_IN)
    computing, took = wait_for("shares", 60, lambda: shares(network), every=1)
    told(f"FIGURE {what}: the busiest shard computes {computing:.1%} of its time, rounds take {took:.1%} of theirs")
    return computing, took


def the_number_of_shards_follows_the_load(network):
    with_short_epochs(network)
    idle = max(settled_shares(network, "without clients"))
    load = Load(network, CLIENTS)
    computing, took = settled_shares(network, f"with {CLIENTS} clients")
    # Enough for more, and the load without clients is little enough for fewer.
    target = min(max(20, round(80 * max(computing, took))), 90)
    asked = {"minShards": FEWEST, "maxShards": MOST, "targetPercent": target}
    told(f"asked for: {asked}")
    watch, numbers = Watch(COORDINATORS), Numbers(network)
    network.patch(autoscale=asked)
    numbers.until(MOST, 2 * SETTLES_IN)
    wait_for("all of them", 240, lambda: network.serves(MOST), every=1)
    # On the same load, it stays so when it is looked at again.
    numbers.look_for(SETTLES_IN)
    assert numbers.seen == [FEWEST, MOST], numbers.seen
    told(f"on a constant load: {numbers.seen}; {network.condition('Autoscaling')['message']}")
    load.stop().all_arrived("more shards by load")
    assert idle * MOST / (MOST - 1) < 0.8 * target / 100, (idle, target)
    numbers.until(FEWEST, 2 * SETTLES_IN)
    wait_for("the others", 240, lambda: network.serves(FEWEST), every=1)
    assert numbers.seen == [FEWEST, MOST, FEWEST], numbers.seen
    events = network.cluster.kubectl("get", "events", "-o", "json").stdout
    assert {"ScalesUp", "ScalesDown"} <= {each["reason"] for each in json.loads(events)["items"]}, "nothing is said of it"
    watch.check("scaled up and down by load")
    network.patch(autoscale=None)


class Numbers:
    """The numbers of shards that were asked for, one after the other."""

    def __init__(self, network):
        self.network, self.seen = network, [network.mix()["spec"]["shards"]]

    def look(self):
        now = self.network.mix()["spec"]["shards"]
        if now != self.seen[-1]:
            self.seen.append(now)
            told(f"{now} shards are asked for: {self.network.condition('Autoscaling')['message']}")
        return now

    def look_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(1)

    def until(self, wanted, within):
        wait_for(f"{wanted} shards to be asked for", within, lambda: self.look() == wanted, every=1)
