"""A real control plane, without nodes."""

import json
import secrets

from engine import NODE, Engine
from machine import wait_for

SERVICES = "10.0.0.0/24"


class Cluster(Engine):
    def __init__(self, machine):
        super().__init__(machine)
        self.token = secrets.token_hex(16)
        self.kubeconfig = self.folder / "kubeconfig"
        machine.environment["KUBECONFIG"] = str(self.kubeconfig)

    def start(self):
        self.machine.set_up(NODE)
        self.write_files()
        self.start_control_plane()

    def write_files(self):
        for command in (("openssl", "genrsa", "-out", "sa.key", "2048"),
                        ("openssl", "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")):
            self.machine.run(*command)
        (self.folder / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"https://{NODE}:6443", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }))
        self.kubeconfig.chmod(0o600)

    def start_control_plane(self):
        start = self.machine.start
        start("etcd", self.bin / "etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--listen-client-urls",
              "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls",
              "http://127.0.0.1:2380")
        start("apiserver", self.bin / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", f"--bind-address={NODE}",
              "--secure-port=6443", "--cert-dir=certs", "--service-account-key-file=sa.pub",
              "--service-account-signing-key-file=sa.key", "--service-account-issuer=https://kubernetes.default.svc",
              "--authorization-mode=RBAC", "--token-auth-file=tokens.csv", f"--service-cluster-ip-range={SERVICES}",
              "--service-node-port-range=30000-32767", "--kubelet-preferred-address-types=InternalIP",
              f"--advertise-address={NODE}")
        wait_for("the API server", 90, lambda: self.machine.run("kubectl", "get", "--raw", "/readyz", check=False).returncode == 0)
        start("controller-manager", self.bin / "kube-controller-manager", "--kubeconfig=kubeconfig",
              "--service-account-private-key-file=sa.key", "--leader-elect=false", "--port=0", "--secure-port=0")
        start("scheduler", self.bin / "kube-scheduler", "--kubeconfig=kubeconfig", "--leader-elect=false", "--port=0",
              "--secure-port=0")

    def kubectl(self, *arguments, **more):
        return self.machine.run("kubectl", *arguments, **more)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)["items"]

    def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "--validate=false", "-f", "-", input=text)
