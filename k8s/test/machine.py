"""A place of its own for a test cluster: namespaces for processes, mounts and the network, in which everything ends
with the test, and a folder that is deleted."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

INSIDE = "ANTIPHON_TEST_CLUSTER"
# The processor's share of all pods together, where a program has 1024: rounds have deadlines, and take little of it.
GROUP_SHARES = 128 * 1024
# What programs of a node write to, wherever they are told to keep their things: covered, so that nothing stays there.
TOUCHED = ["/var/log", "/var/lib", "/run"]


def enter():
    """Starts this program again within namespaces of its own, as their first process. Returns there alone."""
    if os.environ.get(INSIDE):
        return pathlib.Path(os.environ[INSIDE])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="antiphon-cluster-"))
    environment = {**os.environ, INSIDE: str(folder)}
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, *sys.argv]
    try:
        done = subprocess.run(command, env=environment, check=False)
    finally:
        forget(folder)
    sys.exit(done.returncode)


def forget(folder):
    """Deletes what is left outside the namespaces: the folder, and the control groups of containers."""
    for hierarchy in pathlib.Path("/sys/fs/cgroup").glob("*"):
        for group in sorted(hierarchy.glob(f"{folder.name}/**/"), key=lambda path: -len(path.parts)):
            try:
                group.rmdir()
            except OSError:
                pass
    if os.environ.get("ANTIPHON_KEEP"):
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


class Machine:
    """The machine that a control plane and a node run on."""

    def __init__(self, folder, tools):
        self.folder, self.tools = folder, tools
        self.started = []
        self.environment = {
            **os.environ,
            "PATH": f"{tools}/cluster/bin:{tools}/bin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": f"{tools}/cluster/root/usr/lib/x86_64-linux-gnu",
            "XTABLES_LIBDIR": f"{tools}/cluster/root/usr/lib/x86_64-linux-gnu/xtables",
            "HOME": str(folder),
        }

    def set_up(self, address):
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "--make-rshared", "/"], check=True)
        for place in TOUCHED:
            subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "node", "type", "veth", "peer", "name", "outside")
        self.ip("addr", "add", f"{address}/24", "dev", "node")
        for end in ("node", "outside"):
            self.ip("link", "set", end, "up")
        self.ip("route", "add", "default", "dev", "node")
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        # A group counts as one program beside those that are in none: this one holds some.
        group = pathlib.Path("/sys/fs/cgroup/cpu") / self.folder.name
        group.mkdir(exist_ok=True)
        (group / "cpu.shares").write_text(str(GROUP_SHARES))

    def ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True)

    def start(self, name, *command):
        """Starts a program whose output goes to a file of the folder."""
        log = open(self.folder / f"{name}.log", "w", encoding="utf-8")
        arguments = [str(each) for each in command]
        process = subprocess.Popen(arguments, env=self.environment, cwd=self.folder, stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        self.started.append((name, process))
        return process

    def run(self, *command, check=True, **more):
        arguments = [str(each) for each in command]
        done = subprocess.run(arguments, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False,
                              timeout=more.pop("timeout", 120), **more)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done

    def stop(self):
        """Ends the programs, the last one first; whatever is left ends with the namespaces."""
        for _, process in reversed(self.started):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def said(self):
        """The last lines of every program, for whoever looks into a failure."""
        for name, process in self.started:
            lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
            print(f"--- {name} (exit {process.poll()})", *lines[-15:], sep="\n", file=sys.stderr)


def wait_for(what, within, check, every=0.25):
    """Asks until the answer is true, and returns it; after `within` seconds says what did not come."""
    end = time.monotonic() + within
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within} s")
        time.sleep(every)
