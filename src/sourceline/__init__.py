"""Sourceline: the exact sentences that answer a question, with citations that last."""

import os

# All of these are read by libraries when they are first imported, which is after this.

# Nothing leaves the machine: official builds of onnxruntime send events to their maker unless told not to.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# Pydantic would ask every installed package whether it plugs in, to see all that is read: a thirtieth of a start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

# One thread a request: FAISS and numpy would each start a thread a core for work of microseconds, and those threads
# then spin against each other (measured: 12 ms a question instead of 3.6). Many requests are answered side by side, and
# the encoder uses all cores to build.
for _library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_library, "1")

__version__ = "0.1.0"
