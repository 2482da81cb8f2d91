"""The metrics that the processes declare, and those that texts ask for."""

import re
import runpy

SUFFIXES = ("_bucket", "_sum", "_count")


def declared(root):
    """The names of all metrics in the sources, with those that a histogram is shown under."""
    found = set()
    for folder in ("shard", "coordinator", "process"):
        for file in (root / "crates").glob(f"{folder}*/src/**/*.rs"):
            found |= set(re.findall(r'const [A-Z_]+: &str = "(antiphon_[a-z_]+)";', file.read_text()))
    return found | {name + suffix for name in found if name.endswith("_seconds") for suffix in SUFFIXES}


def asked_for(text):
    return set(re.findall(r"\bantiphon_[a-z_]+\b", text))


def described(script):
    return runpy.run_path(str(script))["dashboard"]()
