"""Old folders of results, written as the programs that left them wrote theirs."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tarfile
import zlib
from collections import Counter
from pathlib import Path

import pytest

from corrida.runs.store import Store


def png(shade: int = 0) -> bytes:
    """The smallest picture: one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = zlib.compress(bytes([0, shade]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    return path


RULES = [
    {
        "id": "R1",
        "priority": 1,
        "condition": {"title_contains_any": ["cajero"]},
        "action": {"force_code": "5230"},
    },
    {
        "id": "R53",
        "priority": 2,
        "condition": {"title_contains_any": ["mozo"]},
        "action": {"force_code": "5131"},
    },
]


def tracked_run(
    folder: Path, run_id="run_20260113_1550", *, rules=1, precision: object = 0.23, **more: object
) -> None:
    """A run of the tracking layout: a record, copies of the configurations, and the results."""
    ids = [str(i) for i in range(100, 110)]
    record = {
        "run_id": run_id, "timestamp": "2026-01-13T15:50:12.250000+00:00", "source": "gold_set_100",
        "description": "Agregué regla R53", "offer_ids": ids, "git": {"branch": "main", "commit": "abc1234"},
        "config_versions": {"matching_config": "1.0", "matching_rules_business": f"1.{rules}"},
    } | more  # fmt: skip
    write(folder / f"{run_id}.json", record)
    configs = folder / f"{run_id}_config"
    write(configs / "matching_config.json", {"version": "1.0", "threshold": 0.6})
    write(configs / "matching_rules_business.json", {"version": f"1.{rules}", "rules": RULES[:rules]})
    write(configs / "sector_isco_compatibilidad.json", {"version": "1.0", "sectores": {"salud": ["2211"]}})
    results = {
        "run_id": run_id, "metricas": {"total": 100, "correctos": 64, "precision": precision, "recall": None},
        "errores_por_tipo": {"sector": 7}, "comparacion_vs_anterior": {"mejoras": 3, "regresiones": 1},
    }  # fmt: skip
    write(folder / f"{run_id}_results.json", results)


def stored_run(
    folder: Path, run_id="run_baseline_v1", *, seed=1764863751, f1=0.65, **more: object
) -> dict[str, object]:
    """A run of the storage layout; returns its entry in the index."""
    results = {
        "by_matcher": {
            "fuzzy_only": {"avg_f1": 0.053, "avg_precision": 0.042, "avg_recall": 0.078},
            "semantic_only": {"avg_f1": 0.598, "avg_precision": 0.542, "avg_recall": 0.679},
            "hybrid": {"avg_f1": 0.591, "avg_precision": 0.538, "avg_recall": 0.664},
        },
        "best_overall": {"matcher": "semantic_only", "strategy": "rubric_only", "model": "gpt-5.1", "f1": f1},
    }
    config = {
        "run_id": run_id, "created_at": "2025-12-04T17:35:00Z",
        "dataset": {"assignment": "A2", "seed": seed, "students": 60, "questions": 4, "seeded_pct": 22.5},
        "pipeline": {"detection_models": ["gpt-5.1"], "matchers": ["fuzzy_only", "semantic_only", "hybrid"],
                     "embedding_model": "text-embedding-3-large"},
        "results": results, "notes": "Baseline run with 22.5% seeding, before the questions were worded anew",
    } | more  # fmt: skip
    run = folder / run_id
    write(run / "config.json", config)
    write(run / "manifest.json", {"assignment": "A2", "students": 60, "files": [{"name": "s1.py"}]})
    write(run / "metrics.json", {**results, "by_topic": {"loops": {"f1": 0.7}}})
    write(run / "report.md", "# Report\n\n![heatmap](assets/topic_heatmap.png)\n")
    for number, name in enumerate(("matcher_ablation", "topic_heatmap")):
        write(run / "assets" / f"{name}.png", png(number))
    return {
        "run_id": run_id, "created_at": "2025-12-04T17:35:00Z", "seed": seed, "seeded_pct": 22.5,
        "fuzzy_f1": 0.053, "best_f1": f1, "best_config": "rubric_only+gpt-5.1", "notes": "Baseline run",
    }  # fmt: skip


def forecast(folder: Path, mae=1.5, config: str | None = None) -> None:
    """A run of the forecasting layout: flat without a configuration, of the newer kind with one."""
    for model in ("NBEATS", "NHITS"):
        write(folder / "models" / f"{model}_0.ckpt", f"{model} {mae}".encode() * 50)
        write(folder / f"cv_results_{model}.csv", f"unique_id,ds,y,{model}\nA,2024-01-01,1.0,{mae}\n")
    write(folder / "metrics.csv", f"model,mae,rmse\nNBEATS,{mae},2.5\nNHITS,{mae + 1},\n")
    if config is not None:
        write(folder / "config.yaml", config)
        write(folder / "predictions" / "predictions.csv", "unique_id,ds,NBEATS\nA,2025-01-01,1.1\n")
        write(folder / "plots" / "A.png", png())


CONFIG = "run_id: null  # Auto-generated if null\nhorizon: 12\nmax_steps: 1000\nseed: 7\nmodels:\n  - NBEATS\n  - NHITS\n"


@pytest.fixture
def tracking(project: Path) -> Path:
    folder = project / "metrics" / "runs"
    tracked_run(folder)
    tracked_run(folder, "run_20260113_1625", rules=2, precision="64%", timestamp="2026-01-13T16:25:40+00:00")
    return folder


@pytest.fixture
def storage(project: Path) -> Path:
    folder = project / "old"
    entries = [stored_run(folder), stored_run(folder, "run_seed9999", seed=9999, f1=0.668)]
    write(folder / "index.json", {"runs": entries})
    return folder


@pytest.fixture
def flat(project: Path) -> Path:
    folder = project / "data" / "output"
    forecast(folder)
    age(folder, 1_760_000_000)
    return folder


@pytest.fixture
def versioned(project: Path) -> Path:
    folder = project / "data" / "output"
    forecast(folder / "runs" / "run_20241021_130601", config=CONFIG)
    forecast(folder / "runs" / "my_experiment_v1", mae=1.2, config=CONFIG.replace("1000", "5000"))
    age(folder, 1_760_000_000)
    return folder


def age(folder: Path, seconds: int) -> None:
    """Give every file below ``folder`` a time of change: the first ``seconds``, each later one a second more."""
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        os.utime(path, (seconds + number, seconds + number))


def digests(folder: Path) -> Counter[str]:
    return Counter(
        hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink()
    )


def digests_of_backup(path: Path) -> Counter[str]:
    with tarfile.open(path) as archive:
        members = [archive.extractfile(m) for m in archive if m.isreg()]
        return Counter(hashlib.sha256(m.read()).hexdigest() for m in members if m is not None)


def state(folder: Path) -> dict[str, bytes | str]:
    """Everything below ``folder``: contents of files, targets of links, and folders."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
        found[name] = (
            os.readlink(path) if path.is_symlink() else "folder" if path.is_dir() else path.read_bytes()
        )
    return found


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("*_backup_*.tar.gz"))


def run_ids(store: str = "runs") -> list[str]:
    return sorted(r.id for r in Store(store).runs())
