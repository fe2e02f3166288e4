"""Tests. As the command line does, they let numeric libraries use one thread: several processes test at once."""

import os

# Before any test imports numpy or FAISS.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
