"""New images, good and bad."""

import time

from controlled import COORDINATORS, INTERVAL, OTHERS, is_ready
from loads import Load, everybody_took_part
from machine import wait_for
from running import Watch, told


def a_bad_image_takes_one_pod_and_the_former_one_is_the_way_back(network):
    network.have(4)
    image = network.mix()["spec"]["image"]
    before = {name: pod["metadata"]["uid"] for name, pod in network.pods().items()}
    watch = Watch(COORDINATORS)
    network.patch(image=f"localhost/antiphon@{network.bad}")
    wait_for("a pod that does not run", 120, lambda: network.condition("Degraded")["reason"] == "PodsDoNotRun", every=0.5)
    words = network.condition("Degraded")["message"]
    # Time to take another one, if it were to.
    time.sleep(20)
    changed = [name for name, pod in network.pods().items() if pod["metadata"]["uid"] != before[name]]
    assert len(changed) == 1 and changed[0].rsplit("-", 1)[1] in words, (changed, words)
    told(f"{changed[0]} is of an image that does not run; the condition says: {words}")
    network.patch(image=image)
    began = time.monotonic()
    wait_for("the network as it was", 180, lambda: network.serves(4) and all(map(is_ready, network.pods().values())), every=0.5)
    now = {name: pod["metadata"]["uid"] for name, pod in network.pods().items()}
    assert [name for name in now if now[name] != before[name]] == changed, "another pod was replaced as well"
    told(f"FIGURE {time.monotonic() - began:.0f} s from the former image to a network that is whole, by nobody's hand")
    watch.check("a bad image and the way back")


class Upgrade:
    """An upgrade to the other one of two images."""

    def __init__(self, network):
        self.network, pods = network, network.pods()
        self.fewest = {kind: sum(f"-{kind}-" in name for name in pods) for kind in ("shard", "coordinator")}
        self.all = dict(self.fewest)
        old = network.mix()["spec"]["image"]
        self.digest = next(digest for digest in (network.second, network.digest) if not old.endswith(digest))
        network.patch(image=f"localhost/antiphon@{self.digest}")

    def is_done(self):
        pods = self.network.pods()
        for kind in self.fewest:
            there = [pod for name, pod in pods.items() if f"-{kind}-" in name and "deletionTimestamp" not in pod["metadata"]]
            self.fewest[kind] = min(self.fewest[kind], len(there))
        new = [pod for pod in pods.values() if pod["spec"]["containers"][0]["image"].endswith(self.digest)]
        up_to_date = self.network.condition("UpToDate")["status"] == "True"
        return len(new) == sum(self.all.values()) and up_to_date and self.network.serves(self.all["shard"])

    def finish(self):
        wait_for("all pods of the new image", 900, self.is_done, every=1)
        assert all(self.fewest[kind] >= count - 1 for kind, count in self.all.items()), self.fewest


def an_upgrade_takes_one_pod_at_a_time(network):
    network.have(4)
    watch = Watch(COORDINATORS)
    Upgrade(network).finish()
    longest = watch.check("upgraded two coordinators and four shards")
    assert longest < 2 * INTERVAL + 0.5, longest


def an_upgrade_under_load_is_noticed_by_nobody(network):
    network.have(3)
    load, before, watch = Load(network), network.strength(), Watch(COORDINATORS)
    Upgrade(network).finish()
    for name in OTHERS:
        network.patch(name, image=network.mix()["spec"]["image"])
        wait_for("another operator's shard", 300, lambda name=name: network.serves(1, name)
                 and network.condition("UpToDate", name)["status"] == "True", every=1)
    longest = watch.check("upgraded two coordinators and all five shards under load")
    rounds = load.stop().all_arrived("an upgrade of everything")
    assert network.strength() == before, (before, network.strength())
    told(f"FIGURE layers and quorum margin before and after: {before}")
    assert longest < 2 * INTERVAL + 0.5, longest
    everybody_took_part(rounds)
