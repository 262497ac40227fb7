"""The models of the risk workloads called as scikit-learn says, and the folder loops that people write around such calls.

``python bare_models.py one FOLDER SPOOL FILE`` scores a file and ends; ``starting`` and ``resident`` are loops over the files of a
folder: the one starts Python for each of them, the other has the models loaded.
"""

import json
import os
import subprocess
import sys
import time


def models(folder: str, name: str, cores: str = "1"):
    """Call the models on the ready matrix of a file, and say how long it took."""
    import resource

    import numpy as np
    from threadpoolctl import threadpool_limits

    bare = load(folder)  # loads the libraries, too: what is not loaded cannot be limited
    matrix = np.load(f"{folder}/{name}.npy")
    if int(cores) > 1:
        bare["forest"].set_params(n_jobs=int(cores))
        bare["stack"].named_estimators_["forest"].set_params(n_jobs=int(cores))
    with threadpool_limits(int(cores)):
        score(bare, matrix[:1000])  # the warm-up
        before, started = _cpu(resource), time.perf_counter()
        score(bare, matrix)
        seconds, cpu = time.perf_counter() - started, _cpu(resource) - before
    return {"seconds": seconds, "cpu": cpu, "rows": len(matrix)}


def _cpu(resource):
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def load(folder):
    """Return the models."""
    import joblib

    return joblib.load(f"{folder}/models.joblib")


def score(bare, matrix):
    """Return the levels and the risks of rows: ensemble, isolation forest, clusters, thresholds."""
    import numpy as np

    probabilities = bare["stack"].predict_proba(matrix)
    isolation = -bare["forest"].score_samples(matrix)
    distance = bare["clusters"].transform(matrix).min(axis=1)
    classes, level = bare["stack"].classes_, np.zeros(len(matrix), dtype=np.int64)
    risks = {}
    for at_least, (kind, x, y) in bare["calibrations"].items():
        share = probabilities[:, classes >= at_least].sum(axis=1)
        risks[at_least] = share if kind == "none" else np.interp(share, x, y)
        level = np.where(risks[at_least] >= bare["thresholds"][at_least], np.maximum(level, at_least), level)
    ordinary = [
        np.searchsorted(edges, values) / (len(edges) - 1)
        for values, edges in zip((isolation, distance), bare["quantiles"], strict=True)
    ]
    unusual = (ordinary[0] >= bare["anomaly"]) & (ordinary[1] >= bare["anomaly"])
    return np.where(unusual, np.maximum(level, 2), level), risks


def _file(bare, spool, name):
    import numpy as np

    level, risks = score(bare, np.loadtxt(f"{spool}/working/{name}", delimiter=",", ndmin=2))
    rows = [
        {"level": int(level[i]), **{str(at): float(risk[i]) for at, risk in risks.items()}}
        for i in range(len(level))
    ]
    job = name.removesuffix(".csv")
    with open(f"{spool}/processed/{job}.tmp", "w") as file:
        json.dump({"rows": rows}, file)
    os.rename(f"{spool}/processed/{job}.tmp", f"{spool}/processed/{job}.json")
    os.rename(f"{spool}/working/{name}", f"{spool}/processed/{name}")


def _loop(folder, spool, *, resident):
    bare = load(folder) if resident else None
    if resident:
        import numpy as np

        score(bare, np.zeros((2, bare["stack"].n_features_in_)))
    print("ready", flush=True)
    while True:
        for name in sorted(os.listdir(f"{spool}/pending")):
            try:
                os.rename(f"{spool}/pending/{name}", f"{spool}/working/{name}")
            except FileNotFoundError:
                continue  # the other loop has it
            if resident:
                _file(bare, spool, name)
            else:
                subprocess.run([sys.executable, __file__, "one", folder, spool, name], check=True)
        time.sleep(0.005)


def jobs(folder: str, spool: str, way: str, workers: str, alone: str, clients: str, each: str):
    """Hand files to loops, and say how long a file took, and how many a second."""
    from bench.contestants import clients as of

    for name in ("pending", "working", "processed"):
        os.makedirs(f"{spool}/{name}")
    count = 1 if way == "resident" else int(workers)  # one process that stays; or as many loops as workers
    loops = [
        subprocess.Popen([sys.executable, __file__, way, folder, spool], stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        for loop in loops:
            loop.stdout.readline()
        hand_over = of.Dropped(f"{folder}/small", spool, ".features.csv", "pending")
        return of.alone_and_many(hand_over, int(alone), int(clients), int(each))
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
            loop.stdout.close()


if __name__ == "__main__":
    sys.path[0] = __file__.rsplit("/", 3)[0]
    what, _folder, _spool, *_rest = sys.argv[1:]
    if what == "one":
        _file(load(_folder), _spool, _rest[0])
    else:
        _loop(_folder, _spool, resident=what == "resident")
