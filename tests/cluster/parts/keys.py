"""Certificates and kubeconfigs, made anew for each cluster and good for two days."""

import base64
import json
import subprocess
from pathlib import Path

from .say import Unable

DAYS = "2"


def openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unable(f"openssl {arguments[0]}: {done.stderr.strip()}")


class Keys:
    def __init__(self, folder: Path):
        self.folder = folder

    def __truediv__(self, name: str) -> str:
        return str(self.folder / name)

    def authority(self, name: str = "ca") -> None:
        self.key(name)
        openssl("req", "-x509", "-new", "-key", self / f"{name}.key", "-out", self / f"{name}.crt", "-days", DAYS,
                "-subj", f"/CN=test cluster {name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip

    def key(self, name: str) -> None:
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self / f"{name}.key")

    def certificate(self, name: str, subject: str, alternatives: str = "", ca: str = "ca") -> None:
        """SUBJECT as /O=group/CN=user; with ALTERNATIVES, a subjectAltName, it is a server's as well."""
        uses = "clientAuth,serverAuth" if alternatives else "clientAuth"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(
            f"extendedKeyUsage={uses}\nkeyUsage=critical,digitalSignature\n"
            + (f"subjectAltName={alternatives}\n" if alternatives else "")
        )
        self.key(name)
        csr = self.folder / f"{name}.csr"
        openssl("req", "-new", "-key", self / f"{name}.key", "-subj", subject, "-out", str(csr))
        signer = ("-CA", self / f"{ca}.crt", "-CAkey", self / f"{ca}.key", "-CAcreateserial", "-days", DAYS)
        extended = ("-extfile", str(extensions))
        openssl("x509", "-req", "-in", str(csr), *signer, *extended, "-out", self / f"{name}.crt")
        extensions.unlink()
        csr.unlink()

    def signing_key(self, name: str) -> None:
        """For service accounts' tokens; these are signed with RSA everywhere."""
        openssl("genrsa", "-out", self / f"{name}.key", "2048")
        openssl("rsa", "-in", self / f"{name}.key", "-pubout", "-out", self / f"{name}.pub")

    def kubeconfig(self, path: Path, name: str, server: str) -> None:
        """For whoever has the certificate NAME. JSON is YAML too."""

        def data(file: str) -> str:
            return base64.b64encode((self.folder / file).read_bytes()).decode()

        user = {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}
        cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": "default"}}],
            "current-context": "test",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1) + "\n")


def make(folder: Path, node: str, addresses: list[str]) -> Keys:
    """All that the programs of one cluster need."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys(folder)
    keys.authority()
    keys.signing_key("accounts")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    alternatives = [f"DNS:{name}" for name in [*names, "localhost"]] + [f"IP:{address}" for address in addresses]
    keys.certificate("apiserver", "/CN=kube-apiserver", ",".join(alternatives))
    keys.certificate("apiserver-kubelet", "/CN=kube-apiserver")
    keys.certificate("admin", "/O=system:masters/CN=admin")
    keys.certificate("controller-manager", "/CN=system:kube-controller-manager")
    keys.certificate("scheduler", "/CN=system:kube-scheduler")
    keys.certificate("proxy", "/CN=system:kube-proxy")
    keys.certificate("kubelet", f"/O=system:nodes/CN=system:node:{node}")
    return keys
