from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # workers import engine_data by its name
from engine_data import table, target

from corrida.pipelines.model_search.catalogue import available_specs
from corrida.pipelines.model_search.engine import search_models
from corrida.pipelines.model_search.search_data import SearchData
from corrida.pipelines.model_search.search_settings import SearchSettings


@pytest.fixture
def searched(recorder):
    """Search specs (or names) on small data, in a recorder of its own; returns results and recorder."""

    def search(
        specs, *, task="regression", callbacks=(), data=None, keep_in=None, finishing=None, **settings
    ):
        known = available_specs(task=task)
        specs = [known[one] if isinstance(one, str) else one for one in specs]
        if data is None:
            frame = table(160)
            y = target(frame, task)
            data = SearchData(frame[:120], y[:120], frame[120:], y[120:], task=task)
        keep_in = keep_in or type(recorder)()
        given = SearchSettings(**{"n_iter": 3, "cv": 3, "random_state": 5, **settings})
        return search_models(specs, data, given, keep_in, callbacks, finishing=finishing), keep_in

    return search
