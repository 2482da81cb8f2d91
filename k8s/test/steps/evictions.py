"""Shards that are killed, and shards that are evicted as a drain of their node does it."""

import json
import time

from controlled import COORDINATORS, MOST_WITHOUT_A_SHARD
from machine import wait_for
from running import RELEASE, SPACE, Watch, told


def a_shard_that_is_killed_costs_a_round_at_most(network):
    network.have(4)
    pod = network.shards()[f"{RELEASE}-shard-1"]
    watch = Watch(COORDINATORS)
    wait_for("a round", 30, lambda: watch.delivered)
    network.kill(pod)
    seen = len(watch.delivered)
    wait_for("rounds without it", 90, lambda: len(watch.delivered) >= seen + 3)
    # An epoch is broken by it, as its keys are gone.
    longest = watch.check("a shard was killed with signal 9", aborted=1, broken=1, suspended=1)
    assert longest < MOST_WITHOUT_A_SHARD, longest
    wait_for("the network as it was", 240, lambda: network.serves(4), every=0.5)


def evict(network, pod):
    """Asks as `kubectl drain` does; returns whether the pod goes."""
    # In the version that this old API server has.
    eviction = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": pod, "namespace": SPACE}}
    done = network.cluster.kubectl("create", "--raw", f"/api/v1/namespaces/{SPACE}/pods/{pod}/eviction", "--filename", "-",
                                   input=json.dumps(eviction), check=False)
    assert done.returncode == 0 or "disruption budget" in done.stderr, done.stderr
    return done.returncode == 0


def a_second_eviction_waits_until_the_first_is_in_an_epoch_again(network):
    network.have(8)
    first, second = f"{RELEASE}-shard-2", f"{RELEASE}-shard-5"
    old = network.shards()[first]["metadata"]["uid"]
    watch, began = Watch(COORDINATORS), time.monotonic()
    wait_for("the first eviction", 60, lambda: evict(network, first))
    refused = 0
    while not evict(network, second):
        refused += 1
        assert time.monotonic() - began < 300, "the second eviction was never allowed"
        time.sleep(0.5)
    new = network.shards().get(first)
    assert refused and new and new["metadata"]["uid"] != old and network.in_epoch(new), (refused, new)
    told(f"FIGURE the second eviction was refused {refused} times, and allowed after {time.monotonic() - began:.0f} s, with the first "
         "shard in an epoch again")
    wait_for("the network as it was", 300, lambda: network.serves(8), every=0.5)
    watch.check("two of eight shards evicted")
