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
