"""Builds in a process of its own under ever higher limits of a resource; prints what came of each build.

Each limit comes with a documents folder's new text, so that every build has something to encode.
"""

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from sourceline.encoders.ranking_head import identity_head
from sourceline.errors import SourcelineError
from sourceline.index.snapshot import open_current
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.types import DEFAULT_MODEL

# Of a few bytes, so that it is not the file on which every build fails.
HEAD = replace(identity_head(384), projection=np.eye(384, 8, dtype=np.float32), passage=np.zeros(8, dtype=np.float32))


def main(documents: Path, index: Path, kind: int, limits: list[int]) -> None:
    for limit in limits:
        (documents / "a.txt").write_text(f"The bridge carries {limit} trams a day.\n")
        before = open_current(index).id
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit, hard))
        try:
            outcome = build(documents, index, DEFAULT_MODEL, config=IndexConfig(head=HEAD)).snapshot
        except SourcelineError as error:
            outcome = f"{type(error).__name__}: {error}"
        finally:
            resource.setrlimit(kind, (soft, hard))
        names = [path.name for path in (index / "snapshots").iterdir()]
        print(json.dumps([limit, outcome, before, open_current(index).id, len(names)]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), getattr(resource, sys.argv[3]), json.loads(sys.argv[4]))
