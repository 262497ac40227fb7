"""The pages beside the API of ``corrida serve``: whose addresses win, and who may read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

import corrida
from corrida.inference.keys import Keys
from corrida.inference.server import build
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project
from corrida.web.mounted import pages_beside

START = "from corrida.cli.main import main; main()"


@pytest.fixture
def service(project: Path) -> Iterator[Service]:
    with corrida.start_run(pipeline="train", run_tag="one") as run:
        run.log_metrics({"accuracy": 0.5})
    found = Service(runner_of(find_project(project)))
    yield found
    found.close()


def _served(service: Service, address: str = "http://127.0.0.1:8080") -> TestClient:
    app, _ = pages_beside(find_project(service.runner.root))(build(service), service)
    return TestClient(app, base_url=address, follow_redirects=False)


def test_addresses_of_the_api_win_and_the_rest_are_pages(service: Service) -> None:
    with _served(service) as http:
        assert http.get("/health").json()["status"] == "ok"
        assert http.get("/v1/analyses").json() == {"analyses": []}
        assert http.get("/v1/nothing").json()["error"]["code"]
        assert "paths" in http.get("/openapi.json").json()
        assert "corrida_" in http.get("/metrics").text
        for path in ("/", "/aliases", "/serving", "/runs/run_one"):
            page = http.get(path)
            assert page.status_code == 200, path
            assert "<!doctype html>" in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert 'method="post"' not in page.text
        assert http.post("/runs/run_one/promote", data={"alias": "production"}).status_code == 405
        assert http.get("/v1x").status_code == 404
        assert http.get("/", headers={"host": "evil.example"}).status_code == 403
        sent = http.post("/v1/analyses?id=a1", content=b"x\n1\n", headers={"content-type": "text/csv"})
        assert sent.status_code in {200, 201, 202}, sent.text
        assert http.get(f"/serving/{sent.json()['id']}").status_code == 200


def test_where_calls_need_a_key_pages_do_too(service: Service) -> None:
    keys = Keys(service.database)
    _, own = keys.add("bank")
    _, all_ = keys.add("ops", sees_all=True)
    with _served(service) as http:
        assert http.get("/v1/analyses").status_code == 401
        assert http.get("/").status_code == 401
        assert http.get("/health").status_code == 200
        assert http.post("/key", data={"key": own}).status_code == 401
        assert http.post("/key", data={"key": all_, "place": "/serving"}).headers["location"] == "/serving"
        assert http.get("/serving").status_code == 200
        assert http.get("/v1/analyses").status_code == 401  # the cookie opens pages, not the API


@pytest.fixture
def process(project: Path) -> Iterator[Callable[..., tuple[httpx2.Client, subprocess.Popen[str]]]]:
    made: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[httpx2.Client, subprocess.Popen[str]]:
        command = [sys.executable, "-c", START, "serve", "--port", "0", "--workers", "0", *arguments]
        one = subprocess.Popen(
            command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        made.append(one)
        assert one.stdout is not None
        line = one.stdout.readline()
        assert line.startswith("serving on http://127.0.0.1:")
        return httpx2.Client(base_url=line.split()[-1], timeout=60, trust_env=False), one

    yield start
    for one in made:
        if one.poll() is None:
            one.kill()
        one.wait()
        assert one.stdout is not None
        one.stdout.close()


@pytest.mark.slow
def test_the_command_serves_pages_and_ends_at_once_though_one_listens(
    service: Service, process: Callable[..., tuple[httpx2.Client, subprocess.Popen[str]]]
) -> None:
    service.close()
    run = corrida.start_run(pipeline="train", run_tag="live")
    with run:
        http, server = process()
        with http, http.stream("GET", "/runs/run_live/events") as events:
            assert events.status_code == 200
            assert http.get("/aliases").status_code == 200
            server.terminate()
            assert server.wait(8) == 0


@pytest.mark.slow
def test_without_pages(
    service: Service, process: Callable[..., tuple[httpx2.Client, subprocess.Popen[str]]]
) -> None:
    service.close()
    http, _ = process("--no-ui")
    with http:
        assert http.get("/").status_code == 404
        assert http.get("/").headers["content-type"].startswith("application/json")
        assert http.get("/health").status_code == 200
