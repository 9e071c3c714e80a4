"""A real Redis on loopback, in a folder of its own, and a proxy in front of it that can be cut, slow or deaf."""

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from plant import free_port, until


class RedisServer:
    """What redis-server does; `cli()` asks it, `start()` again after `kill()` or `stop()`.

    TLS: how redis-cli is told.
    """

    def __init__(self, *options, password=None, tls=None):
        self.folder = Path(tempfile.mkdtemp(prefix="reeve-redis-"))
        self.port = free_port()
        self.options = list(options)
        self.password, self.tls = password, tls
        self.process = None

    def start(self):
        where = ["--port", "0", "--tls-port", str(self.port)] if self.tls else ["--port", str(self.port)]
        with open(self.folder / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", *where, "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "", *self.options],
                stdout=log,
                stderr=log,
            )
        until(lambda: "PONG" in self.raw("PING").stdout, 20)
        return self

    def raw(self, *words, text=None):
        login = ["-a", self.password, "--no-auth-warning"] if self.password else []
        secure = ["--tls", "-h", "localhost", *self.tls] if self.tls else []
        return subprocess.run(
            ["redis-cli", "-p", str(self.port), *login, *secure, *words], capture_output=True, text=True, input=text
        )

    def cli(self, *words, text=None):
        answer = self.raw(*words, text=text)
        assert answer.returncode == 0, answer
        return answer.stdout.rstrip("\n")

    def lines(self, *words):
        return [line for line in self.cli(*words).split("\n") if line]

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def done(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Proxy:
    """Passes bytes on to PORT. `cut()` ends what there is; while `deaf` nothing passes, `delay` is for each piece."""

    def __init__(self, port):
        self.target = port
        self.delay, self.deaf, self.refuse = 0, False, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                if self.refuse:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            self.open += [client, server]
            for a, b in [(client, server), (server, client)]:
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, a, b):
        try:
            while piece := a.recv(65536):
                time.sleep(self.delay)
                while self.deaf:
                    time.sleep(0.05)
                b.sendall(piece)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []

    def close(self):
        self.listener.close()
        self.cut()
