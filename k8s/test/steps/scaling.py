"""Networks that get more shards and fewer, whatever happens meanwhile."""

import hashlib
import time

from controlled import COORDINATORS, INTERVAL, MOST_WITHOUT_A_LEADER
from loads import Load
from machine import wait_for
from running import RELEASE, Client, Watch, told


def scaled(network, shards, command, disturb=lambda: None, what="", **allowed):
    """Scales, and returns the longest time without a round meanwhile."""
    watch = Watch(COORDINATORS)
    command()

    def done():
        disturb()
        return network.serves(shards)

    wait_for(f"{shards} shards that serve", 420, done, every=0.5)
    return watch.check(f"scaled to {shards} shards{what}", **allowed)


class Killer:
    """Kills the controller that acts again and again: at times that grow, as the next one waits for the Lease of one that
    was killed, and has to get somewhere before it is killed in its turn."""

    def __init__(self, network):
        self.network, self.last, self.pause = network, time.monotonic(), 10

    def __call__(self):
        if time.monotonic() - self.last > self.pause:
            self.last, self.pause = time.monotonic(), self.pause + 20
            self.network.kill_controller()


def it_is_scaled_under_a_client_by_controllers_that_are_killed(network):
    network.have(3)
    machine, antiphon = network.cluster.machine, network.antiphon
    alice, bob = (Client(machine, antiphon, name, role) for name, role in (("alice", "first"), ("bob", "second")))
    for client in (alice, bob):
        client.start()
    for client in (alice, bob):
        wait_for("the client's socket", 60, client.waits_for_jobs)
    letter = machine.folder / "letter.txt"
    letter.write_bytes(hashlib.shake_256(b"letter").digest(4000))
    sending = machine.start("sending", antiphon, "send", "--config", alice.folder / "client.toml", letter)
    before, claims = network.keys(), network.claims()
    scaled(network, 5, lambda: network.follow("kubectl scale"), Killer(network), ", the controller killed again and again,")
    assert len(network.keys()) == 5 and len(network.claims()) == len(claims) + 2, (network.keys().keys(), network.claims())
    scaled(network, 4, lambda: network.patch(shards=4), Killer(network), ", the controller killed again and again,")
    told(f"controllers were killed {network.killed} times")
    wait_for("the leaver's claim to go", 60, lambda: len(network.claims()) == len(claims) + 1)
    only_stayers_keep_keys_and_claims(network, 4, before)
    wait_for("the file", 300, bob.inbox, every=1)
    assert bob.inbox() == [letter.read_bytes()] and sending.wait(60) == 0
    told("the file came whole through both")


def only_stayers_keep_keys_and_claims(network, shards, before):
    """Keys and claims of those that left are gone, and those of the others are untouched."""
    wait_for("the leavers' claims to go", 90, lambda: len(network.claims()) == shards + len(COORDINATORS), every=1)
    keys = network.keys()
    assert set(keys) == {f"{RELEASE}-shard-{at}.key" for at in range(shards)}, set(keys)
    kept = {name: key for name, key in before.items() if name in keys}
    assert {name: keys[name] for name in kept} == kept, "the stayers' keys are untouched"
    assert len(network.shards()) == shards


def it_is_scaled_to_eight_and_to_four_under_load(network):
    network.have(3)
    before, load = network.keys(), Load(network)
    network.patch(shards=3)
    began = time.monotonic()
    scaled(network, 8, lambda: network.cluster.kubectl("scale", "mixnetwork/mix", "--replicas=8"), what=" under load")
    took = time.monotonic() - began
    # As long before the end of an epoch as the next one is prepared, and a minute.
    assert took < 60 * INTERVAL + 60, took
    all_keys = network.keys()
    assert len(all_keys) == 8 and {name: all_keys[name] for name in before} == before
    scaled(network, 4, lambda: network.cluster.kubectl("scale", "mixnetwork/mix", "--replicas=4"), what=" under load")
    only_stayers_keep_keys_and_claims(network, 4, all_keys)
    load.stop().all_arrived("3 shards scaled to 8 and to 4")


def the_coordinator_that_leads_is_killed_while_it_is_scaled(network):
    network.have(3)
    watch = Watch(COORDINATORS)
    wait_for("a round", 30, lambda: watch.delivered)
    network.patch(shards=4)
    wait_for("a fourth pod", 60, lambda: len(network.shards()) == 4)
    _, leader = wait_for("a coordinator that leads", 30, network.leader)
    network.kill(network.pods()[leader])
    wait_for("four shards that serve", 300, lambda: network.serves(4), every=0.5)
    longest = watch.check(f"scaled to 4 shards, {leader}, which led, killed meanwhile,", aborted=1)
    assert longest < MOST_WITHOUT_A_LEADER, longest
    wait_for("both coordinators", 90, network.both_coordinators_are_ready, every=0.5)
