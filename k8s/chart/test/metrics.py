"""The catalogue of metrics, and what alerts and dashboards ask of it.

The catalogue is read from the book's page, which a test holds to the declarations: nothing has to be built for it.
"""

import re
import runpy

SUFFIXES = ("_bucket", "_sum", "_count")
# Labels that a Prometheus gives to what it scrapes.
TARGET = {"namespace", "pod", "job", "instance"}
# What Prometheus itself says of a target.
OWN = {"up": {}}

ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<kind>\w+), (?P<unit>[^|]*) \| (?P<meaning>[^|<]*)(?P<labels>[^|]*) \|", re.M)
LABEL = re.compile(r"<br>`(\w+)`: ([^<|]*)")
# A name with what it is selected by; what is not followed by a parenthesis is no function.
SELECTOR = re.compile(r"\b([a-z]+_[a-z_]+|up)\b(?!\s*\()(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


def catalogue(root):
    """Every metric that is served, with its labels and their values; a histogram by the names that it is shown under."""
    found = dict(OWN)
    for row in ROW.finditer((root / "docs" / "src" / "metrics.md").read_text()):
        labels = {name: set(re.findall(r"`([^`]*)`", values)) for name, values in LABEL.findall(row["labels"])}
        names = [row["name"]] if row["kind"] != "histogram" else [row["name"] + suffix for suffix in SUFFIXES]
        for name in names:
            found[name] = labels | ({"le": set()} if name.endswith("_bucket") else {})
    return found


def meanings(root):
    """What each metric means, in words."""
    page = (root / "docs" / "src" / "metrics.md").read_text()
    return {row["name"]: row["meaning"].strip() for row in ROW.finditer(page)}


def selected(query):
    """The metrics that a query names, with what each is selected by."""
    without = GROUPING.sub(" ", query)
    return [(name, MATCHER.findall(matchers or "")) for name, matchers in SELECTOR.findall(without)]


def faults(query, known):
    """What a query asks for that the catalogue lacks: metrics, labels, and values of labels."""
    names = selected(query)
    if not names:
        yield "it names no metric"
    labels = set(TARGET)
    for name, matchers in names:
        if name not in known:
            yield f"no metric is called {name}"
            continue
        labels |= set(known[name])
        for label, how, value in matchers:
            if label in TARGET:
                continue
            if label not in known[name]:
                yield f"{name} has no label {label}"
                continue
            wanted = value.split("|") if how in ("=~", "!~") else [value]
            yield from (f"{label} of {name} is never {each}" for each in wanted
                        if known[name][label] and each not in known[name][label])
    for group in GROUPING.findall(query):
        yield from (f"nothing in it has a label {label}" for label in re.findall(r"\w+", group) if label not in labels)


def headings(page):
    """The anchors of a page of the book."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", page, re.M)}


def dashboard_of(script):
    return runpy.run_path(str(script))["dashboard"]()
