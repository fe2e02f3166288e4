"""Backups: one archive of a snapshot with its ledger and encoder, and what puts it back.

The archive is a tar, ``backup.json`` first, which lists the others with their sizes and checksums. Nothing in it is
taken on trust when it is read: every header has to be, byte for byte, the one that the list calls for, so that there is
no link, no other path and no other size.
"""

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from sourceline import __version__
from sourceline.citations import ledger as ledgers
from sourceline.citations.ledger import restored_file
from sourceline.durable import open_regular, sync, sync_tree
from sourceline.encoders.load import ENCODERS
from sourceline.errors import BackupError, DamagedError, ModelError, NoSnapshotError, SourcelineError
from sourceline.index import snapshot as snapshots
from sourceline.index.snapshot import CURRENT, RESTORING, SNAPSHOTS, SNAPSHOTS_BEFORE_FORMAT_6, Manifest, with_checksum
from sourceline.integrity import (
    BLOCK_BYTES,
    Part,
    check_files,
    check_part,
    encoder_parts,
    ledger_part,
    read_part,
    snapshot_parts,
)
from sourceline.types import Backup

# To be raised with any change of the archive.
FORMAT = 1
CARD = "backup.json"
_MAX_CARD_BYTES = 1 << 20
_MAX_MEMBER_BYTES = (1 << 63) - 1  # as of any file
_RECORD = tarfile.RECORDSIZE  # the length of a tar is a multiple of it
_SNAPSHOT = re.compile(r"\d{8}-[0-9TZ]+")
_NAME = re.compile(rf"{re.escape(ledgers.FILE)}|(?:{SNAPSHOTS}|{ENCODERS})(?:/(?!\.\.?(?:/|$))[\w.-]+){{2,}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Card:
    """What ``backup.json`` says: ``members`` is name -> (bytes, SHA-256) of all others, in their order."""

    format: int
    version: str
    created: str
    snapshot: str
    index_format: int
    members: dict[str, tuple[int, str]]

    def text(self) -> bytes:
        """Return the file, with a checksum of the rest in it."""
        return with_checksum(asdict(self)).encode()

    def describe(self, replaced: Path | None = None) -> Backup:
        """Return what is told of the archive."""
        return Backup(
            snapshot=self.snapshot,
            created=datetime.fromisoformat(self.created),
            version=self.version,
            files=len(self.members),
            bytes=sum(size for size, _ in self.members.values()),
            replaced=replaced,
        )


def back_up(index: Path, target: Path, overwrite: bool) -> Backup:
    """Write the snapshot that ``CURRENT`` names, with all that it needs, into an archive. Safe beside builds.

    Raises:
        BackupError: the archive exists and is not to be overwritten, or cannot be written.
        NoSnapshotError: nothing was published.
        SnapshotError, ModelError, LedgerError: something is damaged, and nothing was written.
    """
    _require_free(target, overwrite)
    with ExitStack() as stack:
        snapshot_id, opened = _open_parts(index, stack)
        # The snapshot says how the ledger ends in a way of its own: it is read once more to be listed like the others.
        members = {part.name: (part.size, _digest(part, file)) for part, file in opened}
        created = datetime.now(UTC).isoformat(timespec="seconds")
        card = Card(FORMAT, __version__, created, snapshot_id, snapshots.FORMAT, members)
        try:
            with _replacing(target, overwrite) as archive:
                _write(archive, card, opened)
                if hasattr(os, "posix_fadvise"):  # so that it is read from the disk
                    os.posix_fadvise(archive.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                archive.seek(0)
                _verify(archive, target)
        except OSError as error:
            raise BackupError(f"{target} cannot be written: {error.strerror}") from error
    return card.describe()


def restore(file: Path, index: Path, replace: bool) -> Backup:
    """Put what an archive holds into an index folder, after all of it was verified.

    One rename makes it visible, so that a crash leaves the index before or this one, whole.

    Args:
        file: the archive.
        index: the index folder; created if there is none.
        replace: whether to move an index that is there into a folder of its own, ``replaced-<time>``.

    Raises:
        BackupError: the archive is damaged or of another version, there is an index, or the folder cannot be written.
        BuildRunningError: a build holds the lock.
    """
    _require_empty(index, replace)
    try:
        archive = open_regular(file)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}") from error
    with archive:
        card = _verify(archive, file)
        try:
            with snapshots.build_lock(index):
                _require_empty(index, replace)
                return card.describe(_restore(archive, file, card, index))
        except OSError as error:
            raise BackupError(f"{index} cannot be written: {error.strerror}") from error


# Writing


def _open_parts(index: Path, stack: ExitStack) -> tuple[str, list[tuple[Part, BinaryIO]]]:
    """Open every file of the current snapshot at once: then a build may remove it."""
    while True:
        current = snapshots.current_id(index)
        if current is None:
            if snapshots.snapshot_ids(index):
                raise DamagedError(f"{index / CURRENT} is missing: {snapshots.REBUILD}")
            raise NoSnapshotError(f"there is no index in {index} yet: {snapshots.REBUILD}")
        try:
            with ExitStack() as opening:
                manifest = snapshots.read_manifest(snapshots.snapshot_folder(index, current))
                parts = [
                    *encoder_parts(index, manifest),
                    *snapshot_parts(index, manifest),
                    ledger_part(index, manifest),
                ]
                opened = [(part, opening.enter_context(_open(part))) for part in parts]
                stack.enter_context(opening.pop_all())
                return current, opened
        except (SourcelineError, OSError) as error:
            if snapshots.current_id(index) != current:
                continue  # a build published another one and removed this one while it was being opened
            snapshots.require_readable(error)
            if isinstance(error, OSError):
                raise DamagedError(f"cannot read {error.filename} ({error.strerror}): {snapshots.REBUILD}") from error
            raise


def _open(part: Part) -> BinaryIO:
    try:
        return open_regular(part.path)
    except OSError as error:
        snapshots.require_readable(error)
        raise DamagedError(f"{part.damaged} ({error.strerror})") from error


def _digest(part: Part, file: BinaryIO) -> str:
    if isinstance(part.written, str):
        return part.written
    hashed = hashlib.sha256()
    for block in _read(part, file):
        hashed.update(block)
    file.seek(0)
    return hashed.hexdigest()


def _read(part: Part, file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a part of the index, compared; a disk that cannot read them is not the archive's."""
    try:
        yield from read_part(part, file)
    except OSError as error:
        raise DamagedError(f"{part.damaged} ({error.strerror})") from error


@contextmanager
def _replacing(target: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Yield a new file, which takes the place of ``target`` once it is whole and on the disk."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
        _require_free(target, overwrite)  # still
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(target.absolute().parent)


def _require_free(target: Path, overwrite: bool) -> None:
    if os.path.lexists(target) and not (overwrite and target.is_file()):
        remedy = "use --force to overwrite it" if target.is_file() else "it is no file that could be overwritten"
        raise BackupError(f"{target} exists: {remedy}")


def _write(archive: BinaryIO, card: Card, opened: list[tuple[Part, BinaryIO]]) -> None:
    """Write the archive and flush it to the disk. What differs from its checksum ends it."""
    text = card.text()
    archive.write(_header(CARD, len(text), card) + text + _padding(len(text)))
    for part, file in opened:
        archive.write(_header(part.name, part.size, card))
        for block in _read(part, file):
            archive.write(block)
        archive.write(_padding(part.size))
    archive.write(_end(archive.tell()))
    archive.flush()
    os.fsync(archive.fileno())


def _header(name: str, size: int, card: Card) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, int(datetime.fromisoformat(card.created).timestamp())
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _end(size: int) -> bytes:
    """Return what ends an archive of this size: two blocks of zeros, then zeros up to the length of a record."""
    blocks = 2 * tarfile.BLOCKSIZE
    return bytes(blocks + -(size + blocks) % _RECORD)


# Reading


def _verify(archive: BinaryIO, file: Path) -> Card:
    """Read an archive from its beginning to its end, and compare every byte; return what it says of itself."""
    card = _read_card(archive, file)
    for _ in _members(archive, card, file):
        pass
    return card


def _read_card(archive: BinaryIO, file: Path) -> Card:
    """Read the first member, and leave the file at the second."""
    try:
        size = tarfile.TarInfo.frombuf(archive.read(tarfile.BLOCKSIZE), "utf-8", "strict").size
        text = archive.read(min(size, _MAX_CARD_BYTES))
        body = json.loads(text)
        del body["checksum"]
        if text.decode() != with_checksum(body):
            raise ValueError("its checksum differs")
        if (body["format"], body["index_format"]) != (FORMAT, snapshots.FORMAT):
            raise BackupError(
                f"{file} holds an index in another format, of Sourceline {body['version']}: restore it with that "
                "version, or run `sourceline rebuild-index` instead"
            )
        members = {name: (int(size), str(digest)) for name, (size, digest) in body["members"].items()}
        card = Card(**body | {"members": members})
        if not (_SNAPSHOT.fullmatch(card.snapshot) and all(map(_NAME.fullmatch, members))):
            raise ValueError("a name leads elsewhere")
        if not all(0 <= size <= _MAX_MEMBER_BYTES for size, _ in members.values()):
            raise ValueError("no file has such a size")
        header = _header(CARD, len(text), card)
    except (tarfile.TarError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BackupError(f"{file} is no backup, or its first member, {CARD}, is damaged: use another") from error
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}") from error
    archive.seek(0)
    _expect(archive, header + text + _padding(len(text)), file, CARD)
    return card


def _members(archive: BinaryIO, card: Card, file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the members behind the first one, block by block, each at least once. What differs ends it.

    Raises:
        BackupError: it is named.
    """
    for name, (size, digest) in card.members.items():
        _expect(archive, _header(name, size, card), file, name)
        hashed, remaining = hashlib.sha256(), size
        yield name, b""
        while remaining:
            block = _read_archive(archive, min(remaining, BLOCK_BYTES), file)
            if not block:
                raise _differs(file, name)
            remaining -= len(block)
            hashed.update(block)
            yield name, block
        if hashed.hexdigest() != digest:
            raise _differs(file, name)
        _expect(archive, _padding(size), file, name)
    _expect(archive, _end(archive.tell()), file, "the end")
    if _read_archive(archive, 1, file):
        raise _differs(file, "the end")


def _expect(archive: BinaryIO, expected: bytes, file: Path, name: str) -> None:
    if _read_archive(archive, len(expected), file) != expected:
        raise _differs(file, name)


def _read_archive(archive: BinaryIO, size: int, file: Path) -> bytes:
    try:
        return archive.read(size)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}") from error


def _differs(file: Path, name: str) -> BackupError:
    return BackupError(f"{file} is damaged: {name} is not as it was written; use another backup")


# Restoring


def _require_empty(index: Path, replace: bool) -> None:
    if not replace and (held := _held(index)):
        names = " and ".join(path.name for path in held)
        raise BackupError(
            f"{index} holds an index already ({names}): restore into another folder with --index, or use --replace, "
            "which moves what is there aside"
        )


def _held(index: Path) -> list[Path]:
    """Return what an index folder holds that a backup would replace."""
    names = [index / CURRENT, index / ledgers.FILE, index / SNAPSHOTS, index / SNAPSHOTS_BEFORE_FORMAT_6]
    paths = [*names, *_older_ledgers(index)]
    return [path for path in paths if path.is_file() or (path.is_dir() and any(path.iterdir()))]


def _older_ledgers(index: Path) -> list[Path]:
    return sorted(index.glob("ledger.sqlite*"))


def _restore(archive: BinaryIO, file: Path, card: Card, index: Path) -> Path | None:
    """Put everything together beside the index, then in its place; return where what was there is now."""
    staged = index / RESTORING
    shutil.rmtree(staged, ignore_errors=True)  # of a restore that was interrupted
    staged.mkdir()
    try:
        archive.seek(0)
        _extract(archive, file, card, staged)
        _require_whole(staged, file, card)
        manifest = snapshots.read_manifest(staged / SNAPSHOTS / card.snapshot)
        is_there = _is_there(index, manifest)
        aside = _keep_copies(index) if _held(index) else None
        _place(index, staged, manifest, is_there, aside)
        snapshots.publish(index, card.snapshot)  # from here on it is this index that is served
        _clear(index, card, aside)
        return aside
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _extract(archive: BinaryIO, file: Path, card: Card, target: Path) -> None:
    _read_card(archive, file)
    with ExitStack() as opened:
        writing, name = None, ""
        for member, block in _members(archive, card, file):
            if writing is None or member != name:
                opened.close()
                name, path = member, target / member
                path.parent.mkdir(parents=True, exist_ok=True)
                writing = opened.enter_context(path.open("xb"))
            writing.write(block)
    sync_tree(target)


def _require_whole(staged: Path, file: Path, card: Card) -> None:
    """Verify what was written as a reader of the index would, and that it is all and nothing else."""
    sizes = {}
    for checked in check_files(staged, card.snapshot):
        if checked.fault:
            raise BackupError(f"{file} does not hold a whole index: {checked.fault}")
        sizes[checked.name] = checked.bytes
    if sizes != {name: size for name, (size, _) in card.members.items()}:
        raise BackupError(f"{file} does not hold a whole index: it has other files than its snapshot")


def _is_there(index: Path, manifest: Manifest) -> bool:
    """Return whether the index folder holds the snapshot whole already.

    Raises:
        BackupError: it holds another one of the same id, whole: both would have to be there at once.
    """
    checked = (file for file in check_files(index, manifest.id) if file.name.startswith(f"{SNAPSHOTS}/"))
    if any(file.fault for file in checked):
        return False
    if snapshots.read_manifest(index / SNAPSHOTS / manifest.id) != manifest:
        raise BackupError(f"{index} holds another snapshot {manifest.id}: restore into another folder with --index")
    return True


def _keep_copies(index: Path) -> Path:
    """Begin the folder of what is replaced with what is replaced by a rename."""
    aside = index / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    (aside / SNAPSHOTS).mkdir(parents=True)
    for path in (index / CURRENT, index / ledgers.FILE):
        if path.is_file():
            try:
                os.link(path, aside / path.name)
            except OSError:  # not every file system has hard links
                shutil.copyfile(path, aside / path.name)
    sync_tree(aside)
    return aside


def _place(index: Path, staged: Path, manifest: Manifest, is_there: bool, aside: Path | None) -> None:
    """Move encoder, ledger and snapshot to where they are found once ``CURRENT`` names the snapshot, and not before."""
    for folder in (ENCODERS, SNAPSHOTS):
        (index / folder).mkdir(exist_ok=True)
    encoder = f"{ENCODERS}/{manifest.fingerprint}"
    if (staged / encoder).exists() and not _has_encoder(index, manifest):
        shutil.rmtree(index / encoder, ignore_errors=True)
        (staged / encoder).rename(index / encoder)
    (staged / ledgers.FILE).replace(restored_file(index, manifest.id))
    snapshot = f"{SNAPSHOTS}/{manifest.id}"
    if not is_there:
        if aside and (index / snapshot).exists():  # it is damaged
            (index / snapshot).rename(aside / snapshot)
        (staged / snapshot).rename(index / snapshot)
    for path in (index / ENCODERS, index / SNAPSHOTS, index):
        sync(path)


def _has_encoder(index: Path, manifest: Manifest) -> bool:
    try:
        return not any(check_part(part).fault for part in encoder_parts(index, manifest))
    except (ModelError, OSError):
        return False


def _clear(index: Path, card: Card, aside: Path | None) -> None:
    """Move what was replaced aside, and give the ledger its name."""
    if aside:
        for name in snapshots.folder_names(index):
            if name != card.snapshot:
                (index / SNAPSHOTS / name).rename(aside / SNAPSHOTS / name)
        for path in (*_older_ledgers(index), index / SNAPSHOTS_BEFORE_FORMAT_6):
            if path.exists():
                path.rename(aside / path.name)
    ledgers.settle_restored(index, card.snapshot)
    sync(index / SNAPSHOTS)
