"""Exported models in the database, so that every server and worker runs the same."""

import tempfile
from pathlib import Path

from sourceline.durable import replace_folder
from sourceline.encoders import load
from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import SHIPPED
from sourceline.encoders.onnx import OnnxEncoder, read_card
from sourceline.index.postgres.database import Connection
from sourceline.types import Backend


def keep_files(connection: Connection, owner: str, files: dict[str, bytes]) -> None:
    """Put files into the database, as far as they are not there."""
    kept = {name for (name,) in connection.rows("SELECT name FROM files WHERE owner = %s", owner)}
    with connection.transaction():
        for name in files.keys() - kept:
            connection.run("INSERT INTO files VALUES (%s, %s, %s)", owner, name, files[name])


def open_encoder(connection: Connection, folder: Path, backend: str, model: str, fingerprint: str) -> Encoder:
    """Open an encoder that was built with. Its files are fetched into ``folder`` once, unless they came with us.

    Raises:
        ModelError: it cannot be opened.
    """
    if backend != Backend.ONNX:
        return load.open_encoder(Backend(backend), model, fingerprint, folder)
    if read_card(SHIPPED).fingerprint == fingerprint:
        return OnnxEncoder(model, SHIPPED)
    target = folder / load.ENCODERS / fingerprint
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as scratch:
            copy = Path(scratch) / target.name
            copy.mkdir()
            for name, data in connection.rows("SELECT name, data FROM files WHERE owner = %s", fingerprint):
                (copy / name).write_bytes(data)
            replace_folder(copy, target)
    return load.open_encoder(Backend.ONNX, model, fingerprint, folder)
