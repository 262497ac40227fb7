"""The cache of answers: appended to, shared, and never believed where it is damaged."""

import os
import random
import subprocess
import sys

import pytest

from corrida.errors import StoreError
from corrida.pipelines.evaluation.detect.cache import Answer, AnswerCache, Usage, question_key

URL = "http://host/v1"


def answer(key, text="[]"):
    return Answer(key=key, text=text, usage=Usage(3, 4), served="s", attempts=2)


def test_what_was_put_is_there_for_another():
    cache = AnswerCache(URL, "m")
    assert cache.get("k") is None
    cache.put(answer("k", "ü\n\u2028{}"))
    assert AnswerCache(URL, "m").get("k") == answer("k", "ü\n\u2028{}")
    assert AnswerCache(URL, "other").get("k") is None
    assert AnswerCache("http://other/v1", "m").get("k") is None
    assert cache.path.stat().st_mode & 0o077 == 0


def test_what_another_has_added_is_seen_at_once():
    one, other = AnswerCache(URL, "m"), AnswerCache(URL, "m")
    assert other.get("a") is None
    for number in range(20):
        one.put(answer(f"a{number}"))
        assert other.get(f"a{number}") is not None


def test_a_torn_line_is_asked_again_and_the_next_is_whole():
    cache = AnswerCache(URL, "m")
    for key in "ab":
        cache.put(answer(key))
    os.truncate(cache.path, cache.path.stat().st_size - 7)
    after = AnswerCache(URL, "m")
    assert after.get("a") is not None
    assert after.get("b") is None
    after.put(answer("c"))
    fresh = AnswerCache(URL, "m")
    assert [fresh.get(key) is not None for key in "abc"] == [True, False, True]


def test_damage_anywhere_is_not_believed():
    cache = AnswerCache(URL, "m")
    for number in range(30):
        cache.put(answer(f"k{number}", "x" * 50))
    whole = cache.path.read_bytes()
    chance = random.Random(7)
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        cache.path.write_bytes(damaged)
        reader = AnswerCache(URL, "m")
        found = [reader.get(f"k{number}") for number in range(30)]
        assert all(f is None or f == answer(f"k{n}", "x" * 50) for n, f in enumerate(found))
        assert sum(f is not None for f in found) >= 24


def test_a_cache_that_was_deleted_or_replaced_is_read_anew():
    cache, reader = AnswerCache(URL, "m"), AnswerCache(URL, "m")
    cache.put(answer("a"))
    assert reader.get("a")
    cache.path.unlink()
    cache.put(answer("b"))
    assert reader.get("b")


FILL = """
import sys
from corrida.pipelines.evaluation.detect.cache import Answer, AnswerCache
cache = AnswerCache("http://host/v1", "m")
for number in range(60):
    cache.put(Answer(key=f"{sys.argv[1]}-{number}", text=sys.argv[1] * 3000))
"""


def test_processes_share_it():
    workers = [subprocess.Popen([sys.executable, "-c", FILL, name]) for name in "ab"]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    cache = AnswerCache(URL, "m")
    for name in "ab":
        assert all(cache.get(f"{name}-{number}").text == name * 3000 for number in range(60))
    assert len(cache.path.read_bytes().splitlines()) == 120


def test_a_cache_that_cannot_be_written_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CORRIDA_CACHE_DIR", str(tmp_path / "file"))
    cache = AnswerCache(URL, "m")
    assert cache.get("a") is None
    with pytest.raises(StoreError, match="would pay for them again"):
        cache.put(answer("a"))


def test_everything_an_answer_depends_on_is_in_its_key():
    base = {
        "url": URL,
        "model": "m",
        "messages": [{"role": "user", "content": "a"}],
        "parameters": {},
        "item": "1",
    }
    changed = [
        {"url": "http://x/v1"}, {"model": "n"}, {"messages": [{"role": "user", "content": "b"}]},
        {"messages": [{"role": "system", "content": "a"}]}, {"parameters": {"temperature": 0}}, {"item": "2"},
    ]  # fmt: skip
    keys = {question_key(**base), *(question_key(**(base | change)) for change in changed)}
    assert len(keys) == 7
    assert question_key(**(base | {"parameters": {"a": 1, "b": 2}})) == question_key(
        **(base | {"parameters": {"b": 2, "a": 1}})
    )
