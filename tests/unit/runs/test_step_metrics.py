"""Step metrics that are read on: the same as reading all of the file, however it grew."""

from __future__ import annotations

import json
import math
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrida.runs.history import read_calls
from corrida.runs.step_metrics import KeptStepMetrics, StepMetrics

_numbers = st.one_of(st.floats(allow_nan=False), st.sampled_from(["NaN", "Infinity", "-Infinity"]))
_lines = st.lists(
    st.one_of(
        st.builds(
            lambda step, metrics: json.dumps({"step": step, "time": 1.5e9, "metrics": metrics}).encode(),
            st.integers(-(2**70), 2**70),
            st.dictionaries(st.sampled_from(["a", "b", "c"]), _numbers, max_size=3),
        ),
        st.sampled_from([b"", b"{", b"[]", b"\xff", b'{"step": 1, "time": 1, "metrics": {"a": "word"}}']),
    ),
    max_size=30,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_lines, st.lists(st.integers(0, 3_000), max_size=5))
def test_reading_on_gives_what_reading_all_gives(
    tmp_path_factory: object, lines: list[bytes], cuts: list[int]
) -> None:
    folder = Path(tmp_path_factory.mktemp("run"))  # type: ignore[attr-defined]
    data = b"".join(line + b"\n" for line in lines)
    metrics = StepMetrics(folder)
    for cut in [*sorted(cuts), len(data)]:
        (folder / "history.jsonl").write_bytes(data[:cut])  # keeps the inode
        metrics.look()
    wanted: dict[str, list[tuple[int, float]]] = {}
    for step, _, numbers in read_calls(folder / "history.jsonl"):
        for name, value in numbers.items():
            wanted.setdefault(name, []).append((step, value))
    got = {}
    for name in metrics.names():
        points = metrics.points(name)
        if points is not None:
            got[name] = list(zip(points.steps.tolist(), points.values.tolist(), strict=True))
    assert _same(got, wanted)


def _same(a: dict[str, list[tuple[int, float]]], b: dict[str, list[tuple[int, float]]]) -> bool:
    return a.keys() == b.keys() and all(
        len(a[n]) == len(b[n])
        and all(
            s == t and (x == y or (math.isnan(x) and math.isnan(y)))
            for (s, x), (t, y) in zip(a[n], b[n], strict=True)
        )
        for n in a
    )


def _line(step: int, value: float) -> str:
    return json.dumps({"step": step, "time": 1.0, "metrics": {"loss": value}}) + "\n"


def test_a_file_that_is_replaced_or_cut_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    metrics = StepMetrics(tmp_path)
    metrics.look()
    assert metrics.names() == []
    assert metrics.points("loss") is None
    file.write_text(_line(0, 1.0) + _line(1, 2.0))
    metrics.look()
    assert (metrics.calls, metrics.last()) == (2, {"loss": (1, 2.0)})
    file.write_text(_line(7, 3.0))
    metrics.look()
    assert (metrics.calls, metrics.last()) == (1, {"loss": (7, 3.0)})
    other = tmp_path / "other"
    other.write_text(_line(0, 9.0) * 5)
    other.rename(file)
    metrics.look()
    assert (metrics.calls, metrics.last()) == (5, {"loss": (0, 9.0)})
    file.unlink()
    metrics.look()
    assert metrics.names() == []


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    line = _line(0, 1.0)
    metrics = StepMetrics(tmp_path)
    file.write_text(line + line[:20])
    metrics.look()
    assert metrics.calls == 1
    file.write_text(line + line)
    metrics.look()
    assert metrics.calls == 2


def test_few_points_are_kept_of_many_runs(tmp_path: Path, monkeypatch: object) -> None:
    import corrida.runs.step_metrics as module

    monkeypatch.setattr(module, "_MOST_CALLS", 10)  # type: ignore[attr-defined]
    kept = KeptStepMetrics()
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "history.jsonl").write_text(_line(0, 1.0) * 4)
        assert kept.of(folder).calls == 4
    assert len(kept._kept) == 2
    assert kept.of(tmp_path / "4") is kept.of(tmp_path / "4")
