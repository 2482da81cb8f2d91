"""A network that is installed by the handbook's commands."""

import json
import time

from controlled import COORDINATORS, OTHERS
from machine import wait_for
from running import RELEASE, rounds, told


def a_network_is_installed_by_one_resource(network):
    mix = network.documented()
    assert mix["spec"]["coordinator"]["run"]["replicas"] == len(COORDINATORS) and mix["spec"]["shards"] == 3
    began = time.monotonic()
    (network.folder / "mix.yaml").write_text(json.dumps(mix))
    network.follow("kubectl apply")
    identities = wait_for("the coordinators' keys", 60, network.identities)
    network.join = [{"address": f"{RELEASE}-coordinator-{at}.{RELEASE}-coordinator:7000", "identity": identity, "status": f"http://{host}:9101"}
                    for (at, host), identity in zip(enumerate(COORDINATORS), identities)]
    for name in OTHERS:
        network.apply(network.other(name))
    wait_for("a delivered round", 240, lambda: any(rounds(host).get("delivered") for host in COORDINATORS))
    told(f"FIGURE first delivered round {time.monotonic() - began:.1f} s after the first of three resources was applied")
    wait_for("three shards that serve", 120, lambda: network.serves(3), every=1)
    for name in OTHERS:
        wait_for("the others' shards", 120, lambda name=name: network.serves(1, name), every=1)
    wait_for("the weight of all operators", 30, lambda: network.strength()[1] == 1, every=1)
    assert network.condition("AnyTrust")["status"] == "False", "one cluster is no anonymity"
    (network.folder / "net" / "values.yaml").write_text(f"coordinator: {{ identities: [{', '.join(identities)}] }}\n")
    told(network.cluster.kubectl("get", "mix").stdout)
    assert "Events:" in network.follow("kubectl describe mixnetwork")
    assert "operatorKey" in network.follow("kubectl explain mixnetwork.spec")
