"""Verifies an export bundle with nothing but Python 3 and openssl: python3 verify.py FOLDER [VKEY]

FOLDER holds `checkpoint`, `log.vkey`, `tile/0/...`, `tile/entries/...` (c2sp.org/tlog-tiles). VKEY
is the file with the log's key as YOU keep it; without it the bundle's own is taken, which proves
only that the bundle agrees with itself. "VERIFIED" and exit status 0 mean that the signature holds
and that the signed root is the root over exactly these entries in this order (RFC 6962).
"""
import base64, hashlib, itertools, pathlib, subprocess, sys, tempfile

def fail(why):
    sys.exit(f"NOT VERIFIED: {why}")

def sha256(data):
    return hashlib.sha256(data).digest()

def read(kind, number, width):  # a file of up to 256 items; None if it is not there
    path = f"{number % 1000:03}" + (f".p/{width}" if width < 256 else "")
    while number := number // 1000:
        path = f"x{number % 1000:03}/{path}"
    file = folder / "tile" / kind / path
    return file.read_bytes() if file.exists() else None

sys.excepthook = lambda kind, why, _: print("NOT VERIFIED:", kind.__name__, why, file=sys.stderr)
folder = pathlib.Path(sys.argv[1])
vkey = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else folder / "log.vkey"
name, key_id, key = vkey.read_bytes().decode().strip().split("+", 2)
key = base64.b64decode(key)
if key[0] != 1 or sha256(f"{name}\n".encode() + key)[:4].hex() != key_id:
    fail(f"{vkey} is not an Ed25519 verifier key")

text, lines = (folder / "checkpoint").read_bytes().decode().rsplit("\n\n", 1)
lines = [line.split(" ") for line in lines.split("\n")]
signatures = [base64.b64decode(line[2]) for line in lines if line[:2] == ["\u2014", name]]
signatures = [signature[4:] for signature in signatures if signature[:4].hex() == key_id]
if not signatures:
    fail(f"the checkpoint is not signed by {name}")
with tempfile.TemporaryDirectory() as place:
    public = bytes.fromhex("302a300506032b6570032100") + key[1:]  # RFC 8410
    files = {"public": public, "signature": signatures[0], "text": f"{text}\n".encode()}
    for file, content in files.items():
        pathlib.Path(place, file).write_bytes(content)
    command = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey public -in text"
    command = f"{command} -sigfile signature".split()
    if subprocess.run(command, cwd=place, capture_output=True).returncode:
        fail("the checkpoint's signature is false")
origin, size, root = text.split("\n")[:3]
size, root = int(size), base64.b64decode(root)

peaks, minimum, differs = [], None, None  # peaks: height and hash of each full subtree so far
for first in range(0, size, 256):
    width = min(256, size - first)
    bundle, tile = read("entries", first // 256, width), read("0", first // 256, width)
    kept = hashes = tile and [tile[at : at + 32] for at in range(0, len(tile), 32)]
    if bundle is not None:
        minimum, hashes = first if minimum is None else minimum, []
        while bundle:  # each entry after its length in two bytes
            end = 2 + int.from_bytes(bundle[:2], "big")
            hashes.append(sha256(b"\0" + bundle[2:end]) if end <= len(bundle) else b"cut off")
            bundle = bundle[end:]
    elif tile is None or minimum is not None:  # only the oldest may be pruned to their hashes
        fail(f"the entries from {first} on are missing")
    if kept and hashes != kept and differs is None:
        pairs = enumerate(itertools.zip_longest(hashes, kept))
        differs = first + next(at for at, (entry, hashed) in pairs if entry != hashed)
    if differs is None and len(hashes) != width:
        fail(f"there are {len(hashes)} entries from {first} on, and should be {width}")
    for found in hashes:
        height = 0
        while peaks and peaks[-1][0] == height:
            height, found = height + 1, sha256(b"\1" + peaks.pop()[1] + found)
        peaks.append((height, found))
computed = peaks.pop()[1] if peaks else sha256(b"")
while peaks:
    computed = sha256(b"\1" + peaks.pop()[1] + computed)
if differs is not None:
    fail(f"entry {differs} is not what its hash in tile/0 says")
if computed != root:
    fail("the entries are not those of the signed root")
minimum = size if minimum is None else minimum
print(f"VERIFIED: {origin}, {size} entries", f"({minimum} pruned to hashes)" if minimum else "")
