"""A cloud for the test cluster, and what kube-proxy does on its node: load balancers get addresses, and what is dialled there or at
a node's port reaches the pod behind it."""

import json
import sys
import threading
import time

from engine import NODE

ADDRESSES = "10.99.0"
CHAIN = "ANTIPHON-CLOUD"


class Cloud:
    def __init__(self, cluster):
        self.cluster, self.given, self.rules = cluster, {}, None
        # No load balancer gets an address meanwhile.
        self.pauses = False
        self.nat("-N", CHAIN)
        for chain in ("PREROUTING", "OUTPUT"):
            self.nat("-A", chain, "-j", CHAIN)
        # Pods answer the node, which dialled them for others: they share a bridge with whoever dials.
        self.nat("-A", "POSTROUTING", "-m", "conntrack", "--ctstate", "DNAT", "-j", "MASQUERADE")
        threading.Thread(target=self.follow, daemon=True).start()

    def nat(self, *arguments):
        return self.cluster.machine.run(self.cluster.bin / "iptables", "-w", "-t", "nat", *arguments).stdout

    def follow(self):
        while True:
            try:
                self.look()
            except (RuntimeError, OSError) as error:
                print("cloud:", error, file=sys.stderr)
            time.sleep(0.5)

    def look(self):
        services = [each for each in self.cluster.get("services", "-A") if each["spec"]["type"] in ("LoadBalancer", "NodePort")]
        pods = {key(each): each.get("subsets", []) for each in self.cluster.get("endpoints", "-A")}
        rules = []
        for service in services:
            place = NODE
            if service["spec"]["type"] == "LoadBalancer":
                if self.pauses and key(service) not in self.given:
                    continue
                place = self.given.setdefault(key(service), f"{ADDRESSES}.{len(self.given) + 1}")
                self.tell(service, place)
            rules += to_pods(service, place, pods.get(key(service), []))
        if rules != self.rules:
            self.nat("-F", CHAIN)
            for rule in rules:
                self.nat("-A", CHAIN, *rule)
            self.rules = rules

    def tell(self, service, address):
        ingress = [{"ip": address}]
        if service.get("status", {}).get("loadBalancer", {}).get("ingress") == ingress:
            return
        namespace, name = key(service)
        self.cluster.kubectl("patch", "service", name, "-n", namespace, "--subresource=status", "--type=merge", "--patch",
                             json.dumps({"status": {"loadBalancer": {"ingress": ingress}}}))

    def move(self, namespace, name):
        """Gives a load balancer another address. Returns it."""
        others = {key: address for key, address in self.given.items() if key != (namespace, name)}
        numbers = [int(address.rsplit(".", 1)[1]) for address in self.given.values()]
        self.given = {**others, (namespace, name): f"{ADDRESSES}.{max(numbers) + 1}"}
        return self.given[namespace, name]

    def dialled(self, place, port):
        """How many connections, and flows of datagrams, were brought from a place and port to a pod so far."""
        words = [line.split() for line in self.nat("-L", CHAIN, "-v", "-x", "-n").splitlines()]
        return sum(int(line[0]) for line in words if place in line and f"dpt:{port}" in line)


def key(each):
    return each["metadata"]["namespace"], each["metadata"]["name"]


def to_pods(service, place, subsets):
    """What brings each port of a Service of one pod there."""
    found = [(subset, address) for subset in subsets for address in subset.get("addresses", []) + subset.get("notReadyAddresses", [])]
    for subset, address in found[:1]:
        numbers = {port["name"]: port["port"] for port in subset["ports"]}
        for port in service["spec"]["ports"]:
            dialled = port["nodePort"] if service["spec"]["type"] == "NodePort" else port["port"]
            yield ("-d", place, "-p", port["protocol"].lower(), "--dport", str(dialled), "-j", "DNAT", "--to-destination",
                   f"{address['ip']}:{numbers[port['name']]}")
