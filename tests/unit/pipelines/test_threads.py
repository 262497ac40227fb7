"""One thread, also for libraries that are loaded later."""

import subprocess
import sys

SCRIPT = """
import os
os.environ["OMP_NUM_THREADS"] = "2"
import scipy.linalg
from threadpoolctl import threadpool_info
from corrida.pipelines.threads import one_thread

with one_thread():
    pass
import sklearn.neighbors  # brings an OpenMP of its own

with one_thread():
    print([library["num_threads"] for library in threadpool_info()], len({*map(str, threadpool_info())}) > 1)
print(max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp"))
"""


def test_a_library_that_was_loaded_since_has_one_thread_too():
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    within, after = said.stdout.splitlines()
    threads, several = within.rsplit(" ", 1)
    assert set(threads.strip("[]").split(", ")) == {"1"}
    assert several == "True"
    assert after == "2"
