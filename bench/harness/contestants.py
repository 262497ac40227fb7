"""Who takes part, and what each promises."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contestant:
    """Somebody who keeps runs.

    Attributes:
        name: of its module in ``bench/contestants`` and of its requirements in ``bench/peers``.
        title: for the table.
        durable: what is safe against a power cut when a run has ended.
        used: how it is set up for the measurements.
    """

    name: str
    title: str
    durable: str
    used: str = ""

    @property
    def is_peer(self) -> bool:
        """Whether it is another tracker, with an environment of its own."""
        return self.name not in {"floor", "corrida"}


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(
            "floor",
            "plain Python",
            "nothing; with fsync everything: each file, its folder and the folder above",
            "json, os and sqlite3 of the standard library",
        ),
        Contestant(
            "corrida",
            "corrida",
            "everything: each file, its folder and the store, with digests",
            "defaults; ids are given where runs follow each other within milliseconds, and made by corrida at the "
            "parallel start",
        ),
        Contestant(
            "mlflow",
            "MLflow",
            "parameters and metrics: SQLite waits for the disk at every commit; artifacts not",
            "SQLite database, its default; artifacts in a local folder; no server",
        ),
        Contestant(
            "mlflow_files",
            "MLflow files",
            "nothing; it does not wait for the disk",
            "file store, of 3.12, the last release that permits it; by its client only",
        ),
        Contestant(
            "trackio",
            "Trackio",
            "most: SQLite with a write-ahead log, written by a thread; files not",
            "local SQLite; no CPU and GPU metrics",
        ),
        Contestant(
            "wandb",
            "W&B offline",
            "nothing of the run; it does not wait for the disk. Files are linked to, not copied",
            "mode offline; no system metrics, no console capture",
        ),
        Contestant(
            "aim",
            "Aim",
            "parameters and metrics: RocksDB and SQLite wait for the disk; artifacts not",
            "local repository; no system metrics, no terminal logs; 3.28.0, since readers of 3.29.1 found no runs",
        ),
        Contestant(
            "dvclive",
            "DVCLive",
            "nothing of the run; only DVC's own caches wait for the disk",
            "DVC repository without git, no experiments saved, no dvc.yaml; artifacts copied, not cached",
        ),
        Contestant(
            "sacred",
            "Sacred",
            "nothing",
            "file storage observer; no git information",
        ),
    )
}
