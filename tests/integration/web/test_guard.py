"""Who may read the pages and who may change something: names, other sites, tokens, keys, forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import corrida
from corrida.inference.keys import Key
from corrida.project import find_project
from corrida.web.entrance import Entrance
from corrida.web.guard import Guard
from corrida.web.viewer import create_viewer

OWN = "http://127.0.0.1:8765"


def _run(name: str, accuracy: float) -> None:
    with corrida.start_run(pipeline="train", run_tag=name, primary_metric="accuracy", direction="max") as run:
        run.log_metrics({"accuracy": accuracy})


@pytest.fixture
def writing(project: Path) -> Iterator[TestClient]:
    """The viewer with --write, and two runs."""
    _run("one", 0.5)
    _run("two", 0.75)
    app = Guard(create_viewer(find_project(project), write=True), "127.0.0.1")
    with TestClient(app, base_url=OWN, follow_redirects=False) as client:
        yield client


def fields(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields of the form with an action."""
    form = re.search(rf'<form method="post"[^>]* action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert form, action
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form.group(0)))


def _promotion(client: TestClient, run: str = "run_one") -> tuple[str, dict[str, str]]:
    address = f"/runs/{run}/promote"
    return address, fields(client.get(address).text, address)


def _production() -> str | None:
    found = corrida.Store("runs").aliases().get("production")
    return None if found is None else found.run


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "10.0.0.1:8765",
        "",
        "127.0.0.1@evil.example",
    ],
)
def test_another_name_reads_nothing(pages: TestClient, host: str) -> None:
    for path in ("/", "/aliases", "/static/x/style.css"):
        answer = pages.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert "runs" not in answer.text
        assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1", "[::1]:8765"])
def test_names_of_this_machine_read(pages: TestClient, host: str) -> None:
    assert pages.get("/", headers={"host": host}).status_code == 200


def test_names_can_be_allowed(project: Path) -> None:
    app = Guard(create_viewer(find_project(project)), "127.0.0.1", ["runs.example"])
    with TestClient(app, base_url=OWN) as client:
        assert client.get("/", headers={"host": "runs.example"}).status_code == 200
        assert client.get("/", headers={"host": "other.example"}).status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://127.0.0.1:9999", "http://localhost:8765", "null", "file://", "http://["],
)
def test_pages_of_other_sites_and_ports_call_nothing(writing: TestClient, origin: str) -> None:
    address, form = _promotion(writing)
    assert writing.get("/", headers={"origin": origin}).status_code == 403
    assert writing.post(address, data=form, headers={"origin": origin}).status_code == 403
    assert _production() is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_what_another_site_sends_changes_nothing(writing: TestClient, site: str) -> None:
    address, form = _promotion(writing)
    assert writing.post(address, data=form, headers={"sec-fetch-site": site}).status_code == 403
    assert _production() is None


def test_headers_of_every_answer(pages: TestClient) -> None:
    for path in ("/", "/nothing", "/runs/none", "/serving"):
        headers = pages.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"


# -- the token beyond loopback ------------------------------------------------------------------------------


@pytest.fixture
def beyond(project: Path) -> Iterator[TestClient]:
    app = Guard(create_viewer(find_project(project)), "0.0.0.0", token="s3cret")
    with TestClient(app, base_url="http://10.1.2.3:8765", follow_redirects=False) as client:
        yield client


def test_a_token_opens_and_stays_as_a_cookie(beyond: TestClient) -> None:
    assert beyond.get("/").status_code == 401
    assert beyond.get("/?token=wrong").status_code == 401
    assert beyond.get("/", headers={"cookie": "corrida_token_8765=wrong"}).status_code == 401
    opened = beyond.get("/?token=s3cret")
    assert opened.status_code == 303
    assert opened.headers["location"] == "/"
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert beyond.get("/").status_code == 200
    assert beyond.get("/aliases").status_code == 200


def test_cookies_of_others_are_in_nobodys_way(beyond: TestClient) -> None:
    odd = 'a b=c; x="{[,]}"; =; corrida_token_8765=s3cret; é'
    assert beyond.get("/", headers={"cookie": odd.encode("latin-1")}).status_code == 200


def test_the_token_leads_to_no_other_host(beyond: TestClient) -> None:
    assert (
        beyond.get("http://10.1.2.3:8765//evil.example/?token=s3cret").headers["location"] == "/evil.example/"
    )


def test_the_token_does_not_open_other_names(beyond: TestClient) -> None:
    assert beyond.get("/?token=s3cret", headers={"host": "evil.example"}).status_code == 403


# -- forms --------------------------------------------------------------------------------------------------


def test_without_write_nothing_can_be_sent(pages: TestClient) -> None:
    _run("one", 0.5)
    for path in (
        "/aliases/demote",
        "/runs/run_one/promote",
        "/runs/run_one/restore",
        "/runs/run_one/undo",
        "/aliases",
    ):
        assert pages.post(path, data={"alias": "production"}).status_code in {404, 405}
    for path in ("/aliases", "/runs/run_one", "/runs/run_one/promote", "/runs/run_one/restore"):
        page = pages.get(path)
        assert 'method="post"' not in page.text
        assert "set-cookie" not in page.headers
    assert "corrida promote run_one @production" in pages.get("/runs/run_one/promote").text
    assert _production() is None


def test_a_form_needs_the_key_of_its_session(writing: TestClient, project: Path) -> None:
    address, form = _promotion(writing)
    for key in ("", "0" * 64, form["key"][:-1], "ключ"):
        assert writing.post(address, data={**form, "key": key}).status_code == 403
    other = Guard(create_viewer(find_project(project), write=True), "127.0.0.1")
    with TestClient(other, base_url=OWN, follow_redirects=False) as stranger:
        _, theirs = _promotion(stranger)
        assert writing.post(address, data=theirs).status_code == 403
    kept = dict(writing.cookies)
    writing.cookies.clear()
    assert writing.post(address, data=form).status_code == 403
    assert _production() is None
    writing.cookies.clear()
    writing.cookies.update(kept)
    assert (
        writing.post(address, data=form, headers={"origin": OWN, "sec-fetch-site": "same-origin"}).status_code
        == 303
    )
    assert _production() == "run_one"


def test_the_session_is_kept_from_scripts_and_other_sites(writing: TestClient) -> None:
    cookie = writing.get("/aliases").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "set-cookie" not in writing.get("/aliases").headers


def test_reading_never_changes_anything(writing: TestClient) -> None:
    address, form = _promotion(writing)
    assert writing.get(address, params=form).status_code == 200
    assert writing.get("/aliases/demote", params=form).status_code in {404, 405}
    assert _production() is None


def test_forms_are_small_and_are_forms(writing: TestClient) -> None:
    address, form = _promotion(writing)
    assert writing.post(address, data={**form, "reason": "x" * 100_000}).status_code == 413
    assert writing.post(address, json=form).status_code == 415
    assert writing.post(
        address, content=b"\xff\xfe=1", headers={"content-type": "application/x-www-form-urlencoded"}
    ).status_code in {400, 403}
    many = "&".join(f"a{i}=1" for i in range(100))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert writing.post(address, content=many, headers=kind).status_code == 400
    assert _production() is None


def test_a_form_that_is_sent_twice_counts_once(writing: TestClient) -> None:
    address, form = _promotion(writing)
    answers = [writing.post(address, data={**form, "reason": "better"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len(corrida.Store("runs").alias_history()) == 1
    told = writing.get(answers[0].headers["location"])
    assert "@production is run_one" in told.text
    assert "better" in told.text
    assert "is run_one</p>" not in writing.get("/aliases?done=made-up").text


# -- the key of `corrida serve` -----------------------------------------------------------------------------

KEYS = {
    "all": Key(name="ops", sees_all=True, created=0.0),
    "own": Key(name="bank", created=0.0),
}


class Door:
    """The pages behind a key, by a clock of its own."""

    def __init__(self, project: Path) -> None:
        self.now = 0.0
        self.keys = dict(KEYS)
        viewer = create_viewer(find_project(project))
        self.app = Guard(
            Entrance(viewer, viewer.state.pages, self.keys.get, lambda: self.now),
            "0.0.0.0",
        )
        self.client = TestClient(self.app, base_url="http://10.1.2.3:8080", follow_redirects=False)


@pytest.fixture
def door(project: Path) -> Iterator[Door]:
    found = Door(project)
    with found.client:
        yield found


def test_a_key_that_sees_all_opens(door: Door) -> None:
    asked = door.client.get("/aliases?alias=x")
    assert asked.status_code == 401
    assert "A key is needed" in asked.text
    assert 'value="/aliases?alias=x"' in asked.text
    assert "<nav" not in asked.text
    assert door.client.get("/runs/x/events").status_code == 401
    assert door.client.post("/key", data={"key": "nonsense"}).status_code == 401
    assert "sees all" in door.client.post("/key", data={"key": "own"}).text
    assert door.client.get("/").status_code == 401
    opened = door.client.post("/key", data={"key": "all", "place": "/aliases?alias=x"})
    assert opened.status_code == 303
    assert opened.headers["location"] == "/aliases?alias=x"
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "=all" not in cookie
    assert door.client.get("/aliases").status_code == 200


def test_a_revoked_key_and_an_old_cookie_open_nothing(door: Door) -> None:
    door.client.post("/key", data={"key": "all"})
    door.now += 10
    assert door.client.get("/").status_code == 200
    key = door.keys.pop("all")
    door.now += 10
    assert door.client.get("/").status_code == 401
    door.keys["all"] = key
    assert door.client.get("/").status_code == 401
    door.client.post("/key", data={"key": "all"})
    door.now += 13 * 3600
    assert door.client.get("/").status_code == 401


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil.example", "\t//evil.example"]
)
def test_the_door_leads_to_no_other_host(door: Door, place: str) -> None:
    assert door.client.post("/key", data={"key": "all", "place": place}).headers["location"] == "/"


def test_keys_cannot_be_guessed_by_trying(door: Door) -> None:
    answers = [door.client.post("/key", data={"key": "x"}).status_code for _ in range(22)]
    assert answers[:20] == [401] * 20
    assert answers[20:] == [429, 429]
    assert door.client.post("/key", data={"key": "all"}).status_code == 429
    other = {"origin": "http://evil.example"}
    assert door.client.post("/key", data={"key": "all"}, headers=other).status_code == 403


def test_styles_need_no_key(door: Door) -> None:
    style = re.search(r'href="(/static/[^"]+\.css)"', door.client.get("/").text)
    assert style
    assert door.client.get(style.group(1)).status_code == 200
    assert door.client.get("/static/x/../../aliases").status_code == 401
