"""The dials that rendered network policies let through, and those that the protocol needs."""

import re

COORDINATOR, SHARD = "coordinator", "shard"


def component(selector):
    return selector["matchLabels"]["app.kubernetes.io/component"]


def ends(rule, key):
    """Who may be at the other end: a component, somebody who is described, or anybody."""
    if key not in rule:
        return ["anybody"]
    return [str(each) if "namespaceSelector" in each else component(each["podSelector"]) for each in rule[key]]


def allowed(objects):
    """(which pods, in or out, protocol, port, other end) of every policy."""
    found = set()
    for policy in (each for each in objects if each["kind"] == "NetworkPolicy"):
        spec, pods = policy["spec"], component(policy["spec"]["podSelector"])
        assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"]
        for direction, key in (("ingress", "from"), ("egress", "to")):
            # A direction that nothing is said of is closed.
            for rule in spec.get(direction, ()):
                # A rule without ports would let everything through.
                assert rule["ports"]
                for port in rule["ports"]:
                    found |= {(pods, direction, port["protocol"], port["port"], end) for end in ends(rule, key)}
    return found


def needed(objects):
    """What the listening ports and addresses of the rendered configurations ask for."""
    dials = set()
    sets = [each["metadata"]["name"] for each in objects if each["kind"] == "StatefulSet"]
    toml = {name: text for each in objects if each["kind"] == "ConfigMap" for name, text in each.get("data", {}).items()}
    if "mix-coordinator" in sets:
        dials |= {(COORDINATOR, "ingress", "UDP", port_of(toml["coordinator.toml"], key), "anybody")
                  for key in ("listen_shards", "listen_clients")}
    if "mix-shard" in sets:
        dials |= {(SHARD, "ingress", "TCP", 7100, "anybody"), (SHARD, "ingress", "UDP", 7101, "anybody")}
        dials |= {(SHARD, "egress", protocol, 53, "anybody") for protocol in ("TCP", "UDP")}
        dials.add((SHARD, "egress", "TCP", 7100, "anybody"))
    inside = "mix-coordinator" in sets
    if inside:
        controllers = str({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "antiphon-operator"}}})
        dials.add((COORDINATOR, "ingress", "TCP", port_of(toml["coordinator.toml"], "show"), controllers))
    if inside and "mix-shard" in sets:
        dials.add((SHARD, "egress", "UDP", 7000, COORDINATOR))
    shards = [text for name, text in toml.items() if name.startswith("mix-shard-") and name.endswith(".toml")]
    dials |= {(SHARD, "egress", "TCP", port_of(text, "advertise_peers"), "anybody") for text in shards}
    dials |= {(SHARD, "egress", "UDP", int(port), COORDINATOR if inside else "anybody")
              for text in shards for port in re.findall(r'^address = ".*:(\d+)"', text, re.M)}
    # Whoever is told of rounds, and the servers of names, for all that tell.
    for name, text in toml.items():
        pods = COORDINATOR if name == "coordinator.toml" else SHARD
        for port in re.findall(r'^endpoint = "http://.*:(\d+)"', text, re.M):
            dials |= {(pods, "egress", "TCP", int(port), "anybody")}
            dials |= {(pods, "egress", protocol, 53, "anybody") for protocol in ("TCP", "UDP")}
    if any(each["kind"] == "ServiceMonitor" for each in objects):
        # The set of values with a Prometheus, and with ports of other operators.
        prometheus = str({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}})
        dials |= {(pods, "ingress", "TCP", 9100, prometheus) for pods in (SHARD, COORDINATOR)}
        dials |= {(SHARD, "egress", "TCP", port, "anybody") for port in (7200, 31100)}
    return dials


def port_of(toml, key):
    [line] = [line for line in toml.splitlines() if line.startswith(key + " ")]
    return int(re.search(r':(\d+)"', line)[1])


class Place:
    """A pod by its namespace and labels, or whatever is in no pod."""

    def __init__(self, namespace=None, labels=None):
        self.namespace, self.labels = namespace, labels or {}


def places(charts):
    """Who there is: the pods of rendered charts, by their objects and namespaces, and others."""
    found = {"outside": Place(), "stranger": Place("antiphon", {"app": "stranger"}), "prometheus": Place("monitoring", {"app": "prometheus"}),
             "names": Place("kube-system", {"k8s-app": "kube-dns"})}
    for name, (objects, kind, namespace) in charts.items():
        [template] = [each["spec"]["template"] for each in objects if (each["kind"], each["metadata"]["name"]) == kind]
        found[name] = Place(namespace, template["metadata"]["labels"])
    return found


def permitted(policies, dialler, dialled, protocol, port):
    """Whether a cluster that enforces policies, each with its namespace, lets somebody dial: what both ends' policies allow."""
    ends = (("Egress", "egress", "to", dialler, dialled), ("Ingress", "ingress", "from", dialled, dialler))
    return all(lets_through(policies, *end, protocol, port) for end in ends)


def lets_through(policies, kind, direction, key, at, other, protocol, port):
    own = [(namespace, policy["spec"]) for namespace, policy in policies
           if namespace == at.namespace and kind in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], at.labels)]
    # Whoever no policy speaks of is open.
    return not own or any(
        {"port": port, "protocol": protocol} in rule["ports"] and (key not in rule or any(is_meant(each, namespace, other) for each in rule[key]))
        for namespace, spec in own for rule in spec.get(direction) or ())


def is_meant(peer, namespace, place):
    assert set(peer) <= {"podSelector", "namespaceSelector"}, peer
    if place.namespace is None:
        return False
    named = {"kubernetes.io/metadata.name": place.namespace}
    there = selects(peer["namespaceSelector"], named) if "namespaceSelector" in peer else place.namespace == namespace
    return there and selects(peer.get("podSelector", {}), place.labels)


def selects(selector, labels):
    assert set(selector) <= {"matchLabels"}, selector
    return selector.get("matchLabels", {}).items() <= labels.items()


def table(text):
    """(where, protocol, port) of each line, and who may dial it."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            target, who = line.split(":")
            where, protocol, port = target.split()
            yield (where, protocol, int(port)), set(who.split())
