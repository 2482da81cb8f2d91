"""Shards that the chart installed, and a controller that takes them over."""

import json

from controlled import COORDINATORS, INTERVAL, OTHERS
from handbook import Section
from machine import wait_for
from running import RELEASE, SPACE, Watch, told

NAME = "third"


def installed_by_the_chart(network):
    """The shard of one operator, with the key and the list that it had before, as `helm install` makes it."""
    network.without(NAME)
    (network.folder / "adopted.json").write_text(json.dumps({
        "image": {"pullPolicy": "Never", "digest": network.digest},
        "network": {"configMap": "net"},
        "operators": {"names": [OTHERS[NAME]], "configMap": f"{NAME}-operator-lists"},
        "shards": {"count": 1, "keys": f"{NAME}-shard-keys", "state": {"storageClass": "local"},
                   "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}},
        "coordinator": {"run": False, "identities": [each["identity"] for each in network.join],
                        "addresses": [each["address"] for each in network.join]}}))
    network.helm("install", NAME, network.chart(), "--namespace", SPACE, "--values", "adopted.json", "--server-side=false",
                 "--disable-openapi-validation")
    wait_for("the shard of the chart", 240, lambda: network.strength()[1] == 1 and is_in_an_epoch(network), every=1)


def is_in_an_epoch(network):
    pod = network.all_pods().get(f"{NAME}-shard-0")
    return pod and network.in_epoch(pod)


def a_network_that_the_chart_installed_is_taken_over_as_it_runs(network):
    installed_by_the_chart(network)
    section, watch = Section("Taking over what the chart installed"), Watch(COORDINATORS)
    before = network.all_pods()[f"{NAME}-shard-0"]["metadata"]["uid"]
    # It says something else than what runs, and nothing is touched for it.
    network.apply(network.other(NAME, log="debug"))
    words = wait_for("what hinders it", 60, lambda: network.condition("Degraded", NAME)["message"])
    assert "would replace its pods" in words and "debug" in words, words
    told(f"refused: {words}")
    assert network.all_pods()[f"{NAME}-shard-0"]["metadata"]["uid"] == before
    (network.folder / "adopted-mix.json").write_text(json.dumps(network.other(NAME)))

    def follow(beginning, **replaced):
        network.run("sh", "-ec", section.command(beginning, **replaced))

    follow("kubectl apply", **{"mix.yaml": "adopted-mix.json"})
    follow("kubectl wait", **{f"mixnetwork/{RELEASE}": f"mixnetwork/{NAME}"})
    follow("kubectl delete secret", **{f"name={RELEASE}": f"name={NAME}"})
    assert not section.untried, section.untried
    wait_for("the shard", 120, lambda: network.serves(1, NAME), every=1)
    assert network.all_pods()[f"{NAME}-shard-0"]["metadata"]["uid"] == before, "the pod was replaced"
    assert NAME not in network.helm("list", "--namespace", SPACE, "--short").split()
    # From here on it is as any other.
    network.patch(NAME, shards=2)
    wait_for("another shard of the same operator", 240, lambda: network.serves(2, NAME), every=1)
    network.patch(NAME, shards=1)
    wait_for("the one that was there before", 240, lambda: network.serves(1, NAME), every=1)
    assert network.all_pods()[f"{NAME}-shard-0"]["metadata"]["uid"] == before, "the pod was replaced"
    longest = watch.check("shards of the chart were taken over, and scaled to 2 and to 1,")
    assert longest < 2 * INTERVAL + 0.5, longest
