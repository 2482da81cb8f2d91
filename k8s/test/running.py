"""A network that runs in pods, as its operators and users see it from outside of them."""

import hashlib
import re
import shutil
import time
import urllib.error
import urllib.request

from machine import wait_for

SPACE, RELEASE, SHARDS = "antiphon", "mix", 5


def told(words):
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


def page(host, path):
    """What an admin server answers, or nothing."""
    try:
        with urllib.request.urlopen(f"http://{host}:9100{path}", timeout=2) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def rounds(coordinator, outcome):
    """How many rounds have ended so, by the coordinator's metrics."""
    counted = rf'^antiphon_coordinator_rounds_total{{outcome="{outcome}"}} (\d+)'
    found = re.search(counted, page(coordinator, "/metrics"), re.M)
    return int(found[1]) if found else 0


class Client:
    """A client outside of pods, on their network."""

    def __init__(self, machine, antiphon, name, role):
        self.machine, self.antiphon, self.folder = machine, antiphon, machine.folder / name
        self.folder.mkdir()
        identity = re.search(r"identity: ([0-9a-f]{64})", (machine.folder / "net" / "values.yaml").read_text())[1]
        (self.folder / "client.toml").write_text(f"""
network = "{machine.folder}/net/network.toml"
state = "client.state"
inbox = "inbox"
[coordinator]
address = "{RELEASE}-coordinator.{SPACE}.svc.cluster.local:7001"
identity = "{identity}"
[conversation]
secret = "friend.secret"
role = "{role}"
""")
        shutil.copy(machine.folder / "friend.secret", self.folder / "friend.secret")

    def start(self):
        self.machine.start(self.folder.name, self.antiphon, "client", "--config", self.folder / "client.toml", "--for", "20m")

    def send(self, file, within):
        self.machine.run(self.antiphon, "send", "--config", self.folder / "client.toml", file, timeout=within)

    def waits_for_jobs(self):
        return (self.folder / "client.state.socket").exists()

    def inbox(self):
        return [path.read_bytes() for path in (self.folder / "inbox").glob("*")]


def a_file_arrives(machine, antiphon):
    machine.run(antiphon, "keygen", "conversation", "--out", machine.folder / "friend.secret")
    alice, bob = (Client(machine, antiphon, name, role) for name, role in (("alice", "first"), ("bob", "second")))
    letter = machine.folder / "letter.txt"
    letter.write_bytes(hashlib.shake_256(b"letter").digest(2000))
    began = time.monotonic()
    for client in (alice, bob):
        client.start()
    for client in (alice, bob):
        wait_for("the client's socket", 60, client.waits_for_jobs)
    alice.send(letter, within=400)
    wait_for("the file", 30, bob.inbox)
    assert bob.inbox() == [letter.read_bytes()]
    told(f"FIGURE a file of 2000 bytes arrived whole {time.monotonic() - began:.0f} s after two clients started")


class Gaps:
    """How long no round was delivered."""

    def __init__(self, coordinator):
        self.coordinator = coordinator
        self.seen, self.aborted = rounds(coordinator, "delivered"), rounds(coordinator, "aborted")
        self.first, self.last, self.longest = self.seen, time.monotonic(), 0.0
        self.began = self.last

    def look(self):
        delivered = rounds(self.coordinator, "delivered")
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        if delivered > self.seen:
            self.seen, self.last = delivered, now

    def check(self, what):
        """Rounds went on, and none was aborted."""
        assert self.seen > self.first, f"{what}: no round was delivered meanwhile"
        aborted = rounds(self.coordinator, "aborted") - self.aborted
        assert aborted == 0, f"{what}: {aborted} rounds were aborted"
        took = time.monotonic() - self.began
        told(f"FIGURE {what} in {took:.0f} s: {self.seen - self.first} rounds meanwhile, none aborted, "
             f"{self.longest:.1f} s without one at most")
