"""Pods of rendered StatefulSets and Jobs as containers, without Kubernetes: what a kubelet makes of such a pod, as far as this
chart goes. Whatever else a pod asks for is an error here, not something that is passed over."""

import base64
import os

from machine import wait_for

BRIDGE = "10.244.0.1"


class Pod:
    def __init__(self, name, spec, ip, program="/antiphond"):
        self.name, self.spec, self.ip, self.program = name, spec, ip, program
        [self.container] = spec["containers"]


def pods_of(objects):
    """The pods of all StatefulSets, each with an address."""
    found = []
    for each in objects:
        if each["kind"] == "StatefulSet":
            for at in range(each["spec"]["replicas"]):
                name = f"{each['metadata']['name']}-{at}"
                found.append((name, each["spec"]["template"]))
    return {name: Pod(name, template["spec"], f"10.244.0.{10 + at}") for at, (name, template) in enumerate(found)}


def job_of(objects, program):
    """The pod of the one Job, with an address behind those of all others."""
    [job] = [each for each in objects if each["kind"] == "Job"]
    return Pod(job["metadata"]["name"], job["spec"]["template"]["spec"], "10.244.0.100", program)


def names_of(objects, space, pods):
    """Addresses of pods by the names of headless Services."""
    labels = {f"{each['metadata']['name']}-{at}": each["spec"]["template"]["metadata"]["labels"]
              for each in objects if each["kind"] == "StatefulSet" for at in range(each["spec"]["replicas"])}
    known = {}
    for each in objects:
        if each["kind"] == "Service" and each["spec"].get("clusterIP") == "None":
            selector = each["spec"]["selector"].items()
            found = [pods[name].ip for name in pods if selector <= labels[name].items()]
            service = f"{each['metadata']['name']}.{space}.svc.cluster.local"
            known[service] = found
            known.update({f"{name}.{service}": [pods[name].ip] for name in pods if selector <= labels[name].items()})
    return known


def maps_of(objects):
    """The files of ConfigMaps, by the ConfigMaps' names."""
    return {each["metadata"]["name"]: {k: v.encode() for k, v in each["data"].items()}
            for each in objects if each["kind"] == "ConfigMap"}


class Node:
    """Runs pods with containerd and runc."""

    def __init__(self, engine, image, space, objects, secrets):
        self.engine, self.image, self.space = engine, image, space
        self.folder = engine.folder / "pods"
        self.maps = maps_of(objects)
        self.secrets = {each["metadata"]["name"]: {k: base64.b64decode(v) for k, v in each["data"].items()} for each in secrets}
        ip = engine.machine.ip
        ip("link", "add", "pods", "type", "bridge")
        ip("addr", "add", f"{BRIDGE}/24", "dev", "pods")
        ip("link", "set", "pods", "up")

    def start(self, pod, image=None):
        folder = self.folder / pod.name
        if not folder.exists():
            self.join_network(pod)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {BRIDGE}\nsearch {self.space}.svc.cluster.local\noptions ndots:5\n")
        environment = self.environment(pod)
        mounts = [("/etc/resolv.conf", folder / "resolv.conf", True)]
        mounts += [self.mount(pod, folder, each, environment) for each in pod.container["volumeMounts"]]
        user = pod.spec["securityContext"]
        assert user["runAsUser"] == user["runAsGroup"] == user["fsGroup"] == 65532
        command = ["run", "--detach", "--log-uri", f"file://{folder}/log", "--runc-binary", self.engine.bin / "runc",
                   "--with-ns", f"network:/run/netns/{pod.name}", "--read-only", "--seccomp", "--cgroup",
                   f"/{self.engine.folder.name}/{pod.name}"]
        for name in ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
                     "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"):
            command += ["--cap-drop", f"CAP_{name}"]
        for name, value in environment.items():
            command += ["--env", f"{name}={value}"]
        for inside, outside, readonly in mounts:
            command += ["--mount", f"type=bind,src={outside},dst={inside},options=rbind:{'ro' if readonly else 'rw'}"]
        arguments = [expanded(each, environment) for each in pod.container["args"]]
        self.engine.ctr(*command, image or self.image, pod.name, pod.program, *arguments)

    def stop(self, pod, within):
        """Asks the pod to stop, and waits for it as long as its grace lasts."""
        self.engine.ctr("tasks", "kill", "--signal", "SIGTERM", pod.name)
        wait_for(f"{pod.name} to stop", within, lambda: "STOPPED" in self.state(pod), every=0.5)
        self.engine.ctr("tasks", "delete", pod.name, check=False)
        self.engine.ctr("containers", "delete", pod.name)

    def state(self, pod):
        return next((line for line in self.engine.ctr("tasks", "list").stdout.splitlines() if line.split()[0] == pod.name), "STOPPED")

    def log(self, pod):
        return (self.folder / pod.name / "log").read_text()

    def join_network(self, pod):
        ip = self.engine.machine.ip
        there = ("netns", "exec", pod.name, "ip")
        end = f"v{pod.ip.rsplit('.', 1)[1]}"
        ip("netns", "add", pod.name)
        ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", pod.name)
        ip("link", "set", end, "master", "pods", "up")
        ip(*there, "addr", "add", f"{pod.ip}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip(*there, "link", "set", device, "up")
        ip(*there, "route", "add", "default", "via", BRIDGE)

    def environment(self, pod):
        fields = {"metadata.name": pod.name, "status.podIP": pod.ip, "status.hostIP": BRIDGE}
        return {each["name"]: fields[each["valueFrom"]["fieldRef"]["fieldPath"]] for each in pod.container.get("env", [])}

    def mount(self, pod, folder, mount, environment):
        """(inside, outside, whether read-only) of one of the container's mounts."""
        if mount["name"] == "state":
            place = folder / "state"
            place.mkdir(exist_ok=True)
            os.chown(place, 0, 65532)
            place.chmod(0o2775)
            return mount["mountPath"], place, False
        [volume] = [each for each in pod.spec["volumes"] if each["name"] == mount["name"]]
        place = folder / mount["name"]
        if "configMap" in volume:
            self.lay(place, self.maps[volume["configMap"]["name"]], 0o644)
        else:
            content = self.secrets[volume["secret"]["secretName"]]
            only = {item["key"] for item in volume["secret"].get("items", [])} or set(content)
            self.lay(place, {key: content[key] for key in only}, volume["secret"]["defaultMode"])
        path = expanded(mount.get("subPathExpr", ""), environment)
        return mount["mountPath"], (place / "..data" / path).resolve() if path else place, mount["readOnly"]

    def lay(self, place, files, mode):
        """Files as a kubelet lays them: links to a folder that is swapped as a whole."""
        versions = sorted(place.glob("..version-*"))
        version = place / f"..version-{len(versions)}"
        version.mkdir(parents=True)
        for name, content in files.items():
            (version / name).write_bytes(content)
            os.chown(version / name, 0, 65532)
            (version / name).chmod(mode)
            if not (place / name).is_symlink():
                (place / name).symlink_to(f"..data/{name}")
        (place / "..new").symlink_to(version.name)
        (place / "..new").rename(place / "..data")


def expanded(text, environment):
    for name, value in environment.items():
        text = text.replace(f"$({name})", value)
    return text
