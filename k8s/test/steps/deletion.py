"""Networks that are deleted, with the controller and without it."""

import json
import time

from machine import wait_for
from running import RELEASE, SPACE, told


def a_deleted_network_leaves_keys_and_claims(network):
    network.cluster.kubectl("delete", "mixnetwork", "third", "--timeout=240s", timeout=260)
    claims, keys = network.claims(), network.keys()
    network.cluster.kubectl("delete", "mixnetwork", RELEASE, "--timeout=240s", timeout=260)
    wait_for("the pods to go", 120, lambda: not network.pods(), every=1)
    assert network.keys() == keys and network.claims() == claims
    told("deleted: keys and claims stay")


def without_the_controller_a_network_is_let_go_by_hand_and_its_namespace_goes(network):
    network.helm("uninstall", "antiphon-operator")
    wait_for("the controller to go", 60, lambda: not json.loads(network.cluster.kubectl(
        "get", "pods", "--selector", "app.kubernetes.io/name=antiphon-operator", "-o", "json").stdout)["items"], every=1)
    said = network.helm("uninstall", "antiphon-definitions")
    assert "mixnetworks.antiphon.dev" in said, f"nothing is said of what stays: {said}"
    assert network.mix("other"), "the definition stays, and with it what is of its kind"
    network.cluster.kubectl("delete", "mixnetwork", "other", "--wait=false")
    time.sleep(3)
    assert network.mix("other")["metadata"]["deletionTimestamp"]
    network.follow("kubectl patch", **{"mixnetwork mix": "mixnetwork other"})
    wait_for("the resource to go", 10, lambda: network.cluster.kubectl("get", "mixnetwork", "other", check=False).returncode)
    network.cluster.kubectl("delete", "namespace", SPACE, "--timeout=280s", timeout=300)
    told("let go by hand without the controller, and the namespace is gone")
