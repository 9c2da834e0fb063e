"""The checks. Each returns what it found in a line, or raises `Failed` or `Unavailable`."""

import contextlib
import json
import pathlib
import shutil
import sqlite3
import subprocess
import time

import disks
import mutants
import trace
from disks import Unavailable
from gate import Client, Failed, Gate, Load
from ledger import Postgres, Seen, Sqlite, disclosed, leaked, missing

# Microseconds that every sync is held up while the order is looked at: an answer that does not
# wait for it comes first each time, and not just now and then.
SYNC_DELAY = 20_000
# LIMIT: how late a client among many may note what it has received.
CLIENT_LATE_SECONDS = 0.5


class Kit:
    """What all checks share."""

    def __init__(self, world, folder, store, quick):
        self.world, self.folder, self.store, self.quick = world, pathlib.Path(folder), store, quick

    def fresh(self, name):
        """A ledger for one check."""
        return self.store or Sqlite(self.folder / f"{name}.sqlite")

    def sqlite_only(self):
        if self.store:
            raise Unavailable("PostgreSQL keeps the ledger, not a file of the gate's")


def strace(*options, output="/dev/null", calls="fsync,fdatasync"):
    """The words that put a gate under strace."""
    words = ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(output)]
    for option in options:
        words += ["-e", option]
    if not shutil.which("strace"):
        raise Unavailable("no strace")
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        raise Unavailable("strace may not trace here")
    return words


def compare(seen, store):
    """Fails unless all that was seen is on record, and says how much that was."""
    lost = missing(seen, store.texts())
    if lost:
        raise Failed(f"{len(lost)} of {len(seen)} answers are not on record, such as {lost[0]}")
    if leaked(seen):
        raise Failed(f"an answer that is no refusal: {leaked(seen)[0]}")
    return f"{sum(map(disclosed, seen))} disclosures, 0 missing"


def resumed(store):
    if not any('"t":"resume"' in text for text in store.texts()):
        raise Failed("the ledger was never closed and opened again")


def order(kit):
    """Between a request and the first byte of its disclosure, its intent is made durable."""
    count = 300 if kit.quick else 1_000
    wrong = out_of_order(kit, "order", count)
    if wrong:
        raise Failed(f"{len(wrong)} of {count} disclosures: {wrong[0]}")
    caught = {}
    if not kit.store:
        caught["no-sync"] = len(out_of_order(kit, "no-sync", 100, mutants.NO_SYNC))
    built = mutants.answers_before_durable()
    caught["log-after-send"] = len(out_of_order(kit, "log-after-send", 100, binary=built))
    for mutant, found in caught.items():
        if found == 0:
            raise Failed(f"the mutant {mutant} was not caught")
    told = ", ".join(f"{mutant} caught {found}/100" for mutant, found in caught.items())
    return f"{count} disclosures, 0 out of order; {told}"


def out_of_order(kit, name, count, sync=None, binary=None):
    """Runs a gate under strace, with one client."""
    sync = sync or f"inject=fsync,fdatasync:delay_enter={SYNC_DELAY}"
    store, output = kit.fresh(name), kit.folder / f"{name}.strace"
    under = strace(sync, output=output, calls=trace.CALLS) + trace.FULL
    seen = []
    with Gate(kit.world, store, under, binary) as gate:
        with Client(kit.world, gate.port) as client:
            # The end of the handshake must not be taken for an answer.
            time.sleep(0.2)
            for _ in range(5 + count):
                client.ask(seen.append)
        gate.stop()
    if not all(map(disclosed, seen)):
        raise Failed(f"refused: {next(a for a in seen if not disclosed(a))}")
    entries = [answer.entry for answer in seen[5:]]
    with open(output, encoding="latin-1") as lines:
        return trace.violations(lines, gate.port, store, entries)


def kill(kit):
    """SIGKILL under load."""
    store, seen = kit.fresh("kill"), []
    for number in range(10 if kit.quick else 40):
        with Gate(kit.world, store) as gate, Load(kit.world, gate) as load:
            load.until(40 + 40 * number)
            gate.kill()
            seen += load.stop()
        told = compare(seen, store)
    return f"{number + 1} kills, {told}"


def power_cut(kit):
    """What was not synced is gone."""
    kit.sqlite_only()
    rounds, seen = 5 if kit.quick else 15, []
    strace()
    with disks.ext4(kit.folder, "cut") as disk:
        store = Sqlite(disk.place / "ledger.sqlite")
        for number in range(rounds):
            seen += cut(kit, disk, store, 400 + 150 * number)
            told = compare(seen, store)
    with disks.ext4(kit.folder, "cut-mutant") as disk:
        store = Sqlite(disk.place / "ledger.sqlite")
        seen = cut(kit, disk, store, 200, strace(mutants.NO_SYNC))
        try:
            lost = len(missing(seen, store.texts()))
        except sqlite3.Error:
            lost = len(seen)
    if lost == 0:
        raise Failed("the mutant no-sync was not caught")
    return f"{rounds} cuts, {told}; no-sync caught {lost}/{len(seen)}"


def cut(kit, disk, store, answers, under=()):
    """One power cut under load. Gives what was seen before it: later, nobody receives anything."""
    with Gate(kit.world, store, under) as gate, Load(kit.world, gate) as load:
        load.until(answers)
        moment = disk.cut_power()
        gate.kill()
        seen = load.stop()
    disk.unmount()
    disk.mount()
    return [answer for answer in seen if answer.at < moment]


def no_space(kit):
    """A full file system, until there is room again."""
    kit.sqlite_only()
    with disks.tmpfs(kit.folder, "full", "24m") as disk:
        store, ballast = Sqlite(disk.place / "ledger.sqlite"), disk.place / "ballast"
        rest = disk.place / "rest"
        ballast.write_bytes(bytes(16 << 20))
        with Gate(kit.world, store) as gate, Load(kit.world, gate) as load:
            gate.until_ready_is(503)
            # What is left in the last pages, too.
            with contextlib.suppress(OSError), open(rest, "wb", 0) as file:
                while file.write(bytes(4096)):
                    pass
            load.until_refused(200)
            ballast.unlink()
            rest.unlink()
            return recovered(gate, load, store)


def read_only(kit):
    """Writes that the kernel refuses because the file system is read-only."""
    kit.sqlite_only()
    told = injected(kit, "read-only", "pwrite64", "inject=pwrite64:error=EROFS:when=800..806")
    with disks.ext4(kit.folder, "aborted") as disk:
        store = Sqlite(disk.place / "ledger.sqlite")
        with Gate(kit.world, store) as gate, Load(kit.world, gate) as load:
            load.until(200)
            # As after an error of the disk: there is no other way while files are open.
            moment = time.monotonic()
            disk.remount("abort")
            gate.until_ready_is(503)
            closed = time.monotonic() + CLIENT_LATE_SECONDS
            load.until_refused()
            gate.kill()
            seen = load.stop()
        disk.unmount()
        disk.mount()
        # LIMIT: while its journal aborts, ext4 says of syncs that they are done which are not. What
        # was told between the abort and the first sync that failed may be lost, and nothing else.
        late = [a for a in missing(seen, store.texts()) if moment <= a.at <= closed]
        aborted = compare([answer for answer in seen if answer not in late], store)
        with Gate(kit.world, store) as gate, Load(kit.world, gate) as load:
            load.until(20)
    return f"{told}; aborted ext4: {aborted} but {len(late)} in its very moment"


def eio(kit):
    """Syncs that fail."""
    kit.sqlite_only()
    return injected(kit, "eio", "fsync,fdatasync", "inject=fsync,fdatasync:error=EIO:when=200..206")


def injected(kit, name, calls, fault):
    store, under = kit.fresh(name), strace(fault, calls=calls)
    with Gate(kit.world, store, under) as gate, Load(kit.world, gate, 8) as load:
        gate.until_ready_is(503)
        load.until_refused()
        return recovered(gate, load, store)


def recovered(gate, load, store):
    """The gate comes back by itself, and all that was ever seen is on record."""
    gate.until_ready_is(200)
    load.until(load.disclosures() + 50)
    seen = load.stop()
    gate.stop()
    refused = sum(answer.status == 503 for answer in seen)
    resumed(store)
    return f"{compare(seen, store)}, {refused} refused, recovered"


def self_test(kit):
    """The comparer and the reader of traces find what is wrong."""
    store = Sqlite(kit.folder / "self.sqlite")
    with contextlib.closing(sqlite3.connect(store.path)) as made, made:
        made.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, bytes BLOB)")
        for kind, id in (("intent", "a"), ("refusal", "b"), ("outcome", "c")):
            text = json.dumps({"t": kind, "id": id}).encode()
            made.execute("INSERT INTO entry (bytes) VALUES (?)", [text])
    audio, problem = "audio/x-wav", "application/problem+json"
    told = [Seen(0, 206, "a", audio), Seen(0, 403, "b", problem), Seen(0, 503, "", problem)]
    untold = [
        Seen(0, 206, "d", audio), Seen(0, 206, "", audio), Seen(0, 206, "c", audio),
        Seen(0, 200, "b", audio), Seen(0, 403, "d", problem),
    ]
    if missing(told + untold, store.texts()) != untold:
        raise Failed(f"the comparer found {missing(told + untold, store.texts())}")
    if leaked([*told, Seen(0, 503, "", audio)]) != [Seen(0, 503, "", audio)]:
        raise Failed("sound in a refusal was not found")
    asked = '1 recvfrom(7<TCP:[h:1->h:2]>, "?", 9) = 9'
    answered = '1 sendto(7<TCP:[h:1->h:2]>, "!", 9) = 9'
    written, synced = '2 pwrite64(8</l-wal>, "id", 9, 0) = 9', "2 fdatasync(8</l-wal>) = 0"
    begun, done = "2 fdatasync(8</l-wal> <unfinished ...>", "2 <... fdatasync resumed>) = 0"
    stories = {
        (asked, written, synced, answered): 0,
        (asked, written, begun, done, answered): 0,
        (asked, written, begun, answered, done): 1,
        (asked, begun, written.replace("2", "3", 1), done, answered): 1,
        (asked, written, synced + " (INJECTED)", answered): 1,
        (asked, written, synced.replace("= 0", "= -1 EIO (Input/output error)"), answered): 1,
        (asked, synced, written, answered): 1,
        (asked, written.replace("id", "of"), synced, answered): 1,
        (asked, written, synced.replace("-wal", ""), answered): 1,
        (asked, answered, written, synced): 1,
        (written, synced, asked, answered): 1,
        (asked, written, synced): 1,
    }
    for lines, expected in stories.items():
        if len(trace.violations(lines, 1, store, ["id"])) != expected:
            raise Failed("the reader of traces was wrong about:\n" + "\n".join(lines))
    query = '2 sendto(9<TCP:[h:3->h:4]>, "id", 9) = 9'
    reply = '2 recvfrom(9<TCP:[h:3->h:4]>, "", 9) = 9'
    for lines, expected in (
        ((asked, query, reply, answered), 0),
        ((asked, query, answered, reply), 1),
    ):
        if len(trace.violations(lines, 1, Postgres("", 4), ["id"])) != expected:
            raise Failed("the reader of traces was wrong about PostgreSQL")
    return f"{len(told + untold)} answers and {len(stories)} traces judged rightly"


CHECKS = {
    "self": self_test,
    "order": order,
    "kill": kill,
    "eio": eio,
    "read-only": read_only,
    "no-space": no_space,
    "power-cut": power_cut,
}
