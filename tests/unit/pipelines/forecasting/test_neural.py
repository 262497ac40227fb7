"""Networks, really fitted: quiet, the same again, and loaded elsewhere with the same forecasts."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from corrida.pipelines.forecasting.models import MODELS

pytestmark = pytest.mark.slow  # torch takes long to load

NETWORKS = ("NBEATS", "NHITS", "LSTM")
FIT = """
import json, sys
from pathlib import Path
import numpy as np
from corrida.pipelines.contract import ConfigFile
from corrida.pipelines.forecasting import pipeline
from corrida.pipelines.forecasting.data import read_panel
from corrida.pipelines.forecasting.models import MODELS

out = Path(sys.argv[1])
told = {}
for name in json.loads(sys.argv[2]):
    settings = {"models": [name], "horizon": 6, "input_size": 18, "max_steps": 4}
    config = pipeline.configure([ConfigFile("f.yaml", settings)], {})
    panel = read_panel([out / "series.csv"], config).panel
    fits = [MODELS[name].fit(panel, config, seed) for seed in (1, 1, 2)]
    said = [np.concatenate([fit.predict(panel, 6, ())[one].mean for one in "ab"]).tolist() for fit in fits]
    folder = out / name
    folder.mkdir()
    fits[0].save(folder)
    network = fits[0]._forecaster.models[0]
    told[name] = {"said": said, "steps": network.max_steps, "input_size": network.input_size,
                  "trained": len(network.train_trajectories)}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Fit in a process of its own, whose working folder is empty."""
    out, here = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("here")
    rows = ["unique_id,ds,y"]
    for name, level in (("a", 100.0), ("b", 500.0)):
        rows += [
            f"{name},{2015 + i // 12}-{i % 12 + 1:02d}-01,{level + i + 10 * np.sin(i / 1.9)}"
            for i in range(60)
        ]
    (out / "series.csv").write_text("\n".join(rows) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", FIT, str(out), json.dumps(NETWORKS)],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return out, here, done


def test_nothing_is_printed_and_nothing_left_in_the_working_folder(elsewhere):
    _, here, done = elsewhere
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_says_the_same_again_and_when_it_is_loaded_in_another_process(elsewhere, bench, name):
    out, _, done = elsewhere
    told = json.loads(done.stdout)[name]
    first, again, other_seed = told["said"]
    assert first == again
    assert first != other_seed
    assert told["steps"] == 4
    assert told["trained"] <= 4
    assert told["input_size"] == 18
    files = {path.suffix for path in (out / name).rglob("*") if path.is_file()}
    assert files == {".safetensors", ".json"}
    panel = bench.read(out / "series.csv").panel
    loaded = MODELS[name].load(out / name)
    said = loaded.predict(panel, 6, ())
    assert np.concatenate([said[one].mean for one in "ab"]).tolist() == first
    assert loaded.longest() == 6
    assert loaded.knows("a series it has never seen")
