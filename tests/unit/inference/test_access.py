"""Who may call the API, how often, and under which names."""

from __future__ import annotations

import pytest

from corrida.errors import AlreadyExists, InvalidName, NotFound
from corrida.inference.access import Names, RateLimit, is_loopback
from corrida.inference.database import Database, keys, open_database
from corrida.inference.keys import Keys


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_has_the_calls_of_a_minute_and_gets_them_back_evenly():
    clock = Clock()
    rates = RateLimit(clock)
    assert [rates.take("a", 3) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert rates.take("a", 3) == pytest.approx(20.0)
    assert rates.take("b", 3) == 0.0  # each caller has calls of its own
    clock.now += 19.9
    assert rates.take("a", 3) == pytest.approx(0.1)
    clock.now += 0.2  # being turned away costs nothing
    assert rates.take("a", 3) == 0.0
    assert rates.take("a", 3) > 0
    clock.now += 3600
    assert [rates.take("a", 3) for _ in range(3)] == [0.0, 0.0, 0.0]  # and no more than a minute's are saved
    assert rates.take("a", 3) > 0


def test_the_callers_that_are_remembered_are_bounded():
    rates = RateLimit(Clock())
    for number in range(10_050):
        rates.take(f"caller{number}", 1)
    assert len(rates._callers) == 10_000
    assert rates.take("caller10049", 1) > 0
    assert rates.take("caller1", 1) == 0.0


@pytest.mark.parametrize(
    "authority", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST", "localhost.:80"]
)
def test_a_server_of_this_machine_answers_to_its_names(authority):
    assert Names("127.0.0.1").allows(authority)
    assert Names("127.0.0.1").allows_origin(f"http://{authority}")


@pytest.mark.parametrize(
    "authority",
    ["", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "192.168.0.7", "[::1", "a b", "0x7f.1", "localhost@evil.example",
     "evil.example@localhost", "localhost:99999", "localhost/x", "localhost?x", "localhost#x"],
)  # fmt: skip
def test_and_to_no_other(authority):
    assert not Names("127.0.0.1").allows(authority)
    assert not Names("127.0.0.1").allows_origin(f"http://{authority}")


def test_beyond_this_machine_addresses_and_the_names_that_were_given_are_allowed():
    names = Names("0.0.0.0", ["scores.example"])
    assert names.allows("192.168.0.7:8080")  # an address cannot be made to stand for another
    assert names.allows("Scores.example")
    assert not names.allows("other.example")
    assert not names.allows_origin("null")
    assert not names.allows_origin("file://localhost")
    assert names.allows_origin("https://scores.example")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("scores.example", False)],
)  # fmt: skip
def test_what_is_reached_from_this_machine_only(host, expected):
    assert is_loopback(host) is expected


@pytest.fixture
def database(tmp_path):
    opened: Database = open_database("sqlite:///jobs.db", tmp_path)
    yield opened
    opened.close()


def test_a_key_is_shown_once_and_kept_as_a_digest(database):
    store = Keys(database)
    assert not store.any()
    key, text = store.add("bank", per_minute=5)
    assert store.any()
    assert store.find(text) == key
    with database.reading() as connection:
        assert text not in str(connection.execute(keys.select()).all())
    assert text.encode() not in database.address.file.read_bytes()
    assert store.find(text + "x") is None
    assert store.find("") is None
    assert store.find("corrida_") is None


def test_a_revoked_key_opens_nothing_and_its_name_is_given_to_nobody_else(database):
    store = Keys(database)
    _, text = store.add("bank")
    store.revoke("bank")
    assert store.find(text) is None
    assert not store.any()
    with pytest.raises(NotFound, match="no key 'bank'"):
        store.revoke("bank")
    with pytest.raises(AlreadyExists, match="a key bank already"):
        store.add("bank")
    assert [key.name for key in store.list() if key.revoked] == ["bank"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 200, "né"])
def test_names_of_keys_have_a_grammar(database, name):
    with pytest.raises(InvalidName, match="name of a key"):
        Keys(database).add(name)
