"""Endpoints for chat completions, against a server that speaks the protocol."""

from __future__ import annotations

import email.utils
import json
import re
import sys
import threading
import time

import msgspec
import pytest

from corrida.errors import EndpointFailed, InvalidConfig, MissingExtra
from corrida.pipelines.evaluation.detect.settings import DetectorSettings
from corrida.pipelines.evaluation.detect.tally import spent

KEY = "sk-very-secret-1234"


def rows(detected):
    return [
        (r["item"], r["strategy"], r["model"], r["name"]) for r in detected.detections.iter_rows(named=True)
    ]


def model_facts(detected, model="m"):
    return detected.facts["models"][model]


def test_every_item_under_every_strategy_and_model(detect, endpoint, server, recorder):
    settings = endpoint(
        models={"big": {"id": "vendor/big-1", "parameters": {"temperature": 0}}, "small": {}},
        strategies={
            "plain": {"user": "Answer: {{item.answer}}"},
            "listed": {"system": "Choose:\n{{taxonomy}}", "user": "{{item.question}} {{item.answer}}"},
        },
        parameters={"temperature": 1, "max_tokens": 50},
    )
    detected = detect(settings, ["aé {{taxonomy}}", "リスト"])
    assert len(server.requests) == 8
    assert set(server.paths) == {"/v1/chat/completions"}
    assert detected.pairs == [("plain", "big"), ("listed", "big"), ("plain", "small"), ("listed", "small")]
    assert rows(detected) == [(i, s, m, "off by one") for s, m in detected.pairs for i in ("i0", "i1")]
    assert detected.detections["confidence"].to_list() == [0.5] * 8
    big = [body for body in server.requests if body["model"] == "vendor/big-1"]
    assert {(body["temperature"], body["max_tokens"]) for body in big} == {(0, 50)}
    listed = next(b for b in big if len(b["messages"]) == 2 and "リスト" in b["messages"][1]["content"])
    assert "- off by one | the loop runs once too often" in listed["messages"][0]["content"]
    assert listed["messages"][1]["content"].startswith("Why? リスト\n\nAnswer with one JSON object")
    # What an item holds is put in as it is, and once.
    assert server.asked("aé {{taxonomy}}") == 4
    assert model_facts(detected, "big")["served_by"] == ["served-model-1"]
    (saved,) = [text for name, text in recorder.texts.items() if name.startswith("answers_")]
    lines = [json.loads(line) for line in saved.splitlines()]
    assert [line["item"] for line in lines] == ["i0", "i1"] * 4
    assert not any(line["cached"] for line in lines)
    (templates,) = [text for name, text in recorder.texts.items() if name.startswith("prompts_")]
    assert "{{item.question}} {{item.answer}}" in templates


def test_a_rerun_asks_nothing_and_costs_nothing(detect, endpoint, server):
    settings = endpoint(models={"m": {"input": 2.0, "output": 10.0}})
    first = detect(settings, ["a", "b"])
    assert model_facts(first) == {
        "questions": 2, "cached": 0, "failed": 0, "requests": 2,
        "prompt_tokens": 200, "completion_tokens": 40, "cost": 0.0008, "served_by": ["served-model-1"],
    }  # fmt: skip
    second = detect(settings, ["a", "b"])
    assert len(server.requests) == 2
    assert second.detections.equals(first.detections)
    told = model_facts(second)
    assert (told["requests"], told["cost"], told["cached"], told["cached_cost"]) == (0, 0.0, 2, 0.0008)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"temperature": 0.5}},
        {"strategies": {"plain": {"user": "Reply: {{item.answer}}"}}},
        {"models": {"m": {"id": "other"}}},
        {"send_seed": True},
        {"cache": False},
    ],
)
def test_another_question_is_asked(detect, endpoint, server, change):
    detect(endpoint(), ["a"])
    detect(endpoint(**change), ["a"])
    assert len(server.requests) == 2


def test_another_item_with_the_same_text_is_asked(detect, endpoint, server):
    detect(endpoint(), ["same", "same"])
    assert len(server.requests) == 2


def test_the_seed_of_the_run_is_a_parameter_of_the_question(detect, endpoint, server):
    for seed in (1, 2, 2):
        detect(endpoint(send_seed=True), ["a"], seed=seed)
    assert [body["seed"] for body in server.requests] == [1, 2]


def test_a_broken_answer_is_asked_again_and_then_failed(detect, endpoint, server, replies, recorder):
    server.answer = lambda body, _: (
        replies.chat("I am not sure")
        if "bad" in body["messages"][0]["content"]
        else replies.chat('{"detections": []}')
    )
    detected = detect(endpoint(attempts=3), ["bad", "clean"])
    (failed,) = detected.failed
    assert (failed.item, failed.strategy, failed.model, failed.attempts) == ("i0", "plain", "m", 3)
    assert "no JSON" in failed.reason
    assert detected.detections.is_empty()
    assert detected.pairs == [("plain", "m")]
    # Broken replies are paid for, so they are counted; and not kept, so a rerun asks them again.
    assert model_facts(detected)["prompt_tokens"] == 400
    server.answer = lambda *_: replies.found("off by one")
    again = detect(endpoint(), ["bad", "clean"])
    assert rows(again) == [("i0", "plain", "m", "off by one")]
    assert not again.failed
    assert server.asked("clean") == 1
    saved = [text for name, text in recorder.texts.items() if name.startswith("answers_")]
    assert ["I am not sure" in text for text in saved] == [True, False]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (lambda r: r.chat(""), "empty"),
        (lambda r: r.chat(None), "empty"),
        (lambda r: r.chat('{"detections": [{"name"', finish="length"), "cut off"),
        (lambda r: r.chat("", finish="content_filter"), "content filter"),
        (lambda r: r.chat(None, refusal="I cannot help"), "refuses: I cannot help"),
        (lambda r: r.Reply({"choices": []}), "choices"),
        (lambda r: r.Reply({"choices": [{"message": None}]}), "choices"),
        (lambda r: r.Reply([1]), "choices"),
        (lambda r: r.Reply(b"null"), "choices"),
        (
            lambda r: r.Reply(b"<html>hi</html>", headers={"Content-Type": "text/html"}),
            "text/html and not JSON",
        ),
        (lambda r: r.Reply(b""), "not JSON"),
        (lambda r: r.Reply(b"\xff\xfe"), "not JSON"),
        (lambda r: r.Reply(b"[" * 100_000), "not JSON"),
        (lambda r: r.Reply(b"x" * (17 * 1024 * 1024)), "larger than 16 MB"),
        (lambda r: r.Reply({"error": {"message": "too long\nfor me"}}, status=400), "400 too long for me"),
        (lambda r: r.Reply({"error": "busy"}, status=500), "500 busy"),
        (lambda r: r.Reply(b"oops", status=503), "503 oops"),
        (lambda r: r.Reply(drop=True), "disconnected"),
        (lambda r: r.Reply(delay=1.0), "no answer within"),
    ],
)
def test_what_is_no_answer_fails_its_item_alone(detect, endpoint, server, replies, reply, why):
    server.answer = lambda body, _: (
        reply(replies) if "bad" in body["messages"][0]["content"] else replies.found("off by one")
    )
    detected = detect(endpoint(attempts=2, timeout=0.5), ["bad", "good"])
    (failed,) = detected.failed
    assert why in failed.reason
    assert failed.item == "i0"
    assert rows(detected) == [("i1", "plain", "m", "off by one")]


def test_errors_that_pass_are_survived(detect, endpoint, server, replies):
    troubles = [
        replies.Reply(status=500),
        replies.Reply(status=429),
        replies.Reply(drop=True),
        replies.chat("what?"),
        replies.found("off by one"),
    ]
    server.answer = lambda _, number: troubles[number]
    detected = detect(endpoint(attempts=5), ["a"])
    assert rows(detected) == [("i0", "plain", "m", "off by one")]
    assert model_facts(detected)["requests"] == 5
    assert not detected.failed


@pytest.mark.parametrize("asks", ["1", "date"])
def test_retry_after_holds_all_questions(detect, endpoint, server, replies, asks):
    value = email.utils.formatdate(time.time() + 2, usegmt=True) if asks == "date" else asks
    server.answer = lambda _, number: (
        replies.Reply(status=429, headers={"Retry-After": value}) if number == 0 else replies.found("x")
    )
    detected = detect(endpoint(concurrency=1), ["a", "b"])
    assert not detected.failed
    assert server.times[1] - server.times[0] >= 0.9


def test_an_endpoint_that_asks_for_too_long_ends_the_run(detect, endpoint, server, replies):
    server.answer = lambda *_: replies.Reply(status=429, headers={"Retry-After": "3600"})
    start = time.monotonic()
    with pytest.raises(
        EndpointFailed, match=r"asks to wait 3,600 s .*0 of 3 questions are answered and kept"
    ):
        detect(endpoint(), ["a", "b", "c"])
    assert time.monotonic() - start < 2


def test_waits_grow_and_are_capped(endpoint):
    import tenacity

    from corrida.pipelines.evaluation.transport import Unavailable, waiting

    wait = waiting(1.0, 10.0)
    state = tenacity.RetryCallState(None, None, (), {})
    for attempt, most in ((1, 1.0), (3, 4.0), (9, 10.0)):
        state.attempt_number = attempt
        found = [wait(state) for _ in range(50)]
        assert max(found) <= most
        assert len(set(found)) > 10  # jitter
    error = Unavailable("busy")
    error.wait = 30.0
    state.set_exception((Unavailable, error, None))
    assert 30 <= wait(state) <= 31


def test_concurrency_is_bounded_and_used(detect, endpoint, server, replies):
    def answer(*_):
        time.sleep(0.05)
        return replies.found("x")

    server.answer = answer
    detect(endpoint(concurrency=3), [f"a{n}" for n in range(12)])
    assert server.most == 3


def test_requests_keep_their_rate(detect, endpoint, server):
    detect(endpoint(requests_per_minute=1200), [f"a{n}" for n in range(11)])
    gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert server.times[-1] - server.times[0] >= 0.25  # ten times 50 ms, less the way to the server
    assert sum(gaps) / len(gaps) >= 0.045


def test_tokens_keep_their_rate(detect, endpoint, server, replies):
    server.answer = lambda *_: replies.chat('{"detections": []}', prompt=60, completion=40)
    # 100 tokens a question at 60,000 a minute are 0.1 s, whatever was expected at first.
    detect(endpoint(tokens_per_minute=60_000, concurrency=1, parameters={"max_tokens": 1}), ["a"] * 6)
    assert server.times[-1] - server.times[0] >= 0.4


def test_the_key_is_sent_and_never_told(detect, endpoint, server, replies, monkeypatch, recorder):
    monkeypatch.setenv("MY_KEY", KEY)
    server.answer = lambda body, _: (
        replies.Reply({"error": {"message": f"bad key {KEY}"}}, status=400)
        if "bad" in body["messages"][0]["content"]
        else replies.found("x")
    )
    detected = detect(endpoint(key_variable="MY_KEY"), ["bad", "b"])
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    told = json.dumps(
        [detected.facts, recorder.texts, [msgspec.to_builtins(f) for f in detected.failed]],
        ensure_ascii=False,
    )
    assert "bad key …" in told
    assert KEY not in told
    server.answer = lambda *_: replies.Reply({"error": {"message": f"bad key {KEY}"}}, status=401)
    with pytest.raises(EndpointFailed, match="does not accept the key") as caught:
        detect(endpoint(key_variable="MY_KEY"), ["c"])
    assert KEY not in str(caught.value)


def test_a_key_that_is_not_there(detect, endpoint, server, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InvalidConfig, match="environment variable MY_KEY is not set"):
        detect(endpoint(key_variable="MY_KEY"), ["a"])
    monkeypatch.setenv("MY_KEY", "sk-\u200b")
    with pytest.raises(InvalidConfig, match="no key has"):
        detect(endpoint(key_variable="MY_KEY"), ["a"])
    assert not server.requests


@pytest.mark.parametrize(
    ("status", "why"), [(401, "key"), (403, "access"), (404, "not there"), (302, "moved")]
)
def test_what_concerns_all_questions_ends_the_run_at_once(detect, endpoint, server, replies, status, why):
    server.answer = lambda *_: replies.Reply(
        {"error": "no"}, status=status, headers={"Location": "http://127.0.0.1:9/"}
    )
    with pytest.raises(EndpointFailed, match=why):
        detect(endpoint(concurrency=1), ["a", "b", "c"])
    assert len(server.requests) == 1


def test_an_endpoint_that_goes_away_ends_the_run_and_the_rest_is_asked_later(
    detect, endpoint, server, replies, recorder
):
    answers = [f"answer-{n}" for n in range(20)]
    gone = threading.Event()

    def answer(_body, number):
        if number >= 8:
            gone.set()
            return replies.Reply(drop=True)
        return replies.found("x")

    server.answer = answer
    settings = endpoint(concurrency=1, attempts=2, give_up_after=2)
    with pytest.raises(EndpointFailed, match="no answer to 2 questions in a row") as caught:
        detect(settings, answers)
    assert gone.is_set()
    assert "8 of 20 questions are answered and kept: run the same again" in str(caught.value)
    assert "\n" not in str(caught.value)
    server.answer = lambda *_: replies.found("x")
    before = len(server.requests)
    detected = detect(settings, answers)
    assert len(server.requests) - before == 12
    assert len(rows(detected)) == 20


def test_nobody_listens(detect, endpoint, server):
    server.stop()
    try:
        with pytest.raises(EndpointFailed, match="no connection"):
            detect(endpoint(attempts=2), ["a"] * 20)
    finally:
        server.__init__()


def test_a_host_that_does_not_exist(detect, endpoint):
    with pytest.raises(EndpointFailed, match=r"no answer to 1 questions in a row"):
        detect(endpoint(url="http://nowhere.invalid/v1", attempts=1, give_up_after=1), ["a"])


def test_when_nothing_can_be_read_nothing_is_counted(detect, endpoint, server, replies, recorder):
    server.answer = lambda *_: replies.chat("hello")
    with pytest.raises(EndpointFailed, match=r"none of the 2 questions .* no JSON"):
        detect(endpoint(attempts=1), ["a", "b"])
    (saved,) = [text for name, text in recorder.texts.items() if name.startswith("answers_")]
    assert saved.count("hello") >= 2


def test_findings_are_said_once_and_ids_become_labels(detect, endpoint, server, replies):
    server.answer = lambda *_: replies.found("L3", "L3", "copied list", "something else", topic="x")
    detected = detect(endpoint(), ["a"])
    assert detected.detections.select("name", "description", "topic").rows() == [
        ("copied list", "b = a does not copy a list", "lists"),
        ("copied list", None, "x"),
        ("something else", None, "x"),
    ]


def test_replies_without_usage_have_no_cost(detect, endpoint, server, replies):
    server.answer = lambda *_: replies.chat("[]", usage=False)
    told = model_facts(detect(endpoint(models={"m": {"input": 1, "output": 1}}), ["a"]))
    assert told["replies_without_usage"] == 1
    assert "cost" not in told
    assert "prompt_tokens" not in told


def test_templates_in_files(detect, endpoint, server, tmp_path):
    (tmp_path / "prompts").mkdir()
    path = tmp_path / "prompts" / "socrates.yaml"
    settings = endpoint(strategies={"socratic": "prompts/socrates.yaml"})
    path.write_text(
        "system: You ask.\nuser: |\n  {{ item.answer }}\n  {{answer_format}}\n  Thank you.\n"
        "topic: same\ntaxonomy: [id, name]\n",
        encoding="utf-8",
    )
    detect(settings, ["ü"], topics=["loops"])
    assert server.requests[0]["messages"][1]["content"].startswith("ü\nAnswer with one JSON")
    assert server.requests[0]["messages"][1]["content"].endswith("Thank you.\n")
    for text, why in (
        ("user: hello\n", "reads nothing of the item"),
        ("user: '{{item.answer}} {{labels}}'\n", r"\{\{labels\}\}.* stands for nothing"),
        ("user: '{{item.anwser}}'\n", "column 'anwser'.*answer"),
        ("user: 1\n", "not a prompt template"),
        ("text: x\n", "not a prompt template"),
        ("user: '{{item.answer}}'\ntopic: same\n", "no item has the topic"),
        ("user: [\n", "socrates.yaml"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidConfig, match=why):
            detect(settings, ["a"])
    assert len(server.requests) == 1


def test_only_labels_of_the_topic(detect, endpoint, server):
    prompt = {"user": "{{item.answer}}\n{{taxonomy}}", "topic": "same", "taxonomy": ["id", "name"]}
    detect(endpoint(strategies={"rubric": prompt}), ["a", "b"], topics=["lists", None])
    told = sorted(body["messages"][0]["content"].partition("\n\n")[0] for body in server.requests)
    assert told == [
        "a\n- L3 | copied list",
        "b\n- L1 | off by one\n- L2 | assignment as comparison\n- L3 | copied list",
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"url": "localhost:8000"}, "url must be like"),
        ({"url": "http://"}, "url must be like"),
        ({"url": "http://me:pw@host/v1"}, "it is recorded"),
        ({"url": "http://host/v1?api_key=abc"}, "it is recorded"),
        ({"parameters": {"stream": True}}, "'stream' is set by the detector"),
        ({"models": {"m": {"parameters": {"model": "x"}}}}, "'model' is set by the detector"),
        ({"models": {"m": {"input": 1}}}, "both or none"),
        ({"models": {}}, "length"),
        ({"concurrency": 0}, ">= 1"),
        ({"strategy": {}}, "strategy"),
    ],
)
def test_settings_that_are_refused(endpoint, change, why):
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(endpoint(**change), DetectorSettings)


def test_a_query_stays_at_the_end(detect, endpoint, server):
    detect(endpoint(url=f"{server.url}/?api-version=2"), ["a"])
    assert server.paths == ["/v1/chat/completions?api-version=2"]


def test_inside_of_a_running_loop(detect, endpoint, server):
    import asyncio

    async def notebook():
        return detect(endpoint(), ["a"])

    assert len(rows(asyncio.run(notebook()))) == 1


def test_without_the_client(detect, endpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'corrida\[endpoint\]'"):
        detect(endpoint(), ["a"])


def test_what_was_spent_is_said_in_a_sentence(detect, endpoint, server, replies):
    priced = endpoint(models={"m": {"input": 1, "output": 10}})
    first, again = ([detect(priced, ["a", "b"]).facts] for _ in range(2))
    assert re.fullmatch(r"2 questions to endpoints: [\d,]+ tokens, [\d.e-]+ USD\.", spent(first))
    assert spent(again) == "2 questions to endpoints: 2 of them cached, 0 tokens, 0 USD."
    free = detect(endpoint(models={"n": {}}), ["c"]).facts
    assert "tokens" in spent([*first, free])
    assert "USD" not in spent([*first, free])
    assert spent([{"kind": "retrieval"}, {"name": "static"}]) == ""
