"""Index sentences with txtai, for ``peer.py``, which runs it with the interpreter of txtai's own environment.

    python benchmarks/txtai_index.py SENTENCES.json MODEL FOLDER

Prints the seconds that indexing takes, without importing and loading.
"""

import json
import sys
import time
from pathlib import Path

from txtai import Embeddings  # type: ignore[import-not-found]  # only in its own environment


def main() -> None:
    """Index, save, and print the seconds."""
    sentences, model, folder = sys.argv[1:]
    texts = json.loads(Path(sentences).read_text("utf-8"))
    embeddings = Embeddings(path=model, hybrid=True, content=True)
    embeddings.batchtransform(texts[:1])  # load the model and warm up
    started = time.perf_counter()
    embeddings.index(texts)
    embeddings.save(folder)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
