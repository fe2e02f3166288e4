"""Train the codebook of the default model's ranking head: by it an index keeps token vectors in few bytes.

    python training/train_codebook.py FOLDER... [--check FOLDER...] [--write]

FOLDERs hold documents. They are indexed with two bytes per component, and a sample of their token vectors is quantized:
each is cut into pieces, and k-means finds 256 centroids for each piece (product quantization, Jégou et al. 2011).
The head's directions are dealt out to the pieces first, so that each piece has about as much to tell (Ge et al. 2013).
That reorders the columns of the projection, and changes no score.

Prints for several sizes of a code which share of the vectors' squared length is lost, on the documents of ``--check``
too, which are not trained on. ``--write`` puts the codebook of CODE_BYTES into the package. Deterministic; a minute for
each 10,000 sentences, and another for each codebook.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np

from sourceline.encoders import ranking_head
from sourceline.encoders.base import Float32, Int64
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.ranking_head import RankingHead, find_ranking_head, write_ranking_head
from sourceline.evaluation.evaluate import open_searcher
from sourceline.index.multivector import PQ, MultiVectorIndex, open_codec
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.types import DEFAULT_MODEL

CODE_BYTES = 64
OTHER_BYTES = (48, 32)
SAMPLE = 65_536  # token vectors: 256 for each centroid, more than which FAISS does not look at
_BATCH = 1_000  # rows


def main() -> None:
    """Train; print what is lost and write the head on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--check", type=Path, nargs="+", default=[], help="documents that are not trained on")
    parser.add_argument("--write", action="store_true", help="write the codebook into the package")
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)  # the sums of a single thread are the same everywhere
    model = find_model(DEFAULT_MODEL)
    head = without_codebook(model)
    trained_on = sample(np.concatenate([token_vectors(folder, head) for folder in arguments.folders]))
    checked = {folder: sample(token_vectors(folder, head)) for folder in arguments.check}
    for size in (CODE_BYTES, *OTHER_BYTES):
        order = deal_out((trained_on**2).mean(axis=0), size)
        ordered = with_codebook(reorder(head, order), np.ascontiguousarray(trained_on[:, order]), size)
        losses = {"trained on": trained_on, **checked}
        shares = [f"{name} {lost(ordered, vectors[:, order]):.4f}" for name, vectors in losses.items()]
        print(f"{size} bytes, lost:", ", ".join(shares), flush=True)
        if arguments.write and size == CODE_BYTES:
            path = Path(ranking_head.__file__).parent / "heads" / "all-MiniLM-L6-v2.safetensors"
            write_ranking_head(path, ordered, model.digest)


def without_codebook(model: Model) -> RankingHead:
    """Return the model's head without its codebook, and with the values that float16 holds, which is half the size."""
    head = find_ranking_head(model.digest, dim=0)
    return replace(head, projection=as_float16_holds(head.projection), codebook=None, code_gain=None)


def token_vectors(folder: Path, head: RankingHead) -> Float32:
    """Return the token vectors of all documents in a folder, (tokens, m)."""
    with tempfile.TemporaryDirectory() as scratch:
        build(folder, Path(scratch), DEFAULT_MODEL, config=IndexConfig(head=head))
        tokens = open_searcher(Path(scratch)).snapshot.tokens
        assert isinstance(tokens, MultiVectorIndex)
        return np.concatenate(list(_batches(tokens)))


def _batches(tokens: MultiVectorIndex) -> Iterator[Float32]:
    for start in range(0, len(tokens), _BATCH):
        yield tokens.gather(range(start, min(start + _BATCH, len(tokens)))).vectors


def sample(vectors: Float32) -> Float32:
    """Return SAMPLE of the vectors, or all if there are fewer."""
    chosen = np.random.default_rng(0).choice(len(vectors), min(SAMPLE, len(vectors)), replace=False)
    return vectors[np.sort(chosen)]


def deal_out(energies: Float32, pieces: int) -> Int64:
    """Return an order of the directions in which each piece, of equally many, has about the same product of energies.

    The strongest direction that is left goes to the piece with the least product so far that has room for it.
    """
    room = len(energies) // pieces
    dealt: list[list[int]] = [[] for _ in range(pieces)]
    products = np.zeros(pieces)  # their logarithms
    for direction in np.argsort(-energies, kind="stable"):
        open_pieces = [piece for piece in range(pieces) if len(dealt[piece]) < room]
        piece = min(open_pieces, key=lambda piece: products[piece])
        dealt[piece].append(int(direction))
        products[piece] += np.log(energies[direction] / energies.min())
    return np.concatenate(dealt)


def reorder(head: RankingHead, order: Int64) -> RankingHead:
    """Return a head that gives the same scores and has its directions in this order."""
    return replace(head, projection=np.ascontiguousarray(head.projection[:, order]), passage=head.passage[order])


def with_codebook(head: RankingHead, vectors: Float32, pieces: int) -> RankingHead:
    """Return the head with the centroids of product quantization in so many pieces, trained on vectors (n, m)."""
    quantizer = faiss.ProductQuantizer(head.dim, pieces, 8)
    quantizer.train(vectors)
    codebook: Float32 = faiss.vector_to_array(quantizer.centroids).reshape(pieces, 256, head.dim // pieces)
    # A missing context is a vector of zeros and must match nothing: the smallest centroid of each piece becomes zero.
    codebook[np.arange(pieces), np.linalg.norm(codebook, axis=2).argmin(axis=1)] = 0
    head = replace(head, codebook=as_float16_holds(codebook), code_gain=np.ones(1, np.float32))
    # A centroid is the mean of what it stands for, and so shorter: all scores would be lower than with the vectors
    # themselves, to which the confidence is fitted. With the gain, the product of a vector and what its code stands for
    # is the vector's squared length on average.
    gain = (vectors**2).sum() / (vectors * round_trip(head, vectors)).sum()
    return replace(head, code_gain=np.array([gain], dtype=np.float32))


def round_trip(head: RankingHead, vectors: Float32) -> Float32:
    """Return what the codes of vectors stand for."""
    codec = open_codec(PQ, head)
    return codec.decode(codec.compute_codes(vectors))


def lost(head: RankingHead, vectors: Float32) -> float:
    """Return the share of the vectors' squared length that their codes lose."""
    return float(((vectors - round_trip(head, vectors)) ** 2).sum() / (vectors**2).sum())


def as_float16_holds(values: Float32) -> Float32:
    """Return the values rounded to float16."""
    return values.astype(np.float16).astype(np.float32)


if __name__ == "__main__":
    main()
