"""What all pods have said, those that are gone as well."""

import pathlib
import sys
import threading
import time

HERE, KEPT = pathlib.Path("/var/log/pods"), pathlib.Path("/var/log/kept")
LINES = 150


def keep():
    """Has every log stay when its pod goes, from now on."""
    KEPT.mkdir()
    threading.Thread(target=follow, daemon=True).start()


def follow():
    while True:
        for log in HERE.glob("*/*/*.log"):
            pod, container, number = log.parts[-3:]
            kept = KEPT / f"{pod}_{container}_{number}"
            try:
                # Another name for the same file.
                kept.hardlink_to(log.resolve())
            except OSError:
                # It is there already, or has gone this very moment.
                pass
        time.sleep(1)


def show():
    for log in sorted(KEPT.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        print(f"--- {log.name}", *(line.split(" ", 3)[-1] for line in lines[-LINES:]), sep="\n", file=sys.stderr)
