"""Embeddings from an endpoint, against a server that speaks the protocol."""

import base64
import sys
import time

import msgspec
import numpy as np
import pytest

from corrida.errors import EndpointFailed, InvalidConfig, MissingExtra
from corrida.pipelines.evaluation.embeddings import make_embedder
from corrida.pipelines.evaluation.embeddings.endpoint import EndpointProvider
from corrida.pipelines.evaluation.settings import Embedding, EndpointEmbedding


def vector(text):
    return [float(len(text)), float(sum(map(ord, text)) % 97), 1.0]


@pytest.fixture
def settings(server):
    def make(**more):
        return msgspec.convert(
            {"url": server.url, "model": "e5", "batch": 3, "first_wait": 0.01, "timeout": 5, **more},
            EndpointEmbedding,
        )

    return make


@pytest.fixture(autouse=True)
def _vectors(server, replies):
    def answer(body, _number):
        entries = [{"index": n, "embedding": vector(text)} for n, text in enumerate(body["input"])]
        return replies.Reply({"object": "list", "data": entries[::-1], "model": "e5"})

    server.answer = answer


TEXTS = [f"text {n} ü" for n in range(10)]


def test_vectors_in_the_order_of_the_texts(settings, server):
    provider = EndpointProvider(settings())
    assert provider.embed(TEXTS).tolist() == [vector(text) for text in TEXTS]
    assert sorted(len(body["input"]) for body in server.requests) == [1, 3, 3, 3]
    assert set(server.paths) == {"/v1/embeddings"}
    assert (provider.name, provider.batch, provider.keep) == ("endpoint:e5", 12, True)
    assert provider.digest != EndpointProvider(settings(parameters={"dimensions": 2})).digest


def test_an_empty_text_is_not_sent_and_has_no_direction(settings, server):
    assert EndpointProvider(settings()).embed(["a", "", " "]).tolist() == [vector("a"), [0, 0, 0], [0, 0, 0]]
    assert EndpointProvider(settings()).embed([""]).tolist() == [[0]]
    assert [body["input"] for body in server.requests] == [["a"]]


def test_each_text_is_asked_for_once_in_a_lifetime(settings, server):
    for _ in range(2):
        embedder = make_embedder(Embedding(provider="endpoint", endpoint=settings()))
        assert embedder.vectors([*TEXTS, *TEXTS]).shape == (20, 3)
    assert sum(len(body["input"]) for body in server.requests) == 10
    make_embedder(Embedding(provider="endpoint", endpoint=settings(version="2"))).vectors(TEXTS)
    assert sum(len(body["input"]) for body in server.requests) == 20


def test_base64_is_read_too(settings, server, replies):
    packed = base64.b64encode(np.array([1, 2, 3], dtype="<f4").tobytes()).decode()
    server.answer = lambda *_: replies.Reply({"data": [{"embedding": packed}]})
    assert EndpointProvider(settings()).embed(["a"]).tolist() == [[1, 2, 3]]


def test_errors_that_pass_are_survived(settings, server, replies):
    good, troubles = server.answer, [replies.Reply(status=500), replies.Reply(b"{"), replies.Reply(drop=True)]
    server.answer = lambda body, number: troubles[number] if number < 3 else good(body, number)
    assert EndpointProvider(settings()).embed(["a"]).tolist() == [vector("a")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"data": []}, "vectors of 1 texts"),
        ({"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]}, "1 vectors"),
        ({"data": [{"embedding": []}]}, "1 vectors"),
        ({"data": [{"embedding": ["x"]}]}, "vectors of 1"),
        ({"data": [{"embedding": "not base64"}]}, "vectors of 1"),
        ({"data": [{"embedding": None}]}, "1 vectors"),
        ({"data": None}, "vectors of 1"),
        ([], "vectors of 1"),
    ],
)
def test_a_reply_without_vectors(settings, server, replies, body, why):
    server.answer = lambda *_: replies.Reply(body)
    with pytest.raises(EndpointFailed, match=why):
        EndpointProvider(settings(attempts=2)).embed(["a"])
    assert len(server.requests) == 2


def test_vectors_of_different_lengths(settings, server, replies):
    server.answer = lambda body, _: replies.Reply({"data": [{"embedding": [1.0] * len(body["input"][0])}]})
    with pytest.raises(EndpointFailed, match="2 different lengths"):
        EndpointProvider(settings(batch=1)).embed(["a", "bb"])


@pytest.mark.parametrize("status", [400, 401, 404, 503])
def test_an_endpoint_that_refuses(settings, server, replies, status):
    server.answer = lambda *_: replies.Reply({"error": {"message": "no"}}, status=status)
    with pytest.raises(EndpointFailed, match=str(status)) as caught:
        EndpointProvider(settings(attempts=2)).embed(["a"])
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_asks_for_too_long(settings, server, replies):
    server.answer = lambda *_: replies.Reply(status=429, headers={"Retry-After": "999"})
    start = time.monotonic()
    with pytest.raises(EndpointFailed, match="asks to wait 999 s"):
        EndpointProvider(settings()).embed(["a"])
    assert time.monotonic() - start < 2


def test_no_network(settings):
    with pytest.raises(EndpointFailed, match=r"does not answer \(no connection .*provider: static"):
        EndpointProvider(settings(url="http://127.0.0.1:9/v1", attempts=1)).embed(["a"])


def test_a_key_that_is_not_there(settings, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InvalidConfig, match="MY_KEY is not set"):
        EndpointProvider(settings(key_variable="MY_KEY"))


def test_a_url_with_a_key_is_refused():
    with pytest.raises(msgspec.ValidationError, match="it is recorded"):
        msgspec.convert({"url": "http://me:pw@host/v1"}, EndpointEmbedding)


def test_without_the_client(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(MissingExtra, match=r"pip install 'corrida\[endpoint\]'"):
        EndpointProvider(settings())
