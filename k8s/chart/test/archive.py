"""What an image's archive holds."""

import importlib.machinery
import importlib.util
import io
import json
import pathlib
import tarfile


def builder():
    path = pathlib.Path(__file__).resolve().parents[2] / "image" / "build"
    loader = importlib.machinery.SourceFileLoader("image_build", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("image_build", loader))
    loader.exec_module(module)
    return module


def check(test):
    build = builder()
    program = bytes(range(256)) * 100
    (first, name), (again, _) = (build.image_of(program, "localhost/antiphon", "1") for _ in range(2))
    test.assertEqual(first, again)
    other, other_name = build.image_of(program + b"x", "localhost/antiphon", "1")
    test.assertNotEqual(name, other_name)
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        test.assertEqual({entry.mtime for entry in archive}, {0})
        read = lambda path: archive.extractfile(path).read()
        blob = lambda digest: read("blobs/sha256/" + digest.removeprefix("sha256:"))
        [manifest] = json.loads(read("index.json"))["manifests"]
        test.assertEqual(manifest["digest"], name)
        for entry in archive:
            if entry.name.startswith("blobs/"):
                test.assertEqual(build.digest(read(entry.name)), entry.name.rsplit("/", 1)[1])
        image = json.loads(blob(name))
        test.assertEqual(json.loads(blob(image["config"]["digest"]))["config"]["User"], "65532:65532")
        [layer] = image["layers"]
        with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as root:
            test.assertEqual([(each.name, each.mode) for each in root], [("antiphond", 0o755)])
            test.assertEqual(root.extractfile("antiphond").read(), program)


def digest_of(path):
    """The digest by which the image of an archive is pulled."""
    with tarfile.open(path) as archive:
        [manifest] = json.loads(archive.extractfile("index.json").read())["manifests"]
    return manifest["digest"]
