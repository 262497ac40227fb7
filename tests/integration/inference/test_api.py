"""The API over the real jobs' database: limits, ids, keys, and what callers are told of errors."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import httpx2
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from corrida.errors import AlreadyExists, BadInput
from corrida.inference.database import analyses
from corrida.inference.keys import Keys
from corrida.inference.metrics import Metrics
from corrida.inference.models import resolve_model
from corrida.inference.outbox import Outbox
from corrida.inference.queue import Executor
from corrida.inference.readiness import tell
from corrida.inference.server import build
from corrida.inference.spool import Spool
from corrida.inference.workflow import results_of

CSV = {"content-type": "text/csv"}


def client_of(world, **settings):
    """The API of a world, as a caller on this machine has it."""
    if settings:
        world.settings(**settings)
    return TestClient(build(world.service), base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture
def api(small):
    with client_of(small) as client:
        yield client


def nothing_stayed(world):
    assert world.names("pending") == []
    assert list(world.service.spool.incoming.iterdir()) == []
    with world.service.database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(analyses)).scalar() == 0


def error_of(answer, status, code):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code, error
    assert error["request_id"] == answer.headers["x-request-id"]
    assert "\n" not in error["message"]
    return error["message"]


def test_a_file_becomes_a_job_once_however_often_it_is_sent(small, api):
    first = api.post("/v1/analyses?id=a1&filename=May.csv", content="x\n5\n", headers=CSV)
    assert first.status_code == 202
    assert first.headers["location"] == "/v1/analyses/a1"
    assert first.json()["status"] == "queued"
    assert first.json()["file"] == "May.csv"
    assert (small.root / "spool" / "pending" / "a1.csv").read_text() == "x\n5\n"
    again = api.post("/v1/analyses", files={"file": ("May.csv", b"x\n5\n")}, data={"id": "a1"})
    assert again.status_code == 202
    assert again.json()["created"] == first.json()["created"]
    said = error_of(api.post("/v1/analyses?id=a1", content="x\n6\n", headers=CSV), 409, "id_taken")
    assert said == "the analysis a1 exists with another file (May.csv, 4 bytes); choose another id"
    assert small.names("pending") == ["a1.csv"]
    assert list(small.service.spool.incoming.iterdir()) == []
    second = api.post("/v1/analyses", content="x\n7\n")
    assert api.get(second.headers["location"]).json()["ahead"] == 1
    listed = [one["id"] for one in api.get("/v1/analyses").json()["analyses"]]
    assert listed == [second.json()["id"], "a1"]


def test_an_idempotency_key_stands_for_an_id(api):
    headers = CSV | {"idempotency-key": "order 66/α".encode()}
    first = api.post("/v1/analyses", content="x\n5\n", headers=headers)
    again = api.post("/v1/analyses", content="x\n5\n", headers=headers)
    assert first.json()["id"] == again.json()["id"]
    error_of(api.post("/v1/analyses", content="x\n6\n", headers=headers), 409, "id_taken")
    other = api.post("/v1/analyses", content="x\n5\n", headers=CSV | {"idempotency-key": "order 67"})
    again = api.post("/v1/analyses", content="x\n6\n", headers=CSV | {"idempotency-key": "order 67"})
    assert error_of(again, 409, "id_taken").startswith("this Idempotency-Key was used with another file")
    assert other.json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "..", "", "a b", "x" * 101, "é", "a_error", "a.csv", "a\x00b"]
)
def test_ids_outside_the_grammar_are_refused(small, api, name):
    answer = api.post("/v1/analyses", params={"id": name}, content="x\n5\n", headers=CSV)
    assert error_of(answer, 422, "invalid_id")
    assert api.get(f"/v1/analyses/{quote(name)}/results").status_code == 404
    nothing_stayed(small)


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "C:\\x\\up.csv", "..", "a\x1b[31m.csv", "é 表.csv"])
def test_the_name_of_a_file_is_never_a_path(small, api, name):
    answer = api.post("/v1/analyses", params={"filename": name, "id": "a1"}, content="x\n5\n", headers=CSV)
    assert answer.status_code == 202
    assert not set(answer.json()["file"]) & {"/", "\\", "\x1b"}
    assert small.names("pending") == ["a1.csv"]


def test_what_is_too_large_or_empty_leaves_nothing(small):
    with client_of(small, max_bytes=1000, max_rows=10) as api:
        said = error_of(api.post("/v1/analyses", content=b"x" * 1001, headers=CSV), 413, "too_large")
        assert "1,000 bytes" in said
        error_of(api.post("/v1/analyses", files={"file": ("a.csv", b"x" * 1001)}), 413, "too_large")
        error_of(api.post("/v1/analyses", content="x\n" + "1\n" * 11, headers=CSV), 413, "too_many_rows")
        error_of(api.post("/v1/analyses", content=b"", headers=CSV), 422, "invalid_input")
        error_of(
            api.post("/v1/analyses", content=b"x", headers=CSV | {"content-encoding": "gzip"}),
            415,
            "unsupported_media_type",
        )
        error_of(api.post("/v1/analyses", data={"id": "a"}, files={"other": b"x"}), 422, "unknown_field")
        error_of(
            api.post("/v1/analyses", content=b"x", headers={"content-type": "multipart/form-data"}),
            400,
            "bad_form",
        )
        nothing_stayed(small)


def test_webhooks_that_lead_inside_are_refused_before_anything_is_kept(small, api):
    for url in (
        "http://127.0.0.1:9/x",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "http://localhost/",
        "ftp://x/",
    ):
        error_of(
            api.post("/v1/analyses", params={"webhook": url}, content="x\n5\n", headers=CSV),
            422,
            "invalid_input",
        )
        form = api.post("/v1/analyses", files={"file": ("a.csv", b"x\n5\n")}, data={"webhook": url})
        error_of(form, 422, "invalid_input")
    nothing_stayed(small)


def test_a_call_under_another_name_or_from_another_site_is_turned_away(small, api):
    error_of(api.get("/health", headers={"host": "evil.example"}), 421, "wrong_host")
    origin = {"origin": "http://evil.example"}
    error_of(api.post("/v1/analyses", content="x\n5\n", headers=origin), 403, "wrong_origin")
    error_of(
        api.post("/v1/analyses", files={"file": b"x\n5\n"}, headers={"origin": "null"}), 403, "wrong_origin"
    )
    assert api.get("/health", headers={"origin": "http://localhost:3000"}).status_code == 200
    nothing_stayed(small)


def test_beyond_this_machine_a_key_is_needed_and_sees_its_own_only(small):
    small.settings(host="0.0.0.0")
    with pytest.raises(BadInput, match="there is no key; `corrida keys add NAME` makes one"):
        build(small.service)
    keys = Keys(small.service.database)
    texts = {name: keys.add(name, sees_all=name == "auditor")[1] for name in ("bank", "shop", "auditor")}
    as_ = {name: {"authorization": f"Bearer {text}"} for name, text in texts.items()}
    with client_of(small) as api:
        for headers in (
            {},
            {"authorization": "Bearer corrida_x"},
            {"x-api-key": "no"},
            {"authorization": "Basic eDp5"},
        ):
            for path in ("/v1/analyses", "/metrics", "/nope"):
                answer = api.get(path, headers=headers)
                error_of(answer, 401, "no_key")
                assert answer.headers["www-authenticate"] == "Bearer"
        assert api.get("/health").status_code == 200
        sent = api.post("/v1/analyses?id=a1", content="x\n5\n", headers=as_["bank"])
        assert sent.status_code == 202
        assert api.get("/v1/analyses/a1", headers={"x-api-key": texts["bank"]}).status_code == 200
        assert api.get("/v1/analyses/a1", headers=as_["auditor"]).status_code == 200
        error_of(api.get("/v1/analyses/a1", headers=as_["shop"]), 404, "not_found")
        error_of(api.delete("/v1/analyses/a1", headers=as_["shop"]), 404, "not_found")
        # Not even the same content under the same id tells what another has.
        said = error_of(
            api.post("/v1/analyses?id=a1", content="x\n5\n", headers=as_["shop"]), 409, "id_taken"
        )
        assert "May" not in said
        assert api.get("/v1/analyses", headers=as_["shop"]).json() == {"analyses": []}
        assert len(api.get("/v1/analyses", headers=as_["auditor"]).json()["analyses"]) == 1
        keys.revoke("bank")
        said = error_of(api.get("/v1/analyses/a1", headers=as_["bank"]), 401, "no_key")
        assert said.startswith("this key is not known or was revoked")
    assert small.service.jobs.get("a1").client == "bank"


def test_two_callers_have_idempotency_keys_of_their_own(small):
    keys = Keys(small.service.database)
    headers = [
        {"authorization": f"Bearer {keys.add(name)[1]}", "idempotency-key": "1"} for name in ("bank", "shop")
    ]
    with client_of(small) as api:
        ids = [
            api.post("/v1/analyses", content=f"x\n{n}\n", headers=one).json()["id"]
            for n, one in enumerate(headers)
        ]
    assert len(set(ids)) == 2


def test_a_key_that_calls_too_often_is_told_when_to_come_back(small):
    keys = Keys(small.service.database)
    text, other = keys.add("bank", per_minute=2)[1], keys.add("shop")[1]
    with client_of(small) as api:
        ask = lambda key: api.get("/v1/analyses", headers={"x-api-key": key})  # noqa: E731
        assert [ask(text).status_code for _ in range(2)] == [200, 200]
        answer = ask(text)
        error_of(answer, 429, "too_many_calls")
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert ask(other).status_code == 200
        assert api.get("/ready").status_code in {200, 503}  # needs no key


def test_errors_never_show_a_path_or_a_traceback(small, capsys):
    secret = str(small.root)

    def explode(*arguments, **named):
        raise ValueError(f"Traceback (most recent call last): {secret}/x.py")

    def full(*arguments, **named):
        raise OSError(28, "No space left on device", f"{secret}/spool/x")

    with client_of(small) as api:
        service = small.service
        real = service.jobs.get, service.jobs.list
        service.jobs.get = service.jobs.list = explode
        for path in ("/v1/analyses", "/v1/analyses/a1", "/v1/analyses/a1/results"):
            answer = api.get(path)
            said = error_of(answer, 500, "internal")
            assert said == "the server failed; its log says more under the id of this request"
            assert secret not in answer.text
            assert "Traceback" not in answer.text
            logged = capsys.readouterr().err
            assert answer.headers["x-request-id"] in logged
            assert f"{secret}/x.py" in logged
        service.jobs.get, service.jobs.list = real
        service.spool.stage_path = full
        answer = api.post("/v1/analyses", content="x\n5\n", headers=CSV)
        error_of(answer, 500, "internal")
        del service.spool.stage_path
        service.spool.incoming = small.root / "gone"  # the spool vanished
        answer = api.post("/v1/analyses", content="x\n5\n", headers=CSV)
        error_of(answer, 507, "storage")
        assert "gone" not in answer.text


def test_addresses_and_parameters_that_do_not_exist(api):
    error_of(api.get("/nope"), 404, "not_found")
    answer = api.put("/v1/analyses")
    error_of(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]
    error_of(api.get("/v1/analyses/nope"), 404, "not_found")
    assert error_of(api.get("/v1/analyses?limit=x"), 422, "invalid_parameter").startswith("limit: ")
    error_of(api.get("/v1/analyses?status=x"), 422, "invalid_parameter")
    error_of(api.post("/v1/analyses?wait=inf", content="x\n"), 422, "invalid_parameter")
    error_of(api.post("/v1/analyses?wait=-1", content="x\n"), 422, "invalid_parameter")
    assert api.get("/docs").status_code == 404  # it would load scripts of other sites


def test_what_waits_can_be_cancelled_and_says_so(small, api):
    api.post("/v1/analyses?id=a1", content="x\n5\n", headers=CSV)
    error_of(api.get("/v1/analyses/a1/results"), 409, "not_ready")
    assert api.delete("/v1/analyses/a1").json()["status"] == "cancelled"
    error_of(api.get("/v1/analyses/a1/results"), 409, "cancelled")
    shown = api.get("/v1/analyses/a1").json()
    assert shown["error"] == {"code": "cancelled", "message": "it was cancelled"}
    assert shown["links"] == {"self": "/v1/analyses/a1"}
    assert small.names("failed") == ["a1.csv", "a1_error.json"]


def test_one_that_is_being_scored_says_that_it_is_being_cancelled(small, api):
    api.post("/v1/analyses?id=a1", content="x\n5\n", headers=CSV)
    note = api.get("/v1/analyses/a1").json()["note"]
    assert note == "no worker is running; start one with `corrida worker` or `corrida serve`"
    small.service.jobs.claim("a1", 1, "token", "somebody")
    assert "cancelling" not in api.get("/v1/analyses/a1").json()
    assert "note" not in api.get("/v1/analyses/a1").json()
    shown = api.delete("/v1/analyses/a1").json()
    assert (shown["status"], shown["cancelling"]) == ("running", True)


def test_parquet_is_known_by_its_first_bytes_where_nothing_else_says_so(small, api):
    body = b"PAR1" + bytes(20)
    form = {"content-type": "application/x-www-form-urlencoded"}  # what curl sends with --data-binary
    assert api.post("/v1/analyses?id=a1", content=body, headers=form).json()["file"] == "upload.parquet"
    assert (
        api.post("/v1/analyses?id=a2", content=iter([b"P", b"AR", b"1" + bytes(20)])).json()["file"]
        == "upload.parquet"
    )
    assert api.post("/v1/analyses?id=a3", content="x\n5\n", headers=form).json()["file"] == "upload.csv"
    named = api.post("/v1/analyses?id=a4&filename=b.csv", content=body, headers=CSV)
    assert named.json()["file"] == "b.csv"  # a name goes over all
    said = error_of(api.post("/v1/analyses?id=a5", content=body, headers=CSV), 415, "unsupported_media_type")
    assert said.endswith("send the header Content-Type: application/vnd.apache.parquet")
    assert list(small.service.spool.incoming.iterdir()) == []


def test_ready_says_what_is_missing(small, corrida):
    with client_of(small) as api:
        missing = "no worker is running; start one with `corrida worker` or `corrida serve`"
        assert api.get("/ready").status_code == 503
        assert api.get("/ready").json() == {
            "status": "not ready",
            "checks": {"database": "ok", "spool": "ok", "model": "ok", "worker": missing},
        }
        worker = Executor(small.service.database, small.service.spool)
        assert api.get("/ready").json() == {
            "status": "ready",
            "checks": {"database": "ok", "spool": "ok", "model": "ok", "worker": "ok"},
        }
        digest = resolve_model(small.service.runner.store, "@production").digest
        tell(small.service.database, worker.id, "production", digest, "it needs a package")
        answer = api.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["model"] == "no worker can load the run one: it needs a package"
        other = Executor(small.service.database, small.service.spool)  # it knows nothing against the run
        assert api.get("/ready").status_code == 200
        other.leave()
        tell(small.service.database, worker.id, "production", digest, None)
        assert api.get("/ready").status_code == 200
        model = next((small.root / "runs" / "one").rglob("mean.json"))
        whole = model.read_text()
        model.chmod(0o644)
        model.write_text('{"mean": 3.0}')
        answer = api.get("/ready")
        assert answer.status_code == 503
        assert "mean.json was altered" in answer.json()["checks"]["model"]
        assert str(small.root) not in answer.text
        model.write_text(whole)
        assert api.get("/ready").status_code == 200
        corrida("demote", "production")
        answer = api.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["model"].startswith("no run is @production")
        worker.leave()
        assert api.get("/ready").json()["checks"]["worker"] == missing


def processed(world, job_id, rows):
    """Score a file by a real worker."""
    world.submit(job_id, *rows)
    worker = world.worker()
    assert world.ended(job_id) == ["processed"]
    worker.terminate()
    worker.wait()


@pytest.mark.slow
def test_results_come_in_pages_as_csv_and_as_parquet(small):
    processed(small, "a1", [f"{n}," for n in range(25)])
    with client_of(small) as api:
        page = api.get("/v1/analyses/a1/results?limit=10").json()
        assert (page["offset"], page["total"], len(page["rows"])) == (0, 25, 10)
        rows = list(page["rows"])
        while page["next"]:
            page = api.get(page["next"]).json()
            rows += page["rows"]
        assert [row["x"] for row in rows] == list(range(25))
        assert rows[5]["distance"] == 3.0
        assert api.get("/v1/analyses/a1/results?offset=99").json()["rows"] == []
        answer = api.get("/v1/analyses/a1/results", headers={"accept": "text/csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        lines = answer.text.splitlines()
        assert lines[0] == "x,do,distance,run_id,analysis_id"
        assert lines[1] == "0,,2.0,one,a1"
        assert len(lines) == 26
        parquet = api.get("/v1/analyses/a1/results?format=parquet")
        table = results_of(small.service.spool, small.service.jobs.get("a1"))
        assert parquet.content == table.read_bytes()
        # A repetition of the same file gives the results at once.
        path = small.root / "a1.up.csv"
        again = api.post("/v1/analyses?id=a1", content=path.read_bytes(), headers=CSV)
        assert again.status_code == 200
        assert again.json()["results"]["total"] == 25
        table.unlink()
        error_of(api.get("/v1/analyses/a1/results"), 410, "gone")


@pytest.mark.slow
def test_metrics_count_what_ended_since_the_server_began(small):
    def value(text, name):
        return float(
            next(line for line in text.splitlines() if line.startswith(name + " ")).rpartition(" ")[2]
        )

    small.submit("before", "1,")
    small.service.cancel("before")
    metrics = Metrics(small.service)
    small.submit("bad", "1,raise")
    small.settings(attempts=1)
    processed(small, "a1", ["5,", "6,"])
    small.ended("bad")
    for _ in range(2):  # a second look counts nothing twice
        text = metrics.text().decode()
        assert value(text, 'corrida_analyses_total{status="processed"}') == 1
        assert value(text, 'corrida_analyses_total{status="failed"}') == 1
        assert value(text, 'corrida_analyses_total{status="cancelled"}') == 0
        assert value(text, 'corrida_failures_total{code="internal"}') == 1
        assert value(text, 'corrida_kept_analyses{status="cancelled"}') == 1
        assert value(text, 'corrida_rows_total{scored="yes"}') == 2
        assert value(text, "corrida_wait_seconds_count") == 2
        assert value(text, 'corrida_queue{status="queued"}') == 0


@pytest.mark.slow
def test_the_schema_and_the_api_say_the_same(small):
    """Calls that the schema allows, and many that it does not: every answer is one that it names."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import (
        ignored_auth,
        negative_data_rejection,
        positive_data_acceptance,
    )

    small.settings(wait_most=0.1)
    text = Keys(small.service.database).add("bank", per_minute=1_000_000)[1]
    app = build(small.service)  # with a key there, every call needs one
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {text}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": "127.0.0.1"})
    seen: set[int] = set()

    def check(case):
        answer = case.call(headers=headers)
        seen.add(answer.status_code)
        assert answer.status_code < 500 or case.path == "/ready", answer.text
        assert str(small.root) not in answer.text
        assert "Traceback" not in answer.text
        if answer.status_code >= 400 and case.path != "/ready":
            assert set(answer.json()["error"]) == {"code", "message", "request_id"}
        # Any bytes are a body, what is a usable webhook or file no schema can say, and every call carries our key.
        excluded = [positive_data_acceptance, negative_data_rejection, ignored_auth]
        if case.path == "/ready":  # without a worker it says 503, as it should
            excluded.append(not_a_server_error)
        case.validate_response(answer, excluded_checks=excluded)

    quick = settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
    )
    for found in schema.get_all_operations():
        operation = found.ok()
        inputs = operation.path.startswith("/v1")  # the others take nothing that could be wrong
        for mode in GenerationMode if inputs else [GenerationMode.POSITIVE]:
            quick(given(operation.as_strategy(generation_mode=mode))(check))()
    assert {200, 202, 404, 422} <= seen


def test_uploads_are_received_so_many_at_once(small):
    small.settings(uploads=1)
    app = build(small.service)

    async def story():
        go = asyncio.Event()
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

            async def slow():
                yield b"x\n"
                await go.wait()
                yield b"5\n"

            first = asyncio.create_task(client.post("/v1/analyses", content=slow(), headers=CSV))
            await asyncio.sleep(0.3)
            second = await client.post("/v1/analyses", content=b"x\n6\n", headers=CSV)
            go.set()
            return await first, second

    first, second = asyncio.run(story())
    assert first.status_code == 202
    error_of(second, 503, "busy")
    assert second.headers["retry-after"] == "1"


def test_the_openapi_document_names_every_answer(api):
    document = api.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/analyses", "/v1/analyses/{analysis_id}", "/v1/analyses/{analysis_id}/results", "/health", "/ready", "/metrics",
    }  # fmt: skip
    post = document["paths"]["/v1/analyses"]["post"]
    assert {"200", "202", "401", "408", "409", "413", "415", "421", "422", "429", "503", "507"} <= set(
        post["responses"]
    )
    assert "security" in post
    assert "security" not in document["paths"]["/health"]["get"]
    assert "multipart/form-data" in post["requestBody"]["content"]
    assert "ValidationError" not in json.dumps(document)  # errors have one shape


def test_the_spool_of_another_machine_is_said_to_be_elsewhere(small, api, tmp_path):
    api.post("/v1/analyses?id=a1", content="x\n5\n", headers=CSV)
    with small.service.database.transaction() as connection:
        values = {"spool": Spool(tmp_path / "other").id, "status": "processed", "report": "{}"}
        connection.execute(sa.update(analyses).values(**values))
    error_of(api.get("/v1/analyses/a1/results"), 409, "elsewhere")


@pytest.mark.slow
def test_keys_jobs_and_metrics_are_the_same_on_both_databases(world):
    keys = Keys(world.service.database)
    text = keys.add("bank")[1]
    with pytest.raises(AlreadyExists):
        keys.add("bank")
    metrics = Metrics(world.service)
    with client_of(world) as api:
        headers = CSV | {"x-api-key": text}
        answer = api.post(
            "/v1/analyses?id=a1&webhook=http://hooks.invalid/", content="x\n5\n", headers=headers
        )
        assert answer.status_code == 202, answer.text
        world.service.cancel("a1")
        listed = api.get("/v1/analyses?status=cancelled", headers=headers).json()["analyses"]
        assert [one["id"] for one in listed] == ["a1"]
        keys.revoke("bank")
        error_of(api.get("/v1/analyses", headers=headers), 401, "no_key")
    assert 'corrida_analyses_total{status="cancelled"} 1.0' in metrics.text().decode()
    assert len(Outbox(world.service.database).of("a1")) == 1
