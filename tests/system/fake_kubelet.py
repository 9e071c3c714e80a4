"""A kubelet for device plugins: registration, listening to a list, asking for devices, and its own list of who holds
which. It speaks gRPC by Python's grpcio, which knows nothing of ours; the few messages are written and read here."""

import contextlib
import threading
from concurrent import futures
from pathlib import Path

import grpc


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """One field of a message: bytes, text or a whole number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def read(message):
    """The fields of a message, each number with all its values."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = number()
        value = number()
        if tag & 7 == 2:
            at, value = at + value, message[at : at + value]
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def text(fields, number):
    return fields.get(number, [b""])[0].decode()


def read_devices(message):
    """A ListAndWatchResponse: what kubelet would make of it."""
    devices = {}
    for one in read(message).get(1, []):
        fields = read(one)
        nodes = read(fields[3][0]).get(1, []) if 3 in fields else []
        devices[text(fields, 1)] = {
            "health": text(fields, 2),
            "numa": [read(node).get(1, [0])[0] for node in nodes],
        }
    return devices


def read_grant(message):
    fields = read(message)
    pairs = [read(one) for one in fields.get(1, [])]
    mounts = [read(one) for one in fields.get(2, [])]
    return {
        "envs": {text(one, 1): text(one, 2) for one in pairs},
        "mounts": {text(one, 1): (text(one, 2), bool(one.get(3, [0])[0])) for one in mounts},
        "nodes": [text(read(one), 1) for one in fields.get(3, [])],
        "cdi": [text(read(one), 1) for one in fields.get(5, [])],
    }


def handlers(service, methods):
    return grpc.method_handlers_generic_handler(
        service, {name: grpc.unary_unary_rpc_method_handler(function) for name, function in methods.items()}
    )


class Plugin:
    """A plugin that has registered: its socket, and the list it tells."""

    def __init__(self, folder, request):
        fields = read(request)
        self.version, self.endpoint, self.resource = (text(fields, number) for number in (1, 2, 3))
        self.channel = grpc.insecure_channel(f"unix:{folder / self.endpoint}")
        self.options = read(self.call("GetDevicePluginOptions", b""))
        self.lists, self.ended = [], None
        self.stream = self.channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch")(b"")
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def call(self, method, message, timeout=10):
        return self.channel.unary_unary(f"/v1beta1.DevicePlugin/{method}")(message, timeout=timeout)

    def listen(self):
        try:
            for message in self.stream:
                self.lists.append(read_devices(message))
            self.ended = "ended"
        except grpc.RpcError as e:
            self.ended = e.code().name

    @property
    def devices(self):
        return self.lists[-1] if self.lists else {}

    def healthy(self):
        return sorted(name for name, one in self.devices.items() if one["health"] == "Healthy")

    def allocate(self, *containers):
        request = b"".join(field(1, b"".join(field(1, name) for name in names)) for names in containers)
        return [read_grant(one) for one in read(self.call("Allocate", request)).get(1, [])]

    def prefer(self, available, must, size):
        one = b"".join(field(1, name) for name in available) + b"".join(field(2, name) for name in must)
        answer = read(self.call("GetPreferredAllocation", field(1, one + field(3, size))))
        return [name.decode() for name in read(answer[1][0]).get(1, [])]

    def close(self):
        self.stream.cancel()
        self.channel.close()


class FakeKubelet:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.plugins, self.servers = [], []
        self.registrations = []
        self.refuse = None  # what to refuse a registration with
        self.held = []  # (namespace, pod, container, resource, [device, ...])
        self.other = 0  # devices that kubelet says another plugin has
        self.sockets = self.folder / "device-plugins"
        self.sockets.mkdir(parents=True)
        (self.folder / "pod-resources").mkdir()

    def serve(self, path, generic):
        path.unlink(missing_ok=True)
        server = grpc.server(futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((generic,))
        server.add_insecure_port(f"unix:{path}")
        server.start()
        self.servers.append(server)

    def start(self):
        """As kubelet does: first the folder is emptied, ours as everybody's."""
        for path in self.sockets.iterdir():
            path.unlink()
        self.serve(
            self.folder / "pod-resources/kubelet.sock",
            handlers("v1.PodResourcesLister", {"List": self.list, "GetAllocatableResources": self.allocatable}),
        )
        self.serve(self.sockets / "kubelet.sock", handlers("v1beta1.Registration", {"Register": self.register}))
        return self

    def register(self, request, context):
        self.registrations.append(request)
        if self.refuse:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, self.refuse)
        threading.Thread(target=self.listen, args=(request,), daemon=True).start()
        return b""

    def listen(self, request):
        with contextlib.suppress(grpc.RpcError):  # it may die meanwhile
            self.plugins.append(Plugin(self.sockets, request))

    def list(self, request, context):
        pods = b""
        for namespace, pod, container, resource, devices in self.held:
            names = b"".join(field(2, name) for name in devices)
            holds = field(1, container) + field(2, field(1, resource) + names)
            pods += field(1, field(1, pod) + field(2, namespace) + field(3, holds))
        return pods

    def allocatable(self, request, context):
        names = b"".join(field(2, f"other-{number}") for number in range(self.other))
        return field(1, field(1, "nvidia.com/gpu") + names)

    @property
    def plugin(self):
        return self.plugins[-1] if self.plugins else None

    def stop(self):
        """It ends; its sockets stay, as they do when it crashes."""
        for plugin in self.plugins:
            plugin.close()
        self.plugins = []
        for server in self.servers:
            with contextlib.suppress(Exception):
                server.stop(0).wait(5)
        self.servers = []
