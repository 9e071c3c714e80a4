"""The cluster's programs as a table: how each is started, and how one sees that it is ready."""

import json
import os
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import images, keys, programs
from .house import API_IP, DNS_IP, NODE_IP, House

NODE = "node-1"
API_PORT = 6443
API_URL = f"https://127.0.0.1:{API_PORT}"
ETCD_URL = "http://127.0.0.1:2379"
PODS = "10.88.0.0/16"
SERVICES = "10.0.0.0/24"
CONTAINERD = "/run/containerd/containerd.sock"


@dataclass(frozen=True)
class Component:
    command: Callable[["Place"], list[str]]
    ready: Callable[["Place"], bool]
    env: Callable[["Place"], dict[str, str]] = lambda place: {}
    seconds: int = 60  # until it has to be ready, on a busy machine


class Place:
    """The files of one cluster, and what was asked of it."""

    def __init__(self, house: House, extra: dict[str, list[str]] | None = None):
        self.house = house
        self.extra = extra or {}
        self.keys = keys.Keys(house.state / "keys")
        self.config = house.state / "config"

    @property
    def admin(self) -> Path:
        return self.house.state / "admin.kubeconfig"

    def kubeconfig(self, name: str) -> str:
        return str(self.config / f"{name}.kubeconfig")

    def path(self) -> str:
        """Where commands are looked for: the cluster's own first."""
        homes = dict.fromkeys(str(programs.home(module)) for module, _, _ in programs.PROGRAMS.values())
        return ":".join([*homes, os.environ.get("PATH", ""), "/usr/sbin:/sbin"])

    def environment(self) -> dict[str, str]:
        return {
            "KUBECONFIG": str(self.admin),
            "PATH": self.path(),
            "CONTAINERD_ADDRESS": CONTAINERD,
            "CONTAINERD_NAMESPACE": "k8s.io",
            "ARGO_NAMESPACE": "argo",
        }

    def command(self, name: str) -> list[str]:
        return COMPONENTS[name].command(self) + self.extra.get(name, [])

    def start(self, name: str) -> int:
        env = self.environment() | COMPONENTS[name].env(self)
        return self.house.start(name, self.command(name), env)

    # Asking them; only for who is in the cluster's network.

    def answers(self, url: str, admin: bool = False) -> bool:
        context = None
        if url.startswith("https:"):
            context = ssl._create_unverified_context()  # most make a certificate for themselves at each start
            if admin:
                context.load_cert_chain(self.keys / "admin.crt", self.keys / "admin.key")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


def program(name: str) -> str:
    return str(programs.path(name))


def etcd(place: Place) -> list[str]:
    peer = "http://127.0.0.1:2380"
    return [
        program("etcd"),
        f"--name={NODE}",
        f"--data-dir={place.house.data}/etcd",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={NODE}={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(place: Place) -> list[str]:
    k = place.keys
    return [
        program("kube-apiserver"),
        "--bind-address=0.0.0.0",
        f"--secure-port={API_PORT}",
        f"--advertise-address={NODE_IP}",
        f"--etcd-servers={ETCD_URL}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        # Pods leave a lost node after ten seconds, not after five minutes: tests wait for that.
        "--default-not-ready-toleration-seconds=10",
        "--default-unreachable-toleration-seconds=10",
        f"--client-ca-file={k / 'ca.crt'}",
        f"--tls-cert-file={k / 'apiserver.crt'}",
        f"--tls-private-key-file={k / 'apiserver.key'}",
        f"--kubelet-client-certificate={k / 'apiserver-kubelet.crt'}",
        f"--kubelet-client-key={k / 'apiserver-kubelet.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={k / 'accounts.pub'}",
        f"--service-account-signing-key-file={k / 'accounts.key'}",
    ]


def kube_controller_manager(place: Place) -> list[str]:
    k, config = place.keys, place.kubeconfig("controller-manager")
    return [
        program("kube-controller-manager"),
        "--bind-address=127.0.0.1",
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={k / 'accounts.key'}",
        f"--root-ca-file={k / 'ca.crt'}",
        f"--cluster-signing-cert-file={k / 'ca.crt'}",
        f"--cluster-signing-key-file={k / 'ca.key'}",
        f"--service-cluster-ip-range={SERVICES}",
        # A node is lost after 20 seconds of silence: kubelet renews its lease every 10.
        "--node-monitor-grace-period=20s",
    ]


def kube_scheduler(place: Place) -> list[str]:
    config = place.kubeconfig("scheduler")
    return [
        program("kube-scheduler"),
        "--bind-address=127.0.0.1",
        f"--config={place.config}/scheduler.json",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
    ]


def kubelet(place: Place) -> list[str]:
    return [
        program("kubelet"),
        f"--config={place.config}/kubelet.json",
        f"--kubeconfig={place.kubeconfig('kubelet')}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        "--root-dir=/var/lib/kubelet",
        "--cert-dir=/var/lib/kubelet/pki",
    ]


def workflow_controller(place: Place) -> list[str]:
    return [
        program("workflow-controller"),
        f"--kubeconfig={place.admin}",
        "--namespace=argo",
        f"--executor-image={images.ARGOEXEC}",
        "--executor-image-pull-policy=Never",
    ]


def argo_server(place: Place) -> list[str]:
    return [
        program("argo"),
        "server",
        f"--kubeconfig={place.admin}",
        "--namespace=argo",
        "--auth-mode=client",
        "--auth-mode=server",
        "--secure=false",
    ]


def kwok(place: Place) -> list[str]:
    return [
        program("kwok"),
        f"--kubeconfig={place.admin}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--node-ip={NODE_IP}",
        "--cidr=10.77.0.0/16",
        "--server-address=127.0.0.1:10247",
        "--node-lease-duration-seconds=20",
    ]


COMPONENTS: dict[str, Component] = {
    "etcd": Component(etcd, lambda place: place.answers(f"{ETCD_URL}/health")),
    "containerd": Component(
        lambda place: ["containerd", f"--config={place.config}/containerd.toml"],
        lambda place: place.house.within(CONTAINERD).exists(),
    ),
    "kube-apiserver": Component(kube_apiserver, lambda place: place.answers(f"{API_URL}/readyz", admin=True)),
    "kube-controller-manager": Component(
        kube_controller_manager, lambda place: place.answers("https://127.0.0.1:10257/healthz")
    ),
    "kube-scheduler": Component(kube_scheduler, lambda place: place.answers("https://127.0.0.1:10259/healthz")),
    "kube-proxy": Component(
        lambda place: [program("kube-proxy"), f"--config={place.config}/proxy.json"],
        lambda place: place.answers("http://127.0.0.1:10256/livez"),
    ),
    "coredns": Component(
        lambda place: [program("coredns"), f"-conf={place.config}/Corefile"],
        lambda place: place.answers(f"http://{DNS_IP}:8181/ready"),
    ),
    "kubelet": Component(kubelet, lambda place: place.answers("http://127.0.0.1:10248/healthz")),
    "workflow-controller": Component(
        workflow_controller,
        lambda place: place.answers("http://127.0.0.1:6060/healthz"),
        env=lambda place: {"LEADER_ELECTION_DISABLE": "true"},
    ),
    "argo": Component(argo_server, lambda place: place.answers("http://127.0.0.1:2746/api/v1/version")),
    "kwok": Component(kwok, lambda place: place.answers("http://127.0.0.1:10247/healthz")),
}


def configure(place: Place) -> None:
    """Writes every key and configuration. All of them could be YAML; JSON is that too."""
    made = keys.make(place.keys.folder, NODE, ["127.0.0.1", NODE_IP, API_IP])
    (place.config / "cni").mkdir(parents=True, exist_ok=True)
    for name in ("controller-manager", "scheduler", "proxy", "kubelet"):
        made.kubeconfig(Path(place.kubeconfig(name)), name, API_URL)
    made.kubeconfig(place.admin, "admin", API_URL)
    for name, content in {
        "scheduler.json": scheduler_config(place),
        "proxy.json": proxy_config(place),
        "kubelet.json": kubelet_config(place),
        "cni/10-test.conflist": NETWORK,
    }.items():
        (place.config / name).write_text(json.dumps(content, indent=1) + "\n")
    (place.config / "containerd.toml").write_text(CONTAINERD_CONFIG.format(config=place.config))
    (place.config / "Corefile").write_text(COREFILE.format(ip=DNS_IP, kubeconfig=place.admin))
    (place.config / "resolv.conf").write_text("# nobody to ask outside of the cluster\n")


def scheduler_config(place: Place) -> dict:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": place.kubeconfig("scheduler")},
        "leaderElection": {"leaderElect": False},
    }


def proxy_config(place: Place) -> dict:
    """Zeros: leave the machine's own limits alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": place.kubeconfig("proxy")},
        "bindAddress": "0.0.0.0",
        "hostnameOverride": NODE,
        "mode": "iptables",
        "clusterCIDR": PODS,
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def kubelet_config(place: Place) -> dict:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": place.keys / "ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(place.config / "resolv.conf"),
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # A machine that others use too: no image is thrown away and no pod sent off for want of space.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
        "nodeLeaseDurationSeconds": 20,
    }


NETWORK = {
    "cniVersion": "0.4.0",
    "name": "test",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

COREFILE = """\
cluster.local in-addr.arpa {{
    bind {ip}
    errors
    ready {ip}:8181
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
    }}
}}
"""

CONTAINERD_CONFIG = f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{CONTAINERD}"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{{config}}/cni"
"""
