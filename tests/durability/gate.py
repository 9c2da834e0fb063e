"""The gate under test as a process, what it needs around it, and clients that load it."""

import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from ledger import Seen, disclosed

# LIMIT: seconds that a gate may take to start, to end, or to change its readiness.
PATIENCE_SECONDS = 30
# LIMIT: seconds that a client waits for bytes.
CLIENT_SECONDS = 20


class Failed(Exception):
    """What was promised does not hold."""


class World:
    """`noticegate demo`: certificates, tokens, policies and a stand-in for Twilio. Its own gate is
    not used."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        command = [binary, "demo", "--directory", self.folder, "--port", "0"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )
        told = ""
        for line in self.process.stdout:
            told += line
            if line.lstrip().startswith("Change a clause"):
                break
        else:
            self.stop()
            raise Failed(f"`noticegate demo` did not start:\n{told}")
        threading.Thread(target=collections.deque, args=(self.process.stdout, 0)).start()
        self.path = re.search(r"/2010-04-01/Accounts/\w+/Recordings/\w+\.mp3", told)[0]
        self.token = (self.folder / "tokens/ana.jwt").read_text().strip()
        self.tls = ssl.create_default_context(cafile=self.folder / "certs/ca.pem")
        self.tls.set_alpn_protocols(["http/1.1"])

    def configuration(self, store):
        """The demo's, with another ledger, and with readiness to be asked for."""
        text = (self.folder / "noticegate.toml").read_text()
        text = re.sub(r'^address = .*', 'address = "127.0.0.1:0"', text, flags=re.MULTILINE)
        text = re.sub(r'^path = "ledger.sqlite"', store.config, text, flags=re.MULTILINE)
        text = re.sub(r'^level = .*', 'format = "json"', text, flags=re.MULTILINE)
        path = self.folder / "durability.toml"
        path.write_text(text + '\n[operations]\naddress = "127.0.0.1:0"\n')
        return path

    def stop(self):
        end(self.process, signal.SIGKILL)


def end(process, how):
    """Signals a process and whatever it runs, and waits for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise Failed(f"the gate did not end within {PATIENCE_SECONDS} s") from None


class Gate:
    """`noticegate serve`, perhaps under another program. Use it with `with`."""

    def __init__(self, world, store, under=(), binary=None):
        config = world.configuration(store)
        self.process = subprocess.Popen(
            [*under, binary or world.binary, "serve", "--config", config],
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        self.said = collections.deque(maxlen=20)
        for line in self.process.stderr:
            self.said.append(line)
            if '"serving"' in line:
                break
        else:
            self.kill()
            raise Failed("the gate did not start:\n" + "".join(self.said))
        threading.Thread(target=self.said.extend, args=(self.process.stderr,)).start()
        self.port = int(re.search(r'"address":"[^"]*:(\d+)"', line)[1])
        self.operations = re.search(r'"operations":"([^"]*)"', line)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        end(self.process, signal.SIGKILL)

    def stop(self):
        end(self.process, signal.SIGTERM)

    def ready(self):
        """The status of `/readyz`."""
        try:
            url = f"http://{self.operations}/readyz"
            return urllib.request.urlopen(url, timeout=CLIENT_SECONDS).status
        except urllib.error.HTTPError as error:
            return error.code

    def until_ready_is(self, status):
        until(lambda: self.ready() == status, f"/readyz never answered {status}")


def until(holds, otherwise):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"{otherwise} within {PATIENCE_SECONDS} s")
        time.sleep(0.02)


class Client:
    """One kept-alive HTTPS connection. Use it with `with`."""

    def __init__(self, world, port):
        self.world = world
        plain = socket.create_connection(("127.0.0.1", port), CLIENT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = world.tls.wrap_socket(plain, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, tell, purpose="quality-monitoring"):
        """Sends a request, tells what is seen as soon as the first bytes are there, and reads the
        answer to its end. Raises `OSError` if the connection ends."""
        head = (
            f"GET {self.world.path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-1023\r\n"
            f"Authorization: Bearer {self.world.token}\r\nNoticegate-Purpose: {purpose}\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        got = b""
        try:
            while b"\r\n\r\n" not in got:
                got += self.receive()
        finally:
            # A head that was cut off counts, too.
            if got:
                tell(sighting(got))
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\ncontent-length: *(\d+)", head)[1])
        while len(body) < length:
            body += self.receive()

    def receive(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("closed")
        return piece


def sighting(got):
    """What the first bytes of an answer tell."""
    at = time.monotonic()
    head = got.partition(b"\r\n\r\n")[0].decode("latin-1")
    lines = [line.partition(":") for line in head.split("\r\n")[1:]]
    fields = {name.lower(): value.strip() for name, _, value in lines}
    status = re.match(r"HTTP/1.1 (\d{3})", head)
    entry, mime = fields.get("noticegate-entry", ""), fields.get("content-type", "")
    return Seen(at, int(status[1]) if status else 0, entry, mime)


class Load:
    """Clients that ask again and again until they are stopped, and remember what they saw. One
    request of eight is for a purpose that is refused."""

    def __init__(self, world, gate, clients=16):
        self.world, self.port, self.seen = world, gate.port, []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def run(self, number):
        while not self.stopped.is_set():
            with contextlib.suppress(OSError), Client(self.world, self.port) as client:
                while not self.stopped.is_set():
                    number += 1
                    client.ask(self.tell, "quality-monitoring" if number % 8 else "marketing")
            self.stopped.wait(0.05)

    def tell(self, seen):
        self.seen.append(seen)
        if seen.status not in (200, 206, 403):
            self.stopped.wait(0.02)

    def stop(self):
        """Ends the clients, and gives what they have seen. End the gate before, unless it lives
        on: a client ends with its answer."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        return self.seen

    def disclosures(self):
        return sum(map(disclosed, list(self.seen)))

    def until(self, answers):
        """Waits until there are so many disclosures."""
        until(lambda: self.disclosures() >= answers, f"only {self.disclosures()} disclosures")

    def until_refused(self, answers=20):
        unavailable = lambda: sum(answer.status == 503 for answer in list(self.seen))
        until(lambda: unavailable() >= answers, "the gate did not answer 503")
