"""Index sentences with txtai. Run by ``peer.py`` with the interpreter of txtai's own environment.

``python txtai_index.py SENTENCES.json MODEL FOLDER`` prints the seconds that it took, without import and loading.
"""

import json
import sys
import time
from pathlib import Path

from txtai import Embeddings  # type: ignore[import-not-found]  # it is installed in its own environment alone


def main() -> None:
    """Index, save, and print the seconds."""
    sentences, model, folder = sys.argv[1:]
    texts = json.loads(Path(sentences).read_text("utf-8"))
    embeddings = Embeddings(path=model, hybrid=True, content=True)
    embeddings.batchtransform(texts[:1])  # the model is loaded, and warm
    started = time.perf_counter()
    embeddings.index(texts)
    embeddings.save(folder)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
