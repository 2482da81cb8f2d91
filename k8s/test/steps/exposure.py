"""Shards that are dialled from outside of the cluster."""

from cloud import Cloud
from controlled import COORDINATORS, INTERVAL
from engine import NODE
from machine import wait_for
from running import SPACE, Client, Watch, told

NAME = "third"
# A node brings another configuration to a pod within so long, and a shard reads it every minute.
FOLLOWED_WITHIN = 180


def cloud_of(network):
    if network.cloud is None:
        network.cloud = Cloud(network.cluster)
    return network.cloud


def exposed(network, **exposure):
    """Makes another operator's resource anew, whose shard is exposed so."""
    network.without(NAME)
    network.apply(network.other(NAME, exposure=exposure))


def identity(network):
    return network.mix(NAME)["status"]["shardStates"][0]["identity"]


def reached(network, name, place, port):
    """A client that knows the network file and the coordinators alone reaches the shard there."""
    cloud = cloud_of(network)
    client = Client(network.cluster.machine, network.antiphon, name, "first", gateway=identity(network))
    before, process = cloud.dialled(place, port), client.start()
    wait_for(f"a client's link at {place}:{port}", 60, lambda: cloud.dialled(place, port) > before)
    wait_for("the shard's client", 60, lambda: network.clients_of(f"{NAME}-shard-0") == 1, every=0.5)
    process.terminate()
    process.wait(60)


def a_shard_is_reached_at_ports_of_its_node(network):
    cloud_of(network)
    watch = Watch(COORDINATORS)
    exposed(network, type="nodePort")
    wait_for("the shard at the node's ports", 240, lambda: network.serves(1, NAME), every=1)
    # Other shards find it there and nowhere else.
    ports = {each["metadata"]["name"]: each["spec"]["ports"][0]["nodePort"] for each in network.cluster.get("services", "-n", SPACE)
             if each["spec"]["type"] == "NodePort"}
    assert ports == {f"{NAME}-shard-0-peers": 30100, f"{NAME}-shard-0-clients": 30400}, ports
    assert cloud_of(network).dialled(NODE, 30100), "no shard has dialled it"
    reached(network, "by-node", NODE, 30400)
    watch.check("a shard went to ports of its node")


def a_shard_behind_load_balancers_waits_for_their_addresses_and_follows_them(network):
    network.without(NAME)
    cloud = cloud_of(network)
    cloud.pauses = True
    network.apply(network.other(NAME, exposure={"type": "loadBalancer"}))
    words = "waits for the load balancers of shard 0 to have addresses"
    wait_for("what is waited for, in words", 60, lambda: any(words in each["message"] for each in network.conditions(NAME)))
    assert f"{NAME}-shard-0" not in network.all_pods()
    cloud.pauses = False
    wait_for("the shard behind load balancers", 240, lambda: network.serves(1, NAME), every=1)
    service = (SPACE, f"{NAME}-shard-0-clients")
    reached(network, "by-cloud", cloud.given[service], 7101)
    pod, watch = network.all_pods()[f"{NAME}-shard-0"]["metadata"]["uid"], Watch(COORDINATORS)
    epoch = network.mix(NAME)["status"]["epoch"]
    moved = cloud.move(*service)
    wait_for("an epoch with the new address", FOLLOWED_WITHIN, lambda: network.mix(NAME)["status"].get("epoch", 0) > epoch, every=1)
    reached(network, "moved", moved, 7101)
    assert network.all_pods()[f"{NAME}-shard-0"]["metadata"]["uid"] == pod, "the pod was replaced"
    longest = watch.check("a load balancer's address changed")
    assert longest < 2 * INTERVAL + 0.5, longest
    told(f"FIGURE a client found the shard at {moved}, which its load balancer had not had before")
