"""A Containerfile that is read, and run without a container engine: what it says of the running container, enforced.

The root is a read-only overlay of this machine's, the network the container's own, the user the one it names, without
capabilities. Needs Linux and root.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Arguments: a scratch folder, the environment, documents, the index, the user, folders that it must be able to read.
ENTER = """
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
scratch=$1 root=$1/root environment=$2 documents=$3 index=$4 user=$5
shift 5
mkdir -p "$root/opt/sourceline" "$root/documents" "$root/index"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for folder in "$@"; do
    mkdir -p "$root$folder"
    parent=$folder
    while parent=$(dirname "$parent"); [ "$parent" != / ]; do chmod a+x "$root$parent"; done
    mount --bind "$folder" "$root$folder"
done
mount --bind "$environment" "$root/opt/sourceline"
mount --bind "$documents" "$root/documents"
mount -o remount,bind,ro "$root/documents"
mount --bind "$index" "$root/index"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount -o remount,bind,ro "$root"
ip link set lo up
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all env --ignore-environment sh -euc "$COMMAND"
"""


@dataclass(frozen=True)
class Containerfile:
    """The instructions of a Containerfile, each with its argument, in order."""

    instructions: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> "Containerfile":
        lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
        return cls(tuple((line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines()))

    def stages(self) -> list[list[tuple[str, str]]]:
        """Return the instructions of each stage."""
        starts = [number for number, (name, _) in enumerate(self.instructions) if name == "FROM"]
        ends = [*starts[1:], len(self.instructions)]
        return [list(self.instructions[start:end]) for start, end in zip(starts, ends, strict=True)]

    def last(self, name: str) -> str:
        """Return the argument of an instruction of the last stage."""
        return [argument for instruction, argument in self.stages()[-1] if instruction == name][-1]

    def copied(self) -> list[str]:
        """Return the files and folders of the checkout that are copied into the first stage."""
        return [
            source
            for instruction, argument in self.stages()[0]
            if instruction == "COPY"
            for source in argument.split()[:-1]
        ]

    def environment(self) -> dict[str, str]:
        """Return what ENV sets, for a shell to expand."""
        return dict(part.split("=", 1) for part in shlex.split(self.last("ENV")))


def can_contain() -> bool:
    """Return whether this machine lets a process have mounts and a network of its own."""
    if not all(map(shutil.which, ("unshare", "setpriv", "chroot", "ip"))):
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-ec", "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def run_contained(command: str, user: str, scratch: Path, environment: Path, documents: Path, index: Path) -> str:
    """Run a shell's command as a container would; return what it prints.

    Args:
        command: begins with no environment at all.
        user: the ids of user and group, with a colon in between.
        scratch: an empty folder.
        environment: what stands at ``/opt/sourceline``.
        documents: at ``/documents``, read-only.
        index: at ``/index``.
    """
    readable = {os.path.realpath(folder) for folder in (sys.base_prefix, sys.prefix)}
    arguments = [scratch, environment, documents, index, user, *sorted(readable)]
    run = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-euc", ENTER, "enter", *map(str, arguments)],
        env=os.environ | {"COMMAND": command},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout
