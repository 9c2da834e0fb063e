"""Reads the ledger as it lies on the disk, and compares it with what clients have seen."""

import collections
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

# One answer that a client got: when its first bytes were there (monotonic seconds), its status,
# its `Noticegate-Entry` (empty if it had none) and its content type.
Seen = collections.namedtuple("Seen", "at status entry mime")


class Sqlite:
    """A ledger in a file. It is read from a copy, so that the gate itself has to recover it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config = f'path = "{self.path}"'

    def texts(self):
        """The entries, oldest first. Raises `sqlite3.Error` if the file is damaged."""
        with tempfile.TemporaryDirectory(prefix="noticegate-ledger-") as folder:
            for end in ("", "-wal"):
                file = self.path.with_name(self.path.name + end)
                if file.exists():
                    shutil.copy(file, folder)
            connection = sqlite3.connect(f"{folder}/{self.path.name}")
            try:
                found = connection.execute("PRAGMA integrity_check").fetchall()
                if found != [("ok",)]:
                    raise sqlite3.DatabaseError(f"integrity_check: {found[:3]}")
                rows = connection.execute("SELECT bytes FROM entry ORDER BY seq")
                return [bytes(row[0]).decode() for row in rows]
            finally:
                connection.close()

    # What the trace of the gate shows when an entry is written, and when it is durable.

    def writes(self, call):
        return call.name in ("pwrite64", "pwritev", "write") and call.file.endswith("-wal")

    def makes_durable(self, call):
        synced = call.name in ("fsync", "fdatasync") and call.file.endswith("-wal")
        return synced and call.result == 0 and not call.injected


# Where a gate finds the connection string.
URL_ENV = "NOTICEGATE_DURABILITY_POSTGRES"


class Postgres:
    """A ledger in PostgreSQL, without TLS so that a trace can be read, on the port of `url`. Its key
    file goes with the world, so each run needs a new database."""

    def __init__(self, url, port):
        self.url, self.peer = url, f":{port}]"
        os.environ[URL_ENV] = url
        self.config = (
            'directory = "postgres.d"\nkey_file = "postgres.key"\n'
            f'postgres = {{ url_env = "{URL_ENV}" }}'
        )

    def texts(self):
        query = "SELECT encode(bytes, 'hex') FROM noticegate.entry ORDER BY seq"
        asked = subprocess.run(
            ["psql", "--no-psqlrc", "-At", "-c", query, self.url], check=True, capture_output=True
        )
        return [bytes.fromhex(line).decode() for line in asked.stdout.decode().split()]

    def writes(self, call):
        sent = call.name in ("sendto", "sendmsg", "write", "writev")
        return sent and self.is_connection(call) and call.result > 0

    def makes_durable(self, call):
        received = call.name in ("recvfrom", "recvmsg", "read", "readv")
        return received and self.is_connection(call) and call.result > 0

    def is_connection(self, call):
        return call.file.startswith("TCP:") and call.file.endswith(self.peer)


def disclosed(seen):
    """Whether an answer made anything of a recording known."""
    return 200 <= seen.status < 300


def missing(seen, texts):
    """The answers whose entry is not on record: disclosures without an intent, and refusals that
    name an entry that is not there."""
    kinds = {"intent": set(), "refusal": set()}
    for entry in map(json.loads, texts):
        if entry["t"] in kinds:
            kinds[entry["t"]].add(entry["id"])
    return [
        answer for answer in seen
        if (disclosed(answer) or answer.entry)
        and answer.entry not in kinds["intent" if disclosed(answer) else "refusal"]
    ]


def leaked(seen):
    """Answers that say no, but not in the form of a refusal."""
    told = [answer for answer in seen if answer.status and not disclosed(answer)]
    return [answer for answer in told if answer.mime != "application/problem+json"]
