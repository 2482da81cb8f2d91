"""What all trials in a real cluster have in common: where they run, and what is shown when one fails."""

import argparse
import os
import pathlib
import subprocess
import sys
import time

import kubernetes
import machine
import podlogs
from running import told

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "tools"


def parser(description):
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--image", type=pathlib.Path, required=True, help="an archive of k8s/image/build")
    found.add_argument("--antiphon", type=pathlib.Path, required=True, help="the toolbox")
    found.add_argument("--operator", type=pathlib.Path, required=True, help="an archive with the controller")
    return found


def cluster():
    """A cluster of this process's own, which is not started yet. Returns in a process of its own, if there can be one."""
    tools = pathlib.Path(subprocess.run([TOOLS, "--where"], check=True, capture_output=True, text=True).stdout.strip())
    if os.geteuid() != 0:
        sys.exit("containers need root")
    if not (tools / "cluster" / "bin" / "kubelet").exists():
        sys.exit(f"there is no Kubernetes in {tools}: `k8s/tools --cluster` builds one")
    sys.path.extend(map(str, tools.glob("python/lib/python3*/site-packages")))
    return kubernetes.Cluster(machine.Machine(machine.enter(), tools))


def run(tried, prepare, steps):
    """Starts the cluster, prepares it, and takes all steps; shows what everybody said if one fails."""
    here, began = tried.machine, time.monotonic()
    try:
        tried.start()
        podlogs.keep()
        told(f"the cluster is there after {time.monotonic() - began:.0f} s")
        prepare()
        for name, step in steps:
            told(name.replace("_", " "))
            step()
    except BaseException:
        here.said()
        for command in (("get", "pods,pv,pvc,svc", "-A", "-o", "wide"), ("get", "events", "-A"),
                        ("get", "mixnetworks", "-A", "-o", "yaml")):
            print(here.run("kubectl", *command, check=False).stdout, file=sys.stderr)
        podlogs.show()
        raise
    finally:
        here.stop()
    told(f"all passed in {time.monotonic() - began:.0f} s")
