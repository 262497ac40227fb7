"""MLflow with its file store, as the last release that permits it has it."""

import mlflow

from bench.contestants import client

client_runs, client_search, client_count = client.verbs(lambda store: client.open_store(f"file://{store}"))


def version():
    """Return the version."""
    return {"version": mlflow.__version__}
