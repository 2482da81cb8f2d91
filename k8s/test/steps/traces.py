"""Rounds, as a collector in a pod is told of them."""

import json
import pathlib
import subprocess

import archive
from controlled import COORDINATORS, is_ready
from machine import wait_for
from running import SPACE, Watch, told

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "collector.c"
NAME, PORT = "other", 4318
# What docs/src/traces.md says that a shard tells.
SPANS = {"round", "submit", "layer", "wait", "receive", "peel", "shuffle", "verification", "exchange", "replies"}


def collector(network):
    """Runs a collector in a pod, and returns its address."""
    program = network.folder / "collector"
    network.run("cc", "-D_GNU_SOURCE", "-static", "-Os", "-o", program, SOURCE)
    content, digest = archive.builder().image_of(program.read_bytes(), "localhost/collector", "1", program_name="collector")
    (network.folder / "collector.tar").write_bytes(content)
    network.cluster.import_image(network.folder / "collector.tar", "localhost/collector")
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    pod = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    network.cluster.apply({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "collector", "namespace": SPACE},
        "spec": {"automountServiceAccountToken": False, "securityContext": pod,
                 "containers": [{"name": "collector", "image": f"localhost/collector@{digest}", "imagePullPolicy": "Never",
                                 "securityContext": restricted}]}})
    return wait_for("the collector", 60, lambda: is_ready(network.all_pods()["collector"]) and network.all_pods()["collector"]["status"]["podIP"])


def spans(network):
    """What the collector was told so far, by trace."""
    traces = {}
    for line in network.logs("collector").splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    traces.setdefault(span["traceId"], []).append(span)
    return traces


def rounds_are_told_to_a_collector_in_a_pod(network):
    endpoint = f"http://{collector(network)}:{PORT}"
    shard, watch = f"{NAME}-shard-0", Watch(COORDINATORS)
    before = network.all_pods()[shard]["metadata"]["uid"]
    network.patch(NAME, telemetry={"endpoint": endpoint})
    # A shard reads its configuration when it starts, so that the controller has it start anew.
    wait_for("the shard's new pod", 240, lambda: network.all_pods().get(shard, {}).get("metadata", {}).get("uid", before) != before, every=1)
    wait_for("the shard", 240, lambda: network.serves(1, NAME), every=1)
    wait_for("three rounds", 60, lambda: len(spans(network)) >= 3, every=1)
    for trace, found in spans(network).items():
        assert trace.startswith(network.id[:16]), (trace, network.id)
        [whole] = [span for span in found if span["name"] == "round"]
        assert {span["name"] for span in found} <= SPANS and {"submit", "layer", "replies"} <= {span["name"] for span in found}, found
        own = {span["spanId"] for span in found}
        assert all(span["parentSpanId"] in own for span in found if span is not whole), found
    watch.check("a shard tells a collector of rounds")
    told(f"FIGURE {len(spans(network))} rounds told to a collector in a pod, "
         f"{sum(map(len, spans(network).values())) // len(spans(network))} spans each")
