"""Specifications that cannot work."""

from machine import wait_for
from running import told


def what_cannot_work_is_refused_in_words_and_nothing_is_touched(network):
    shards = network.mix()["spec"]["shards"]
    before = {name: pod["metadata"]["uid"] for name, pod in network.pods().items()}
    good = {"image": network.mix()["spec"]["image"], "requires": {"operators": 3}, "network": {"configMap": "net", "id": network.id}}
    for change, words in (({"image": "localhost/antiphon:latest"}, "has no digest"),
                          ({"requires": {"operators": 5}}, "requires.operators is 5, and the network file has 3"),
                          ({"coordinator": {"run": {"replicas": 1}}}, "coordinator.run.replicas is 1, and 2 run"),
                          ({"network": {"configMap": "net", "id": "0" * 64}}, "somebody has another file")):
        network.patch(**change)
        wait_for(words, 30, lambda words=words: words in network.condition("Degraded")["message"], every=0.5)
        network.patch(**{**good, "coordinator": {"run": {"replicas": 2}}})
    assert {name: pod["metadata"]["uid"] for name, pod in network.pods().items()} == before
    wait_for("the network as it was", 60, lambda: network.serves(shards), every=0.5)
    told("bad specifications are refused in words")
