"""numpy's side of the peer benchmark: matrix products, by the library that it brings. The protocol is that of python.ts; the argument is how
many threads.
"""
import json
import os
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[name] = sys.argv[1]

import numpy as np  # reads them when it is loaded


def formula(shape, seed):
    """The matrix that formulaValues of formula.ts makes, with scale 1."""
    index = np.arange(shape[0] * shape[1], dtype=np.int64)
    return ((index * (7919 + 2 * seed) + 31 * seed) % 10007 / 10007 - 0.5).astype(np.float32).reshape(shape)


def prepare(spec):
    a = formula([spec["M"], spec["K"]], 1)
    b = formula([spec["N"], spec["K"]] if spec["transposeB"] else [spec["K"], spec["N"]], 2)
    right = b.T if spec["transposeB"] else b
    out = np.empty([spec["M"], spec["N"]], np.float32)
    run = lambda: np.matmul(a, right, out=out)
    return run, run()[-1, -1].item()


def library():
    """Name and version, where this numpy says them."""
    try:
        found = np.show_config("dicts")["Build Dependencies"]["blas"]
        return f"{found['name']} {found['version']}"
    except Exception:
        return "a library that it does not name"


def answer(request, work):
    if request["request"] == "prepare":
        work[request["id"]], value = prepare(request["spec"])
        return {"value": value}
    if request["request"] == "drop":
        work.clear()
        return {}
    run = work[request["id"]]
    start = time.perf_counter()
    for _ in range(request["loops"]):
        run()
    return {"ms": 1000 * (time.perf_counter() - start)}


work = {}
print(json.dumps({"version": np.__version__, "library": library()}), flush=True)
for line in sys.stdin:
    try:
        reply = answer(json.loads(line), work)
    except Exception as error:  # whatever it is, the other side reports it
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
