"""Gates that are broken on purpose. A check that does not catch them proves nothing."""

import os
import pathlib
import shutil
import subprocess

from gate import Failed

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PATCH = pathlib.Path(__file__).parent / "mutants/answer_before_durable.patch"

# A sync that says it is done and does nothing.
NO_SYNC = "inject=fsync,fdatasync:retval=0"


def answers_before_durable():
    """Builds a gate whose pledge does not wait for the writer. The folder is kept, so that the
    second time builds only what has changed."""
    target = ROOT / "target/mutants"
    sources = target / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, sources / name)
    patched = subprocess.run(
        ["patch", "-p1", "--fuzz=2", "--no-backup-if-mismatch", "-i", PATCH],
        cwd=sources, capture_output=True, text=True,
    )
    if patched.returncode:
        raise Failed(f"{PATCH.name} no longer applies; make it anew:\n{patched.stdout}")
    # The patched file is as old as what it was made of, so that it is not built again for nothing.
    file = "src/ledger/proof.rs"
    age = max((ROOT / file).stat().st_mtime, PATCH.stat().st_mtime)
    os.utime(sources / file, (age, age))
    built = subprocess.run(
        ["cargo", "build", "--locked", "--quiet", "--bin", "noticegate"],
        cwd=sources, env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        stderr=subprocess.PIPE, text=True,
    )
    if built.returncode:
        raise Failed(f"the mutant does not build:\n{built.stderr[-2000:]}")
    return target / "debug/noticegate"
