"""The viewer of the project of a test, called without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from corrida.project import find_project
from corrida.web.guard import Guard
from corrida.web.viewer import create_viewer


@pytest.fixture
def pages(project: Path) -> Iterator[TestClient]:
    """The viewer behind its guard, for the project in the working folder; nothing may be changed."""
    app = Guard(create_viewer(find_project(project)), "127.0.0.1")
    with TestClient(app, base_url="http://127.0.0.1:8765", follow_redirects=False) as client:
        yield client
