"""What is promoted, and promote, demote, restore and undo by forms; on real runs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.integration.web.test_guard import OWN, fields

import corrida
from corrida.project import find_project
from corrida.web.guard import Guard
from corrida.web.viewer import create_viewer

EVIL = "<script>alert(1)</script>"
GATE = '[[gate.rules]]\nmetric = "accuracy"\nmax_drop = 0.01\n'


def _train(name: str, accuracy: float, **options: object) -> None:
    with corrida.start_run(
        pipeline="train", run_tag=name, primary_metric="accuracy", direction="max", **options
    ) as run:
        right = round(accuracy * 100)
        run.log_items(
            [
                {
                    "item_id": f"i{n}",
                    "output": "a" if n < right else "b",
                    "expected": "a",
                    "correct": n < right,
                }
                for n in range(100)
            ]
        )
        run.log_metrics({"accuracy": accuracy})


@pytest.fixture
def writing(project: Path) -> Iterator[TestClient]:
    """The viewer with --write, of a project with a gate."""
    (project / "corrida.toml").write_text(GATE, encoding="utf-8")
    app = Guard(create_viewer(find_project(project), write=True), "127.0.0.1")
    with TestClient(app, base_url=OWN, follow_redirects=False) as client:
        yield client


def _send(client: TestClient, page: str, action: str, **more: str) -> tuple[int, str]:
    """Send the form of a page; return the status, and the text of the page that is seen then."""
    answer = client.post(action, data={**fields(client.get(page).text, action), **more})
    seen = client.get(answer.headers["location"]) if answer.status_code == 303 else answer
    return answer.status_code, html.unescape(seen.text)


def _promote(client: TestClient, name: str, **more: str) -> tuple[int, str]:
    address = f"/runs/run_{name}/promote"
    return _send(client, address, address, **more)


def test_without_a_run_the_next_command_is_told(pages: TestClient) -> None:
    page = pages.get("/aliases")
    assert page.status_code == 200
    assert "corrida promote latest" in page.text


def test_what_is_promoted_by_whom_since_when_and_why(pages: TestClient) -> None:
    _train("one", 0.5, description=EVIL)
    _train("two", 0.75)
    store = corrida.Store("runs")
    store.promote("run_one", reason=f"first {EVIL}")
    store.promote("run_two", reason="better")
    store.promote("run_one", "candidate")
    page = html.unescape(pages.get("/aliases").text.replace(html.escape(EVIL), "EVIL"))
    assert EVIL not in page
    now = store.aliases()["production"]
    for text in (
        "@production",
        "@candidate",
        "run_two",
        "better",
        now.author,
        now.time,
        "(before: 0.5)",
        "serves",
    ):
        assert text in page
    assert "/compare?run=run_one&run=run_two" in page
    assert "corrida demote production" in page
    history = pages.get("/aliases?alias=candidate").text
    assert "1–1 of 1" in history
    assert pages.get("/aliases?page=99&alias=nothing").status_code == 200


def test_a_run_that_is_gone_or_damaged_is_told(pages: TestClient, project: Path) -> None:
    _train("one", 0.5)
    corrida.Store("runs").promote("run_one")
    (project / "runs" / "run_one" / "run.json").write_text("{", encoding="utf-8")
    assert pages.get("/aliases").status_code == 200
    corrida.Store("runs").remove(["run_one"], force=True)
    page = pages.get("/aliases")
    assert page.status_code == 200
    assert 'class="problem"' in page.text


def test_promote_and_demote(writing: TestClient) -> None:
    _train("one", 0.5)
    _train("two", 0.75)
    assert _promote(writing, "one", reason="first")[0] == 303
    status, page = _promote(writing, "two", reason=EVIL)
    assert status == 303
    assert "@production is run_two; gate passed: 1 rule kept (compared with run_one)" in page
    store = corrida.Store("runs")
    assert store.aliases()["production"].reason == EVIL
    status, page = _send(writing, "/aliases", "/aliases/demote", reason="too slow")
    assert status == 303
    assert "@production is run_one" in page
    assert "too slow" in page
    assert store.alias_history()[-1].demotion


def test_the_rules_say_no_and_forcing_needs_a_reason(writing: TestClient) -> None:
    _train("one", 0.75)
    _train("two", 0.5)
    _promote(writing, "one")
    page = html.unescape(writing.get("/runs/run_two/promote").text)
    (verdict,) = re.findall(r'<section class="verdict bad".*?</section>', page, re.DOTALL)
    assert re.search(
        r"<h3[^>]*>Gate failed</h3>\s*<p class=\"sentence\">1 rule broken \(accuracy\)</p>", verdict
    )
    assert '<button class="against">Promote as @production against the rules</button>' in page
    status, page = _promote(writing, "two", reason="please")
    assert status == 409
    assert "run_two is not promoted, gate failed: 1 rule broken (accuracy)" in page
    assert "please" in page
    status, page = _promote(writing, "two", force="1", reason=" ")
    assert status == 400
    assert "promoting against the rules takes a reason" in page
    store = corrida.Store("runs")
    assert store.aliases()["production"].run == "run_one"
    status, page = _promote(writing, "two", force="1", reason="the other is too slow")
    assert status == 303
    assert store.aliases()["production"].reason == (
        "the other is too slow (forced: gate failed: 1 rule broken (accuracy))"
    )


def test_a_run_that_carries_the_alias_is_not_offered_again(writing: TestClient) -> None:
    _train("one", 0.5)
    _promote(writing, "one")
    page = writing.get("/runs/run_one/promote").text
    assert "It is @production already" in page
    assert 'href="/aliases#production"' in page
    assert 'class="act-form"' not in page
    assert 'class="act-form"' in writing.get("/runs/run_one/promote?alias=candidate").text


def test_what_moved_meanwhile_is_looked_at_again(writing: TestClient) -> None:
    for number, name in enumerate(("one", "two", "three")):
        _train(name, 0.5 + number / 10)
    address = "/runs/run_two/promote"
    form = fields(writing.get(address).text, address)
    corrida.Store("runs").promote("run_three")
    answer = writing.post(address, data=form)
    assert answer.status_code == 409
    assert "@production was moved by somebody else meanwhile: it is run_three now" in answer.text
    form = fields(writing.get("/aliases").text, "/aliases/demote")
    corrida.Store("runs").promote("run_one")
    assert writing.post("/aliases/demote", data=form).status_code == 409
    assert corrida.Store("runs").aliases()["production"].run == "run_one"


def test_a_bad_alias_and_a_run_that_failed(writing: TestClient) -> None:
    _train("one", 0.5)
    with pytest.raises(ValueError, match="no"), corrida.start_run(pipeline="train", run_tag="bad"):
        raise ValueError("no")
    status, page = _promote(writing, "one", alias="../x")
    assert status == 400
    assert 'class="problem"' in page
    page = writing.get("/runs/run_bad/promote").text
    assert "only a run that finished can be promoted" in page
    key = fields(writing.get("/runs/run_one/promote").text, "/runs/run_one/promote")
    assert writing.post("/runs/run_bad/promote", data=key).status_code == 409
    assert not corrida.Store("runs").aliases()


def test_a_model_that_was_altered_is_never_promoted(writing: TestClient, project: Path) -> None:
    with corrida.start_run(pipeline="train", run_tag="one") as run:
        (Path(run.dir) / "models").mkdir(exist_ok=True)
        (Path(run.dir) / "models" / "weights.bin").write_bytes(b"trained")
    form = fields(writing.get("/runs/run_one/promote").text, "/runs/run_one/promote")
    model = project / "runs" / "run_one" / "models" / "weights.bin"
    model.chmod(0o644)
    model.write_bytes(b"altered")
    for more in ({}, {"force": "1", "reason": "all the same"}):
        answer = writing.post("/runs/run_one/promote", data={**form, **more})
        assert answer.status_code == 409
        assert "models/weights.bin" in answer.text
        assert "Such a run is never promoted" in answer.text
    assert not corrida.Store("runs").aliases()


def test_a_run_that_was_altered_since_is_told(pages: TestClient, project: Path) -> None:
    _train("one", 0.5)
    corrida.Store("runs").promote("run_one")
    lines = project / "runs" / "aliases.jsonl"
    text = lines.read_text(encoding="utf-8")
    assert '"digest"' in text
    assert "was altered since it was promoted" not in pages.get("/aliases").text
    lines.write_text(text.replace('"digest":"', '"digest":"0'), encoding="utf-8")
    assert "was altered since it was promoted" in pages.get("/aliases").text


def test_any_way_of_naming_a_run_leads_to_its_page(writing: TestClient) -> None:
    _train("one", 0.5)
    found = writing.get("/promote?run=latest&alias=@candidate")
    assert found.headers["location"] == "/runs/run_one/promote?alias=candidate"
    assert writing.get("/promote?run=").status_code == 400
    assert writing.get("/promote?run=none").status_code == 404
    corrida.Store("runs").promote("run_one")
    assert (
        writing.get("/runs/@production/promote").headers["location"]
        == "/runs/run_one/promote?alias=production"
    )
    assert 'href="/runs/run_one/promote"' in writing.get("/runs/run_one").text


def test_restore_is_shown_first_then_done_then_undone(writing: TestClient, project: Path) -> None:
    config = project / "train.yaml"
    config.write_bytes(b"lr: 0.1\n")
    _train("one", 0.5, configs=["train.yaml"])
    config.write_bytes(b"lr: 0.2\n")
    _train("two", 0.6, configs=["train.yaml"])
    address = "/runs/run_one/restore"
    page = html.unescape(writing.get(address).text)
    assert "1 file would change" in page
    assert "0.2 → 0.1" in page
    assert config.read_bytes() == b"lr: 0.2\n"
    status, page = _send(writing, address, address)
    assert status == 303
    assert "restored 1 file from run_one" in page
    assert config.read_bytes() == b"lr: 0.1\n"
    form = fields(page, "/runs/run_one/undo")
    answers = [writing.post("/runs/run_one/undo", data=form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert "took back the restore of run_one: train.yaml" in writing.get(answers[0].headers["location"]).text
    assert config.read_bytes() == b"lr: 0.2\n"


def test_restore_keeps_what_is_saved_nowhere_and_what_changed(writing: TestClient, project: Path) -> None:
    config = project / "train.yaml"
    config.write_bytes(b"lr: 0.1\n")
    _train("one", 0.5, configs=["train.yaml"])
    config.write_bytes(b"lr: 0.3\n")
    address = "/runs/run_one/restore"
    assert "saved nowhere" in writing.get(address).text
    assert _send(writing, address, address)[0] == 409
    form = fields(writing.get(address).text, address)
    config.write_bytes(b"lr: 0.4\n")
    answer = writing.post(address, data={**form, "force": "1"})
    assert answer.status_code == 409
    assert "the files changed since this page was written" in answer.text
    assert config.read_bytes() == b"lr: 0.4\n"
    assert _send(writing, address, address, force="1")[0] == 303
    assert config.read_bytes() == b"lr: 0.1\n"


def test_undo_takes_back_its_own_restore_alone(writing: TestClient, project: Path) -> None:
    config = project / "train.yaml"
    config.write_bytes(b"lr: 0.1\n")
    _train("one", 0.5, configs=["train.yaml"])
    config.write_bytes(b"lr: 0.2\n")
    _train("two", 0.6, configs=["train.yaml"])
    _, page = _send(writing, "/runs/run_one/restore", "/runs/run_one/restore")
    form = fields(page, "/runs/run_one/undo")
    store = corrida.Store("runs")
    store.restore(store.plan_restore("run_two", project))
    answer = writing.post("/runs/run_one/undo", data=form)
    assert answer.status_code == 409
    assert "something else was done since" in answer.text
    assert config.read_bytes() == b"lr: 0.2\n"
