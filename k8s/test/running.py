"""A network that runs in pods, as its operators and users see it from outside of them."""

import hashlib
import os
import re
import shutil
import threading
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


def coordinators(count):
    """The names of the coordinators' pods."""
    return [f"{RELEASE}-coordinator-{at}.{RELEASE}-coordinator.{SPACE}.svc.cluster.local" for at in range(count)]


def rounds(coordinator):
    """How many rounds have ended in which way, by a coordinator's metrics; nothing if it does not answer."""
    counted = r'^antiphon_coordinator_rounds_total\{outcome="(\w+)"\} (\d+)'
    return {outcome: int(count) for outcome, count in re.findall(counted, page(coordinator, "/metrics"), re.M)}


def counts(coordinator):
    """What a coordinator counts of what no user should notice: rounds by how they ended, epochs that broke, shards that it
    suspended."""
    text = page(coordinator, "/metrics")
    broken = re.findall(r'^antiphon_coordinator_epochs_total\{what="broken"\} (\d+)', text, re.M)
    suspended = re.findall(r"^antiphon_coordinator_suspensions_total (\d+)", text, re.M)
    outcomes = re.findall(r'^antiphon_coordinator_rounds_total\{outcome="(\w+)"\} (\d+)', text, re.M)
    named = [*outcomes, *(("broken", count) for count in broken), *(("suspended", count) for count in suspended)]
    return {name: int(count) for name, count in named}


class Client:
    """A client outside of pods, on their network, at a gateway that it draws or at this one."""

    def __init__(self, machine, antiphon, name, role, gateway=None):
        self.machine, self.antiphon, self.folder = machine, antiphon, machine.folder / name
        self.folder.mkdir()
        secret = machine.folder / "friend.secret"
        if not secret.exists():
            machine.run(antiphon, "keygen", "conversation", "--out", secret)
        pinned = f'gateway = "{gateway}"\n' if gateway else ""
        identities = re.search(r"identities: \[([0-9a-f, ]*)\]", (machine.folder / "net" / "values.yaml").read_text())[1].split(",")
        sections = "".join(f'[[coordinator]]\naddress = "{host}:7001"\nidentity = "{identity.strip()}"\n'
                           for host, identity in zip(coordinators(len(identities)), identities))
        (self.folder / "client.toml").write_text(f"""
network = "{machine.folder}/net/network.toml"
state = "client.state"
inbox = "inbox"
{pinned}{sections}[conversation]
secret = "friend.secret"
role = "{role}"
""")
        shutil.copy(secret, self.folder / "friend.secret")

    def start(self):
        return self.machine.start(self.folder.name, self.antiphon, "client", "--config", self.folder / "client.toml", "--for", "20m")

    def send(self, file, within):
        self.machine.run(self.antiphon, "send", "--config", self.folder / "client.toml", file, timeout=within)

    def waits_for_jobs(self):
        return (self.folder / "client.state.socket").exists()

    def inbox(self):
        return [path.read_bytes() for path in (self.folder / "inbox").glob("*")]


def a_file_arrives(machine, antiphon):
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


class Watch:
    """What happens from now on, by the metrics of all coordinators: one of them leads, and whoever starts again counts from
    nothing."""

    def __init__(self, hosts):
        self.began, self.ended, self.delivered, self.load = time.monotonic(), False, [], 0
        self.harm = {"aborted": 0, "partial": 0, "unheard": 0, "broken": 0, "suspended": 0}
        before = [(host, counts(host)) for host in hosts]
        self.threads = [threading.Thread(target=self.follow, args=each, daemon=True) for each in before]
        for thread in self.threads:
            thread.start()

    def follow(self, host, before):
        while not self.ended:
            found = counts(host)
            for what, count in found.items():
                known = before.get(what, 0)
                new = count - known if count >= known else count
                if what == "delivered":
                    self.delivered += [time.monotonic()] * new
                else:
                    self.harm[what] += new
            before, self.load = {**before, **found}, max(self.load, os.getloadavg()[0])
            time.sleep(0.2)

    def longest(self):
        """The longest time without a delivered round."""
        times = [self.began, *sorted(self.delivered), time.monotonic()]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def check(self, what, aborted=0, broken=0, suspended=0):
        """Rounds went on, and no more were aborted, no more epochs broken and no more shards suspended. Returns the longest
        time without a round."""
        self.ended = True
        for thread in self.threads:
            thread.join()
        took, longest, harm = time.monotonic() - self.began, self.longest(), self.harm
        told(f"FIGURE {what} in {took:.0f} s: {len(self.delivered)} rounds meanwhile, {harm['aborted'] + harm['partial']} aborted, {harm['unheard']} of "
             f"which a deposed leader heard no end, {harm['broken']} epochs broken, {harm['suspended']} suspensions, {longest:.1f} s without a round at most "
             f"(machine's load {self.load:.0f} at most)")
        assert self.delivered, f"{what}: no round was delivered meanwhile"
        for name, most in (("aborted", aborted), ("partial", 0), ("broken", broken), ("suspended", suspended)):
            assert harm[name] <= most, f"{what}: {name} {harm[name]} times"
        return longest
