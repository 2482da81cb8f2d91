"""What the controller owns, edited and deleted by somebody else."""

import copy
import json
import time

import proxy
from controlled import COORDINATORS
from machine import wait_for
from running import RELEASE, SPACE, Watch, told

KINDS = ("statefulsets", "services", "configmaps", "networkpolicies", "poddisruptionbudgets")
# An owner that does not exist has its objects deleted, by the cluster itself.
OWNER = {"uid", "name", "kind", "apiVersion"}
# Applied again half a minute later, at the latest; and one look at everything.
RESTORED_WITHIN = 45


def owned(network):
    """The objects that the controller applies, by kind and name."""
    return {(kind, each["metadata"]["name"]): each for kind in KINDS for each in network.cluster.get(kind, "-n", SPACE, "--show-managed-fields")
            if fields_of(each) and each["metadata"]["name"].startswith(f"{RELEASE}-")}


def fields_of(each):
    applied = [entry["fieldsV1"] for entry in each["metadata"].get("managedFields", ())
               if (entry["manager"], entry["operation"]) == ("antiphon-operator", "Apply")]
    return applied[0] if applied else None


def leaves(fields, value, path=(), name=()):
    """All fields that are owned: where each is, what it is called whatever its place in a list, and its value."""
    for key, below in fields.items():
        kind, field = key[0], key[2:]
        if key == "." or (path[:1] == ("metadata",) and field in OWNER):
            continue
        if kind == "f":
            step = field
        elif kind == "k":
            # Which one of a list it is; not there, it is not called so.
            step = next((at for at, item in enumerate(value) if json.loads(field).items() <= item.items()), None)
            # Another name makes another one.
            below = {each: more for each, more in below.items() if each[2:] not in json.loads(field)}
        else:
            step = value.index(json.loads(field)) if json.loads(field) in value else None
        if step is None or (kind == "f" and step not in value) or (kind == "k" and not below):
            continue
        if below and (kind != "f" or set(below) != {"."}):
            yield from leaves(below, value[step], (*path, step), (*name, key))
        else:
            yield (*path, step), (*name, key), value[step]


def values(fields, each):
    return {name: value for _, name, value in leaves(fields, each)}


def another(value):
    """Something else of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, dict):
        return {**value, "edited": "x"}
    return value[:-1]


def edited(each, path):
    """The object with another value in one place."""
    new = copy.deepcopy(each)
    place = new
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = another(place[path[-1]])
    del new["metadata"]["managedFields"]
    # Whatever it is by now.
    del new["metadata"]["resourceVersion"]
    return new


def replace(network, each):
    """Whether the API server takes an object."""
    for _ in range(10):
        done = network.cluster.kubectl("replace", "--validate=false", "--filename", "-", input=json.dumps(each), check=False)
        # Somebody else, who may be restoring it, was quicker.
        if "(Conflict)" not in done.stderr:
            break
    assert done.returncode == 0 or any(why in done.stderr for why in ("is invalid", "(Forbidden)", "(BadRequest)")), done.stderr
    return done.returncode == 0


def every_field_that_somebody_edits_is_restored_or_refused(network):
    network.have(3)
    before, pods = owned(network), {name: pod["metadata"]["uid"] for name, pod in network.pods().items()}
    watch, taken, refused = Watch(COORDINATORS), 0, 0
    for (kind, name), each in before.items():
        for path, _, _ in leaves(fields_of(each), each):
            was_taken = replace(network, edited(each, path))
            taken, refused = taken + was_taken, refused + (not was_taken)
    all_are_as_they_were(network, before)
    told(f"FIGURE {taken} of {taken + refused} fields of {len(before)} objects were edited by somebody else, and restored; the API "
         f"server refused to change the others")
    wait_for("the network as it was", 120, lambda: network.serves(3), every=0.5)
    assert {name: pod["metadata"]["uid"] for name, pod in network.pods().items()} == pods, "a pod was replaced"
    watch.check("everything was edited")


def all_are_as_they_were(network, before):
    def differing():
        now = owned(network)
        for key, each in before.items():
            fields = fields_of(each)
            was, found = values(fields, each), values(fields, now[key]) if key in now else {}
            yield from ((*key, name, value, found.get(name, "gone")) for name, value in was.items() if found.get(name) != value)
    try:
        wait_for("all objects as they were", RESTORED_WITHIN, lambda: not list(differing()), every=1)
    except TimeoutError:
        for each in differing():
            told(f"not restored: {each}")
        raise


def what_somebody_deletes_is_made_again(network):
    network.have(3)
    before = owned(network)
    watch = Watch(COORDINATORS)
    for kind, name in before:
        # With pods that stay: nobody deletes a set with its pods to try something.
        network.cluster.kubectl("delete", kind, name, "-n", SPACE, "--cascade=orphan")
    all_are_as_they_were(network, before)
    wait_for("the network as it was", 120, lambda: network.serves(3), every=0.5)
    watch.check(f"{len(before)} objects were deleted, and made again")


def a_controller_that_has_nothing_to_do_changes_nothing(network):
    """Applying again what is there already is no write: nothing moves, so nobody fights."""
    network.have(3)
    before = {key: version(each) for key, each in owned(network).items()}
    proxy.Proxy.writes.clear()
    time.sleep(65)
    after = {key: version(each) for key, each in owned(network).items()}
    assert before == after, [(key, before[key], after.get(key)) for key in before if before[key] != after.get(key)]
    writes = [path for path in proxy.Proxy.writes if "/leases/" not in path]
    # Of three networks, twice in this time, and once more.
    assert len(writes) <= 3 * 3 * (len(before) + 2), writes
    told(f"FIGURE {len(writes)} requests of the controller in 65 s beside those for its Lease changed nothing of {len(before)} objects")


def version(each):
    """What moves when somebody changes what an object asks for; this old API server notes each time that it is applied as well."""
    metadata = each["metadata"]
    return metadata.get("generation") or metadata["resourceVersion"]


def keys_and_lists_that_somebody_spoils_are_named_and_go_on_when_they_are_back(network):
    network.have(3)
    watch = Watch(COORDINATORS)
    secret, lists = f"{RELEASE}-shard-keys", f"{RELEASE}-operator-lists"
    key = f"{RELEASE}-shard-1.key"
    for kind, name, field, spoilt, words in (("secret", secret, key, None, "keys of shard 1"),
                                             ("configmap", lists, "alpha.list", "nonsense", "list")):
        value = json.loads(network.cluster.kubectl("get", kind, name, "-o", "json").stdout)["data"][field]

        def put(content, kind=kind, name=name, field=field):
            network.cluster.kubectl("patch", kind, name, "--type=merge", "--patch", json.dumps({"data": {field: content}}))
        put(spoilt)
        wait_for(words, 30, lambda words=words: words in network.condition("Degraded")["message"], every=0.5)
        told(network.condition("Degraded")["message"])
        put(value)
        wait_for("the network as it was", 60, lambda: network.serves(3), every=0.5)
    watch.check("keys and lists were spoilt and put back")
