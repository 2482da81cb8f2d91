"""A real control plane and a node with real containers, on one machine. There is no kube-proxy: nothing here dials a Service's
address but the API server's."""

import json
import secrets
import ssl
import subprocess

import names
import proxy
from engine import NODE, Engine
from machine import wait_for

SERVICES = "10.0.0.0/24"
# The API server's, as pods see it, and the port of the proxy before it.
FIRST_SERVICE, FRONT = "10.0.0.1", 8443
PODS = "10.244.0.0/24"


class Cluster(Engine):
    def __init__(self, machine):
        super().__init__(machine)
        self.token = secrets.token_hex(16)
        self.kubeconfig = self.folder / "kubeconfig"
        machine.environment["KUBECONFIG"] = str(self.kubeconfig)

    def start_without_nodes(self):
        self.machine.set_up(NODE)
        self.write_files()
        self.start_control_plane()

    def start(self):
        self.start_without_nodes()
        self.start_names()
        self.start_node()

    def write_files(self):
        (self.folder / "front.ext").write_text(f"subjectAltName=IP:{FIRST_SERVICE}\n")
        for command in ("genrsa -out sa.key 2048", "rsa -in sa.key -pubout -out sa.pub",
                        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 2",
                        "req -newkey rsa:2048 -nodes -keyout front.key -out front.csr -subj /CN=kubernetes",
                        "x509 -req -in front.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out front.crt -days 2 -extfile front.ext"):
            self.machine.run("openssl", *command.split(" "))
        (self.folder / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"https://{NODE}:6443", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }))
        self.kubeconfig.chmod(0o600)
        (self.folder / "resolv.conf").write_text(f"nameserver {NODE}\n")
        (self.folder / "cni").mkdir()
        plugins = [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
             "ipam": {"type": "host-local", "dataDir": str(self.folder / "addresses"), "ranges": [[{"subnet": PODS}]],
                      "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ]
        (self.folder / "cni" / "10-bridge.conflist").write_text(
            json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}))

    def start_control_plane(self):
        start = self.machine.start
        start("etcd", self.bin / "etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--listen-client-urls",
              "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls",
              "http://127.0.0.1:2380")
        self.start_api_server()
        start("controller-manager", self.bin / "kube-controller-manager", "--kubeconfig=kubeconfig",
              "--service-account-private-key-file=sa.key", "--root-ca-file=ca.crt", "--leader-elect=false", "--port=0",
              "--secure-port=0")
        start("scheduler", self.bin / "kube-scheduler", "--kubeconfig=kubeconfig", "--leader-elect=false", "--port=0",
              "--secure-port=0")

    def start_api_server(self):
        self.api_server = self.machine.start(
            "apiserver", self.bin / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", f"--bind-address={NODE}",
            "--secure-port=6443", "--cert-dir=certs", "--service-account-key-file=sa.pub",
            "--service-account-signing-key-file=sa.key", "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC", "--token-auth-file=tokens.csv", f"--service-cluster-ip-range={SERVICES}",
            "--service-node-port-range=30000-32767", "--kubelet-preferred-address-types=InternalIP", f"--advertise-address={NODE}")
        wait_for("the API server", 90, lambda: self.machine.run("kubectl", "get", "--raw", "/readyz", check=False).returncode == 0)

    def stop_api_server(self):
        # Asked to stop, it waits for all who watch.
        self.api_server.kill()
        self.api_server.wait()

    def start_front(self):
        """Lets pods reach the API server where Kubernetes says that it is, behind a proxy that makes it look newer."""
        proxy.serve((NODE, FRONT), f"{NODE}:6443", (self.folder / "front.crt", self.folder / "front.key"))
        self.machine.run(self.bin / "iptables", "-t", "nat", "-A", "PREROUTING", "-d", FIRST_SERVICE, "-p", "tcp", "--dport", "443",
                         "-j", "DNAT", "--to-destination", f"{NODE}:{FRONT}")

    def start_names(self):
        insecure = ssl.create_default_context()
        insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
        names.serve(NODE, names.Names(f"https://{NODE}:6443", self.token, insecure))
        # The test itself asks the same server.
        subprocess.run(["mount", "--bind", self.folder / "resolv.conf", "/etc/resolv.conf"], check=True)

    def start_node(self):
        start = self.machine.start
        self.start_containerd()
        self.import_pause()
        (self.folder / "plugins").mkdir()
        start("kubelet", self.bin / "kubelet", "--kubeconfig=kubeconfig", "--container-runtime=remote",
              f"--container-runtime-endpoint=unix://{self.folder}/containerd.sock", f"--root-dir={self.folder}/kubelet",
              f"--cert-dir={self.folder}/kubelet-certs", "--cgroup-driver=cgroupfs", "--cgroups-per-qos=false",
              f"--cgroup-root=/{self.folder.name}", "--enforce-node-allocatable=", "--fail-swap-on=false",
              "--hostname-override=node", f"--node-ip={NODE}", f"--resolv-conf={self.folder}/resolv.conf",
              f"--cluster-dns={NODE}", f"--cluster-domain={names.DOMAIN}", "--anonymous-auth=true",
              "--authorization-mode=AlwaysAllow", "--eviction-hard=", "--image-gc-high-threshold=100", "--healthz-port=0",
              f"--volume-plugin-dir={self.folder}/plugins")
        wait_for("the node", 60, lambda: "True" in self.kubectl(
            "get", "nodes", "-o", "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}").stdout)

    def import_pause(self):
        """The image that holds a pod's namespaces, made of one program."""
        import archive
        build = archive.builder()
        tar, _ = build.image_of((self.bin / "pause").read_bytes(), "localhost/pause", "1", program_name="pause")
        (self.folder / "pause.tar").write_bytes(tar)
        self.ctr("images", "import", "pause.tar")

    def kubectl(self, *arguments, **more):
        return self.machine.run("kubectl", *arguments, **more)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)["items"]

    def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "--validate=false", "-f", "-", input=text)
