"""Lines that are appended to a file of a run as the work goes on."""

from __future__ import annotations

import json

import pytest

from corrida.errors import AlreadyExists, InvalidName, RunSealed


def lines(run):
    return [json.loads(line) for line in (run.dir / "trials.jsonl").read_text(encoding="utf-8").splitlines()]


def test_each_line_is_there_when_the_call_returns(start):
    with start(run_id="a") as run:
        for number in range(3):
            run.append("trials.jsonl", {"number": number, "name": "peña"})
            assert lines(run)[-1] == {"number": number, "name": "peña"}
    assert len(lines(run)) == 3
    with pytest.raises(RunSealed):
        run.append("trials.jsonl", {})
    assert len(lines(run)) == 3


def test_a_file_that_is_there_otherwise_or_a_name_of_corrida_is_refused(start):
    with start(run_id="a") as run:
        run.save_bytes("trials.jsonl", b"whole\n")
        with pytest.raises(AlreadyExists):
            run.append("trials.jsonl", {})
        for name in ("history.jsonl", "../out.jsonl"):
            with pytest.raises(InvalidName):
                run.append(name, {})
