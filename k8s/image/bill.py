"""The bill of materials of a program in CycloneDX JSON: the crates that are compiled into it, from cargo's own account
of them."""

import json
import subprocess
import tomllib


def cargo(root, *arguments):
    return subprocess.run(["cargo", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def compiled(root, target, program):
    """(name, version) of every crate that is linked into the program."""
    tree = cargo(root, "tree", "--locked", "-p", program, "--target", target,
                 "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    return {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, tree.splitlines())}


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums):
    found = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
    }
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package.get("repository"):
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def of_program(root, target, name):
    """The bill, as a value to be written as JSON. Nothing in it says when or where it was made."""
    metadata = json.loads(cargo(root, "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    wanted = compiled(root, target, name)
    packages = {p["id"]: p for p in metadata["packages"] if (p["name"], p["version"]) in wanted}
    lock = tomllib.loads((root / "Cargo.lock").read_text())
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"] if node["id"] in packages}
    depends = [
        {
            "ref": reference(packages[at]),
            "dependsOn": sorted({
                reference(packages[dep["pkg"]])
                for dep in node["deps"]
                if dep["pkg"] in packages and any(kind["kind"] is None for kind in dep["dep_kinds"])
            }),
        }
        for at, node in nodes.items()
    ]
    components = sorted((component(p, checksums) for p in packages.values()), key=lambda c: c["bom-ref"])
    [program] = [c for c in components if c["name"] == name]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**program, "type": "application"}},
        "components": [c for c in components if c is not program],
        "dependencies": sorted(depends, key=lambda d: d["ref"]),
    }
