"""A Kubernetes node on this machine, and a control plane beside it, whose addresses come from Tandem.

Everything runs in namespaces that node-test.sh makes: the loopback interface has the node's addresses, ports are the usual ones, and whatever
is left over ends with the namespaces.
"""
import glob
import hashlib
import io
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import tarfile
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
NODE = "n1"
NODE_ADDRESSES = ["192.0.2.1", "2001:db8::1"]
IMAGE, PAUSE = "tandem.test/busybox:1", "tandem.test/pause:1"
# Of one condition, in seconds: far more than any takes.
PATIENCE = float(os.environ.get("TANDEM_PATIENCE", "300"))


class Fault(Exception):
    """Something is not as it must be."""


def until(what, condition):
    """The first result of `condition` that is true. A fault of it is like an untrue one, until PATIENCE is over."""
    end, last = time.monotonic() + PATIENCE, None
    while time.monotonic() < end:
        try:
            result = condition()
            if result:
                return result
        except Fault as fault:
            last = fault
        time.sleep(0.2)
    raise Fault(f"{what}: not so after {PATIENCE} s" + (f"; at last: {last}" if last else ""))


def run(*words, data=None, environment=None):
    """The program's output; a fault where it fails."""
    result = subprocess.run([str(word) for word in words], input=data, capture_output=True, text=True,
                            stdin=None if data is not None else subprocess.DEVNULL, env=environment)
    if result.returncode != 0:
        raise Fault(f"{' '.join(str(word) for word in words)}: status {result.returncode}: "
                    f"{(result.stderr + result.stdout).strip()[-2000:]}")
    return result.stdout


def image():
    """The archive of an image with a static BusyBox, under two names."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name in ("bin", "tmp", "www"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        busybox = tar.gettarinfo(os.path.realpath(shutil.which("busybox")), "bin/busybox")
        busybox.mode = 0o755
        with open(os.path.realpath(shutil.which("busybox")), "rb") as file:
            tar.addfile(busybox, file)
        for name in ("sh", "httpd", "sleep", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    layer = layer.getvalue()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = json.dumps({
        "architecture": machine, "os": "linux", "config": {"Cmd": ["/bin/sleep", "infinity"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [IMAGE, PAUSE], "Layers": ["layer.tar"]}]).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in (("layer.tar", layer), ("config.json", config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


class Machine:
    """The programs, by name. `ranges` are tandemd's --cluster-cidr."""

    def __init__(self, scratch, programs, kubernetes, ranges):
        self.scratch, self.programs, self.kubernetes, self.ranges = scratch, programs, kubernetes, ranges
        self.processes = {}
        # Of the controller, in seconds.
        self.grace = 3
        self.kubeconfig = self.path("administrator.kubeconfig")
        self.prepare()

    def path(self, name):
        return os.path.join(self.scratch, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    # Files

    def prepare(self):
        run("ip", "link", "set", "lo", "up")
        run("ip", "address", "add", NODE_ADDRESSES[0] + "/32", "dev", "lo")
        run("ip", "address", "add", NODE_ADDRESSES[1] + "/128", "dev", "lo", "nodad")
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
                file.write("1")
        self.tls = self.path("tls")
        run("sh", f"{ROOT}/certs/generate.sh", "--names", "IP:" + ",IP:".join(NODE_ADDRESSES), self.tls)
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.path("sa.key"))
        run("openssl", "pkey", "-in", self.path("sa.key"), "-pubout", "-out", self.path("sa.pub"))
        account = "system:serviceaccount:tandem-system:tandem-controller"
        self.write("tokens.csv", f"""administrator,administrator,1,"system:masters"
controller,{account},2,"system:serviceaccounts,system:serviceaccounts:tandem-system"
kubelet,system:node:{NODE},3,"system:nodes"
""")
        for token in ("administrator", "controller", "kubelet"):
            self.write(f"{token}.kubeconfig", json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "tandem-system"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443",
                                                       "certificate-authority": f"{self.tls}/ca.crt"}}],
                "users": [{"name": "u", "user": {"token": token}}]}))
        # The plugins in one folder, as a runtime wants them.
        os.makedirs(self.path("cni/bin"))
        for name in ("bridge", "loopback"):
            found = [folder for folder in os.environ["CNI_PATH"].split(":") if os.path.exists(f"{folder}/{name}")]
            os.symlink(f"{found[0]}/{name}", self.path(f"cni/bin/{name}"))
        os.symlink(f"{self.programs}/tandem-cni", self.path("cni/bin/tandem-cni"))
        self.write("cni/net.d/10-tandem.conflist", json.dumps({
            "cniVersion": "1.0.0", "name": "pods", "plugins": [{
                "type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "forceAddress": True,
                "ipam": {"type": "tandem-cni", "server": "127.0.0.1:8443", "caFile": f"{self.tls}/ca.crt",
                         "certFile": f"{self.tls}/node-{NODE}.crt", "keyFile": f"{self.tls}/node-{NODE}.key",
                         "timeoutMs": 3000, "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}]}))
        self.write("containerd.toml", f"""version = 2
root = "{self.path('containerd')}"
state = "/run/tandem-containerd"
[grpc]
  address = "/run/tandem-containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{self.path('cni/bin')}"
    conf_dir = "{self.path('cni/net.d')}"
""")
        os.makedirs(self.path("static"))
        self.write("resolv.conf", "")
        self.write("kubelet.yaml", json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "featureGates": {"IPv6DualStack": True},
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False},
                               "x509": {"clientCAFile": f"{self.tls}/ca.crt"}},
            "authorization": {"mode": "AlwaysAllow"},
            "tlsCertFile": f"{self.tls}/server.crt", "tlsPrivateKeyFile": f"{self.tls}/server.key",
            "cgroupDriver": "cgroupfs", "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [], "failSwapOn": False, "makeIPTablesUtilChains": False,
            "resolvConf": self.path("resolv.conf"), "staticPodPath": self.path("static"), "fileCheckFrequency": "1s",
            "volumePluginDir": self.path("volume-plugins"), "nodeStatusUpdateFrequency": "2s",
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "1Mi"}}))

    # Programs

    def start(self, name, *words):
        assert name not in self.processes
        with open(self.path(f"{name}.log"), "a") as log:
            self.processes[name] = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, start_new_session=True)

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def log(self, name):
        with open(self.path(f"{name}.log"), errors="replace") as file:
            return file.read()

    def watch_over(self):
        """A fault where a program has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Fault(f"{name} ended by itself: status {process.returncode}")

    def start_control_plane(self):
        self.start("etcd", "etcd", f"--data-dir={self.path('etcd')}", "--unsafe-no-fsync=true")
        self.start(
            "kube-apiserver", f"{self.kubernetes}/kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=127.0.0.1", f"--advertise-address={NODE_ADDRESSES[0]}", "--endpoint-reconciler-type=none",
            f"--cert-dir={self.path('apiserver')}", f"--tls-cert-file={self.tls}/server.crt",
            f"--tls-private-key-file={self.tls}/server.key", f"--client-ca-file={self.tls}/ca.crt",
            f"--token-auth-file={self.path('tokens.csv')}", f"--service-account-key-file={self.path('sa.pub')}",
            f"--service-account-signing-key-file={self.path('sa.key')}",
            "--service-account-issuer=https://kubernetes.default.svc", "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112", "--feature-gates=IPv6DualStack=true",
            "--authorization-mode=Node,RBAC", "--disable-admission-plugins=ServiceAccount")
        until("kube-apiserver is ready", lambda: self.kubectl("get", "--raw=/readyz") == "ok")
        until("there is the namespace default", lambda: self.kubectl("get", "namespace", "default"))
        self.kubectl("create", "namespace", "tandem-system")
        self.kubectl("apply", "-n", "tandem-system", "-f", f"{ROOT}/docker/kubernetes/base/controller-rights.yaml")
        self.start(
            "kube-controller-manager", f"{self.kubernetes}/kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
            f"--authentication-kubeconfig={self.kubeconfig}", f"--authorization-kubeconfig={self.kubeconfig}",
            "--leader-elect=false", "--feature-gates=IPv6DualStack=true", "--allocate-node-cidrs=false",
            "--authentication-skip-lookup=true",
            f"--cert-dir={self.path('manager')}", f"--service-account-private-key-file={self.path('sa.key')}")
        self.start(
            "kube-scheduler", f"{self.kubernetes}/kube-scheduler", f"--kubeconfig={self.kubeconfig}",
            f"--authentication-kubeconfig={self.kubeconfig}", f"--authorization-kubeconfig={self.kubeconfig}",
            "--leader-elect=false", "--authentication-skip-lookup=true", f"--cert-dir={self.path('scheduler')}")

    def start_tandem(self):
        self.start(
            "tandemd", f"{self.programs}/tandemd", f"--data-dir={self.path('tandem')}", f"--cluster-cidr={self.ranges}",
            "--load-balancer-ip-range=198.51.100.0/24,2001:db8:1::/120", f"--tls-cert-file={self.tls}/server.crt",
            f"--tls-private-key-file={self.tls}/server.key", f"--client-ca-file={self.tls}/ca.crt")
        until("tandemd is ready", lambda: self.tandemctl("health"))

    def start_controller(self):
        self.start(
            "tandem-controller", f"{self.programs}/tandem-controller",
            f"--kubeconfig={self.path('controller.kubeconfig')}", "--leader-elect=false",
            f"--release-grace-period={self.grace}", "--metrics-bind-address=127.0.0.1:8444", "--log-level=debug",
            "--server=127.0.0.1:8443", f"--ca-file={self.tls}/ca.crt", f"--cert-file={self.tls}/controller.crt",
            f"--key-file={self.tls}/controller.key")

    def start_runtime(self):
        self.start("containerd", "containerd", f"--config={self.path('containerd.toml')}")
        until("containerd is ready", lambda: self.ctr("version"))
        if IMAGE not in self.ctr("images", "list"):
            with open(self.path("image.tar"), "wb") as file:
                file.write(image())
            self.ctr("images", "import", self.path("image.tar"))

    def start_kubelet(self):
        self.start(
            "kubelet", f"{self.kubernetes}/kubelet", f"--config={self.path('kubelet.yaml')}",
            f"--kubeconfig={self.path('kubelet.kubeconfig')}", f"--hostname-override={NODE}",
            f"--node-ip={','.join(NODE_ADDRESSES)}", f"--root-dir={self.path('kubelet')}", "--container-runtime=remote",
            "--container-runtime-endpoint=unix:///run/tandem-containerd.sock", f"--pod-infra-container-image={PAUSE}")

    def lose_power(self):
        """Everything of the node's own ends, and its state in memory is gone: mounts, namespaces, interfaces."""
        self.kill("kubelet")
        self.kill("containerd")
        # Nothing but this test's is to be seen in the namespace.
        for process in glob.glob("/proc/[0-9]*"):
            number = int(os.path.basename(process))
            try:
                with open(f"{process}/cgroup") as file:
                    is_container = "/k8s.io/" in file.read()
                with open(f"{process}/cmdline") as file:
                    is_shim = "containerd-shim" in file.read().split("\0")[0]
                if is_container or is_shim:
                    os.kill(number, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass
        with open("/proc/mounts") as file:
            mounts = [line.split()[1] for line in file]
        for mount in reversed(mounts):
            if mount.startswith(("/run/tandem-containerd/", "/run/netns/", "/var/run/netns/")):
                run("umount", "-l", mount)
        shutil.rmtree("/run/tandem-containerd", ignore_errors=True)
        shutil.rmtree("/run/netns", ignore_errors=True)
        run("ip", "link", "delete", "cni0")

    # Clients

    def kubectl(self, *words, data=None):
        return run("kubectl", f"--kubeconfig={self.kubeconfig}", "--namespace=default", *words, data=data)

    def kube(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", data=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def tandemctl(self, *words):
        environment = dict(os.environ, TANDEM_SERVER="127.0.0.1:8443", TANDEM_CA_FILE=f"{self.tls}/ca.crt",
                           TANDEM_CERT_FILE=f"{self.tls}/admin.crt", TANDEM_KEY_FILE=f"{self.tls}/admin.key")
        return run(f"{self.programs}/tandemctl", *words, environment=environment)

    def tandem(self, *words):
        return json.loads(self.tandemctl("get", *words, "-o", "json"))

    def ctr(self, *words):
        return run("ctr", "--address=/run/tandem-containerd.sock", "--namespace=k8s.io", *words)

    def metric(self, name):
        """The controller's."""
        try:
            with socket.create_connection(("127.0.0.1", 8444), 10) as connection:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: controller\r\nConnection: close\r\n\r\n")
                text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            raise Fault(f"the controller's metrics: {error}") from error
        for line in text.splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        raise Fault(f"the controller has no metric {name}")
