"""File systems to break: they are mounted where only this process and what it starts see them."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import time

from gate import Failed

# EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32), of the kernel's include/uapi/linux/ext4.h; the flag says
# that the journal is not written out first: what was not synced is lost, as in a power cut.
EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = (2).to_bytes(4, "little")
# Set where mounts are seen by nobody else.
NAMESPACE = "NOTICEGATE_DURABILITY_NAMESPACE"
# LIMIT: seconds until a killed process has let go of its files.
RELEASE_SECONDS = 10


class Unavailable(Exception):
    """This machine cannot do that; the check is skipped."""


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0]
        raise Failed(f"`{' '.join(map(str, words))}`: {said}")


class Disk:
    """A mounted file system. `source` is what `mount` is given before the place."""

    def __init__(self, place, *source):
        self.place, self.source = pathlib.Path(place), source

    def mount(self):
        self.place.mkdir(exist_ok=True)
        run("mount", *self.source, self.place)

    def unmount(self):
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            try:
                return run("umount", self.place)
            except Failed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def remount(self, options):
        run("mount", "-o", f"remount,{options}", self.place)

    def cut_power(self):
        """Returns the moment before which everything seen must be on the disk."""
        folder = os.open(self.place, os.O_RDONLY)
        try:
            before = time.monotonic()
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(folder)
        return before


@contextlib.contextmanager
def mounted(disk, prepare=()):
    if os.geteuid() != 0 or NAMESPACE not in os.environ:
        raise Unavailable("not root, or not allowed a mount namespace")
    try:
        if prepare:
            run(*prepare)
        disk.mount()
    except (Failed, OSError) as error:
        raise Unavailable(str(error)) from None
    try:
        yield disk
    finally:
        if disk.place.is_mount():
            disk.unmount()


def ext4(folder, name):
    """An ext4 in a file."""
    image = pathlib.Path(folder) / f"{name}.image"
    with open(image, "wb") as file:
        file.truncate(128 << 20)
    disk = Disk(pathlib.Path(folder) / name, "-o", "loop,errors=remount-ro", image)
    return mounted(disk, ("mkfs.ext4", "-q", "-F", image))


def tmpfs(folder, name, size):
    return mounted(Disk(pathlib.Path(folder) / name, "-t", "tmpfs", "-o", f"size={size}", "none"))
