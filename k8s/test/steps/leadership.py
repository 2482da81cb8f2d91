"""Coordinators that are killed, deleted and stopped for a while."""

import os
import re
import signal
import urllib.request

from controlled import COORDINATORS, INTERVAL, MOST_WITHOUT_A_LEADER
from machine import wait_for
from running import Watch, told


def rounds_go_on_without_the_coordinator_that_leads(network):
    for how in ("killed with signal 9", "deleted politely"):
        term, leader = wait_for("a coordinator that leads", 30, network.leader)
        pod = network.pods()[leader]
        watch = Watch(COORDINATORS)
        # Not within the same second as a round's end.
        wait_for("a round", 30, lambda: watch.delivered)
        if how.startswith("killed"):
            network.kill(pod)
        else:
            network.cluster.kubectl("delete", "pod", leader, "--wait=false")
        # One that is killed may be back in time to be elected again.
        next_term, next_leader = wait_for("an election", 30, lambda: (network.leader() or (0,))[0] > term and network.leader())
        seen = len(watch.delivered)
        wait_for("rounds by it", 60, lambda: len(watch.delivered) >= seen + 2)
        killed = how.startswith("killed")
        longest = watch.check(f"{leader} led in term {term} and was {how}; {next_leader} led in term {next_term},", aborted=4 * killed)
        assert longest < (MOST_WITHOUT_A_LEADER if killed else 2 * INTERVAL), longest
        wait_for("both coordinators", 90, lambda: has_come_back(network, pod), every=0.5)


def has_come_back(network, old):
    """Whether all coordinators are ready, and one of them is no more what it was."""
    new = network.pods().get(old["metadata"]["name"])
    starts = [(pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in (old, new)
              if pod and "containerStatuses" in pod["status"]]
    return len(starts) == 2 and starts[0] != starts[1] and network.both_coordinators_are_ready()


def of_two_that_lead_at_once_one_opens_rounds(network):
    """The one that leads stands still until another one leads, and then takes itself for the leader as before."""
    wait_for("both coordinators", 90, network.both_coordinators_are_ready, every=0.5)
    for pod in network.pods().values():
        set_log_level(pod, "antiphon_shard=debug,info")
    term, leader = wait_for("a coordinator that leads", 30, network.leader)
    process = network.process_of(network.pods()[leader])
    watch = Watch(COORDINATORS)
    wait_for("a round", 30, lambda: watch.delivered)
    os.kill(process, signal.SIGSTOP)
    try:
        next_term, next_leader = wait_for("another one that leads", 30, lambda: (network.leader() or (0,))[0] > term and network.leader())
        assert next_leader != leader, next_leader
    finally:
        os.kill(process, signal.SIGCONT)
    seen = len(watch.delivered)
    wait_for("rounds by it", 90, lambda: len(watch.delivered) >= seen + 4)
    longest = watch.check(f"{leader} of term {term} stood still and went on beside {next_leader} of term {next_term},", aborted=2)
    assert longest < MOST_WITHOUT_A_LEADER, longest
    each_round_ended_once(network)
    for pod in network.pods().values():
        set_log_level(pod, "info")


def set_log_level(pod, level):
    request = urllib.request.Request(f"http://{pod['status']['podIP']}:9100/log-level", level.encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def each_round_ended_once(network):
    """No number was used twice: neither a coordinator nor a shard has one in its log twice, nor have both coordinators."""
    opened = [number for name in network.pods() if "-coordinator-" in name
              for number in re.findall(r"round (\d+) of epoch \d+ opened", network.logs(name))]
    ended = {name: re.findall(r"round (?:not )?delivered.* round=(\d+)", network.logs(name)) for name in network.shards()}
    for who, numbers in {"coordinators": opened, **ended}.items():
        assert numbers, f"{who} logged no round"
        twice = {number for number in numbers if numbers.count(number) > 1}
        assert not twice, f"{who}: rounds {sorted(twice)} twice"
    told(f"FIGURE {len(opened)} rounds opened by two coordinators and {sum(map(len, ended.values()))} ends of rounds at "
         f"{len(ended)} shards, no number twice")
