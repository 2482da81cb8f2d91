"""Containers on a machine of their own: containerd, runc, and images that are archives."""

from machine import wait_for

NODE = "10.66.0.1"


class Engine:
    def __init__(self, machine):
        self.machine = machine
        self.folder = machine.folder
        self.bin = machine.tools / "cluster" / "bin"

    def start(self):
        self.machine.set_up(NODE)
        self.start_containerd()

    def start_containerd(self):
        (self.folder / "containerd.toml").write_text(f"""
version = 2
root = "{self.folder}/containerd"
state = "{self.folder}/containerd-state"
[grpc]
  address = "{self.folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{self.bin}/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{self.machine.tools}/cluster/root/usr/lib/cni"
    conf_dir = "{self.folder}/cni"
""")
        self.machine.start("containerd", self.bin / "containerd", "--config", "containerd.toml")
        wait_for("containerd", 30, lambda: self.ctr("version", check=False).returncode == 0)

    def import_image(self, path, name="localhost/antiphon"):
        """Makes an image known by its digest."""
        self.ctr("images", "import", "--digests", "--base-name", name, path)

    def ctr(self, *arguments, **more):
        return self.machine.run("ctr", "--address", f"{self.folder}/containerd.sock", "--namespace", "k8s.io", *arguments, **more)
