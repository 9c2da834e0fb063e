"""Reads what `strace -f -yy` wrote, and finds disclosures that were sent before their intent was
durable."""

import collections
import re

CALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync"
# What descriptors are; and 8,192 bytes of each call, because an entry has to be found in a page of
# SQLite's, which has 4,096.
FULL = ["-yy", "-s", "8192"]

RECEIVES = ("read", "readv", "recvfrom", "recvmsg")
SENDS = ("write", "writev", "sendto", "sendmsg")

# A system call: the lines at which it began and ended, the file behind its descriptor, what it
# returned, whether strace made that up, and its arguments.
Call = collections.namedtuple("Call", "began ended name file result injected text")

LINE = re.compile(r"^(?:\[pid +)?(\d+)\]? +(.*)$")
WHOLE = re.compile(r"^(\w+)\(\d+<(.*?[^-])> ?[,)](.*)$", re.DOTALL)
RESULT = re.compile(r"\) += (-?\d+)[^=]*$")


def calls(lines):
    """The calls in the order in which they ended. Those that never ended are left out."""
    begun = {}
    for number, line in enumerate(lines):
        found = LINE.match(line.rstrip("\n"))
        if not found:
            continue
        thread, text = found.groups()
        began = number
        if text.endswith("<unfinished ...>"):
            begun[thread] = (number, text.removesuffix("<unfinished ...>"))
            continue
        if text.startswith("<... "):
            began, start = begun.pop(thread, (None, ""))
            text = start + text.partition(" resumed>")[2]
        whole, result = WHOLE.match(text), RESULT.search(text)
        if began is None or not whole or not result:
            continue
        injected = text.endswith("(INJECTED)")
        yield Call(began, number, whole[1], whole[2], int(result[1]), injected, whole[3])


def turns(all_calls, port):
    """Request and answer on the connections to the gate's port: the call that received the last
    of the request, and the first call that sent something after it."""
    asked = {}
    for call in sorted(all_calls, key=lambda call: call.began):
        if not call.file.startswith("TCP:") or f":{port}->" not in call.file or call.result <= 0:
            continue
        if call.name in RECEIVES:
            asked[call.file] = call
        elif call.name in SENDS and call.file in asked:
            yield asked.pop(call.file), call


def violations(lines, port, store, entries):
    """What is wrong with the order of each of the last turns, one for each of `entries` (the
    intents that a single client was given on one connection, in its order)."""
    every = list(calls(lines))
    last = list(turns(every, port))[-len(entries):]
    if len(last) < len(entries):
        return [f"the trace shows {len(last)} answers where the client saw {len(entries)}"]
    writes = [call for call in every if store.writes(call)]
    durable = [call for call in every if store.makes_durable(call)]
    wrong = []
    for entry, (asked, sent) in zip(entries, last):
        written = next((w for w in writes if w.began > asked.ended and entry in w.text), None)
        if written is None:
            wrong.append(f"{entry}: sent at line {sent.began + 1}, its intent was never written")
        elif not any(
            written.ended < d.began and d.ended < sent.began and d.file == written.file
            for d in durable
        ):
            wrong.append(
                f"{entry}: written at line {written.ended + 1}, sent at line {sent.began + 1}, "
                "and nothing made it durable between"
            )
    return wrong
