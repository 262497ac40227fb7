"""A second run scores what was processed: its answers are compared and kept, and never touch the analysis."""

from __future__ import annotations

import json
import signal

import polars as pl
import pytest
from tests.integration.inference.conftest import kill, on_sqlite
from tests.integration.inference.test_engine import DOOM
from tests.integration.inference.test_serve import Served

from corrida.inference.metrics import Metrics

pytestmark = pytest.mark.slow

CLASSES = """
        values = frame["x"].to_list()
        frame = frame.with_columns(pl.Series("class", ["far" if abs(v - self.mean) > 5 else "near" for v in values]))
        return Prediction("""

POINTS = (
    ("corrida.inference.shadow:Shadows.settle", "before"),
    ("corrida.inference.shadow:Shadows.settle", "after"),
    ("corrida.inference.shadow:Shadows.finish", "before"),
    ("corrida.inference.shadow:Shadows.finish", "after"),
)


def classify(world):
    """Let the pipeline answer with classes, too."""
    source = (world.root / "distance.py").read_text()
    (world.root / "distance.py").write_text(
        source.replace("        return Prediction(", CLASSES.lstrip("\n"), 1)
    )


def shadow_of(world, name):
    from corrida.inference.shadow import Shadows

    return Shadows(world.service.database).get(name)


def compared(world, *names):
    world.until(lambda: all(getattr(shadow_of(world, n), "status", "") == "compared" for n in names))


def difference(world, name):
    folder = world.root / "spool" / "shadow"
    return json.loads((folder / f"{name}.json").read_text()), pl.read_parquet(folder / f"{name}.parquet")


@on_sqlite
def test_what_was_processed_is_scored_by_the_shadow_too_and_the_difference_is_kept(world, corrida):
    classify(world)
    metrics = Metrics(world.service)
    world.worker("--slots", "1", "--shadow", "@candidate")
    corrida("promote", "two", "--alias", "candidate")
    world.submit("mixed", "1,", "3,", "19,", "21,")
    world.submit("alike", "50,")
    assert world.ended("mixed", "alike") == ["processed"] * 2
    compared(world, "mixed", "alike")
    said, rows = difference(world, "mixed")
    assert (said["rows"], said["differ"], said["decision"]) == (4, 4, "class")
    assert said["table"] == [["far", "near", 2], ["near", "far", 2]]
    assert said["production"]["id"] == "one"
    assert said["run"]["id"] == "two"
    assert said["run"]["reference"] == "@candidate"
    assert said["production"]["digest"] != said["run"]["digest"]
    assert said["scores"]["distance"]["n"] == 4
    assert said["scores"]["distance"]["mean"] == pytest.approx(
        ((19 - 1) + (17 - 1) + (1 - 17) + (1 - 19)) / 4
    )
    assert rows.select("row", "x", "class", "class_shadow", "distance", "distance_shadow").to_dicts() == [
        {"row": 1, "x": 1, "class": "near", "class_shadow": "far", "distance": 1.0, "distance_shadow": 19.0},
        {"row": 2, "x": 3, "class": "near", "class_shadow": "far", "distance": 1.0, "distance_shadow": 17.0},
        {"row": 3, "x": 19, "class": "far", "class_shadow": "near", "distance": 17.0, "distance_shadow": 1.0},
        {"row": 4, "x": 21, "class": "far", "class_shadow": "near", "distance": 19.0, "distance_shadow": 1.0},
    ]
    said, rows = difference(world, "alike")
    assert (said["rows"], said["differ"], rows.height) == (1, 0, 0)
    # What is published, charged and said of the analysis comes from the run in production alone.
    assert world.result("mixed")["run"]["id"] == "one"
    assert [row["distance"] for row in world.result("mixed")["rows"]] == [1.0, 1.0, 17.0, 19.0]
    assert world.charged() == ["alike", "mixed"]
    shown = json.loads(corrida("shadow", "--json").out)
    (pair,) = shown["pairs"]
    assert (pair["analyses"], pair["rows"], pair["differ"]) == (2, 5, 4)
    assert {item["analysis"] for item in pair["items"]} == {"mixed"}
    (pair,) = json.loads(
        corrida("shadow", "two", "--was", "far", "--now", "near", "--items", "1", "--json").out
    )["pairs"]
    assert [(item["row"], item["class"], item["class_shadow"]) for item in pair["items"]] == [
        (3, "far", "near")
    ]
    assert "the files hold no truth" in corrida("shadow", "--analysis", "mixed").out
    assert json.loads(corrida("shadow", "--against", "two", "--json").out) == {"pairs": []}
    text = metrics.text().decode()
    assert 'corrida_shadow_rows_total{differ="yes"} 4.0' in text
    assert 'corrida_shadow_rows_total{differ="no"} 1.0' in text
    assert 'corrida_shadow{status="waiting"} 0.0' in text


def test_a_kill_at_any_point_compares_every_analysis_exactly_once(world):
    names = [world.submit(f"n{number}", f"{number},") for number in range(len(POINTS))]
    for place, when in POINTS:
        doomed = world.worker("--shadow", "two", script=DOOM.format(place=place, when=when))
        assert doomed.wait(90) == -signal.SIGKILL, world.story()
    world.worker("--shadow", "two")
    assert world.ended(*names) == ["processed"] * len(names)
    compared(world, *names)
    for name in names:
        events = [e.event for e in world.service.jobs.events(name)]
        assert events.count("shadow_compared") == 1
        assert events.count("processed") == 1
        said, rows = difference(world, name)
        assert said["results"]["rows"] == rows.height == 1
    assert sorted(p.name for p in (world.root / "spool" / "shadow").iterdir()) == sorted(
        f"{name}.{end}" for name in names for end in ("json", "parquet")
    )


def test_a_shadow_that_fails_changes_nothing_but_its_own_record(small):
    """It hangs, dies, or points nowhere; the analyses are processed all the same, at once, and charged."""
    metrics = Metrics(small.service)
    source = (small.root / "distance.py").read_text()
    marker = "        frame = pl.read_csv(data.files[0])\n"
    trouble = marker + (
        "        if self.mean > 10 and frame['x'][0] == 7:\n            time.sleep(600)\n"
        "        if self.mean > 10 and frame['x'][0] == 8:\n            os.kill(os.getpid(), 9)\n"
        "        if self.mean > 10 and frame['x'][0] == 9:\n            frame = frame.head(1)\n"
    )
    (small.root / "distance.py").write_text(source.replace(marker, trouble, 1))
    small.settings(shadow="two", shadow_time_limit=3, attempts=2)
    worker = small.worker("--slots", "1")
    names = [small.submit("hangs", "7,"), small.submit("dies", "8,"), small.submit("short", "9,", "9,")]
    assert small.ended(*names) == ["processed"] * 3
    small.until(lambda: all(shadow_of(small, name).status == "failed" for name in names))
    assert [shadow_of(small, name).code for name in names] == ["time_limit", "process_died", "invalid_file"]
    assert "2 and 1 rows" in shadow_of(small, "short").message
    assert small.charged() == sorted(names)
    for name in names:
        job = small.service.jobs.get(name)
        assert (job.status, job.code, job.tries, job.run_id) == ("processed", None, 0, "one")
        assert [e.event for e in small.service.jobs.events(name)].count("shadow_failed") == 1
    assert worker.poll() is None
    kill(worker)
    small.worker("--shadow", "@nowhere")
    small.submit("nowhere", "1,")
    assert small.ended("nowhere") == ["processed"]
    assert shadow_of(small, "nowhere").code == "no_model"
    text = metrics.text().decode()
    for code in ("time_limit", "process_died", "invalid_file", "no_model"):
        assert f'corrida_shadow_failures_total{{code="{code}"}} 1.0' in text


def test_a_worker_that_ends_waits_for_no_shadow_and_the_next_one_does_it(small):
    source = (small.root / "distance.py").read_text()
    marker = "        frame = pl.read_csv(data.files[0])\n"
    hold = (
        marker + "        while self.mean > 10 and not Path('go').exists():\n            time.sleep(0.02)\n"
    )
    (small.root / "distance.py").write_text(source.replace(marker, hold, 1))
    worker = small.worker("--shadow", "two", "--slots", "1")
    small.submit("first", "1,")
    small.until(lambda: getattr(shadow_of(small, "first"), "status", "") == "running")
    # While the shadow scores, the slot is free for what counts.
    small.submit("second", "2,")
    assert small.ended("second") == ["processed"]
    small.until(lambda: len(small.children()) == 2)
    assert sorted(child.nice() for child in small.children()) == [0, 19]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    small.until(lambda: not small.children())
    (small.root / "go").touch()
    small.worker("--shadow", "one")  # each goes on with the run that was written down for it
    compared(small, "first", "second")
    assert difference(small, "first")[0]["run"]["id"] == "two"
    assert shadow_of(small, "first").tries == 0


def test_the_shadow_of_an_analysis_is_the_run_of_its_claim(small, corrida):
    corrida("promote", "two", "--alias", "candidate")
    small.settings(shadow="@candidate")
    worker = small.worker("--slots", "1")
    small.held("held")
    small.until(lambda: shadow_of(small, "held"))
    corrida("promote", "one", "--alias", "candidate")
    small.release("held")
    assert small.ended("held") == ["processed"]
    compared(small, "held")
    assert difference(small, "held")[0]["run"]["id"] == "two"
    small.submit("same", "1,")  # the shadow is now the run in production itself: there is nothing to compare
    assert small.ended("same") == ["processed"]
    assert shadow_of(small, "same") is None
    assert worker.poll() is None


def test_the_server_hands_its_shadow_to_its_worker(small):
    served = Served(small, "--shadow", "two")
    try:
        answer = served.http.post("/v1/analyses?wait=80&id=a1", content="x,do\n5,\n").json()
        assert answer["run"] == "one"
        compared(small, "a1")
    finally:
        served.close()
    assert difference(small, "a1")[0]["run"]["id"] == "two"
    assert "shadow" not in json.dumps(answer)
