"""A Prometheus that scrapes the network, and a load test by the handbook."""

import json
import pathlib
import time
import urllib.parse
import urllib.request

from loads import Load
from machine import wait_for
from running import SPACE, told

ALERTS = pathlib.Path(__file__).resolve().parents[2] / "chart" / "antiphon" / "alerts" / "antiphon.yaml"
MINUTES = 5


def asked(query):
    """What the Prometheus answers."""
    with urllib.request.urlopen("http://127.0.0.1:9090/api/v1/query?query=" + urllib.parse.quote(query), timeout=5) as answer:
        return {json.dumps(each["metric"], sort_keys=True): float(each["value"][1]) for each in json.load(answer)["data"]["result"]}


def a_prometheus_scrapes_for_five_minutes_without_a_gap(network):
    network.have(4)
    load = Load(network)
    pods = {each["metadata"]["name"]: each for each in network.cluster.get("pods", "-n", SPACE)}
    targets = [{"targets": [f"{pod['status']['podIP']}:9100"], "labels": {"pod": name, "namespace": SPACE}}
               for name, pod in pods.items() if "-shard-" in name or "-coordinator-" in name]
    (network.folder / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"}, "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "antiphon", "static_configs": [{**each} for each in targets]}]}))
    network.cluster.machine.start("prometheus", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=series",
                                  "--web.listen-address=127.0.0.1:9090")
    time.sleep(60 * MINUTES)
    # Of every pod, as many as there is time for, with one more or less at each end.
    scrapes = wait_for("the Prometheus", 30, lambda: asked(f'count_over_time(up{{job="antiphon"}}[{MINUTES}m])'))
    assert len(scrapes) == len(targets) and min(scrapes.values()) >= 60 * MINUTES // 5 - 2, scrapes
    assert set(asked(f'min_over_time(up{{job="antiphon"}}[{MINUTES}m])').values()) == {1.0}, "a scrape was missed"
    firing = asked('ALERTS{alertstate="firing"}')
    # Two operators are as few as there can be.
    assert all("Quorum" in each for each in firing), firing
    per_pod = asked('count by (pod) ({job="antiphon",__name__=~"antiphon_.*"})')
    assert max(per_pod.values()) < 300, per_pod
    told(f"FIGURE a Prometheus scraped {len(targets)} pods for {MINUTES} minutes, {min(scrapes.values()):.0f} times each, without a gap; the "
         f"most series of one pod: {max(per_pod.values()):.0f}")
    load.stop().all_arrived(f"{MINUTES} minutes of load")
