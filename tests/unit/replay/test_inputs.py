"""Hybrids of what two runs were given."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.analysis.config_diff import apply_changes, diff_documents, same_meaning
from corrida.errors import InvalidConfig
from corrida.replay.inputs import Inputs, Mixer, _written
from corrida.runs.documents import read_document


def as_json(document):
    return json.dumps(document).encode()


def mixer(a, b, **more):
    return Mixer(
        Inputs(configs=tuple(a.items()), **more.get("a", {})),
        Inputs(configs=tuple(b.items()), **more.get("b", {})),
    )


def labels(found):
    return [unit.label for unit in found.units]


RULES_A = {
    "version": "1",
    "rules": [{"id": "R1", "priority": 40, "active": True}, {"id": "R2", "priority": 5}],
}
RULES_B = {
    "version": "2",
    "rules": [
        {"id": "R1", "priority": 10, "active": False},
        {"id": "R2", "priority": 5},
        {"id": "R3", "priority": 1},
    ],
}


def test_units_are_the_smallest_changes_in_words():
    found = mixer({"config/rules.json": as_json(RULES_A)}, {"config/rules.json": as_json(RULES_B)})
    assert labels(found) == [
        'version "1" → "2"',
        "R1.priority 40 → 10",
        "R1.active true → false",
        "new rule R3",
    ]
    assert [unit.kind for unit in found.units] == ["config"] * 4
    half = found.mix(frozenset({1, 3}))
    document = read_document("x.json", half.configs[0][1])
    assert document["rules"] == [
        {"id": "R1", "priority": 10, "active": True},
        {"id": "R2", "priority": 5},
        {"id": "R3", "priority": 1},
    ]
    assert document["version"] == "1"


@pytest.mark.parametrize(
    ("path", "a", "b"),
    [
        (
            "c.yaml",
            b"# by hand\nk: 1\nt: 2024-01-01\nm: x\n",
            b"k: 2\nt: 2024-01-02\nm: \xc3\xa9\xe6\x97\xa5\n",
        ),
        ("c.toml", b"k = 1\nt = 07:30:00\nm = 'x'\n", b"k = 2\nt = 08:30:00\nm = 'y'\n"),
        ("c.json", b'{"k": 1, "t": NaN, "m": "x"}', b'{"k": 2.5, "t": Infinity, "m": "\\u00e9"}'),
    ],
)
def test_hybrids_are_written_in_the_format_of_the_file(path, a, b):
    found = mixer({path: a}, {path: b})
    assert len(found.units) == 3
    for place in range(3):
        ((name, data),) = found.mix(frozenset({place})).configs
        document, before, after = (read_document(name, d) for d in (data, a, b))
        changed = [key for key in before if not same_meaning(document[key], before[key])]
        assert len(changed) == 1
        assert same_meaning(document[changed[0]], after[changed[0]])


def test_the_ends_are_the_runs_to_the_byte():
    a = {"x.json": b'{ "k":1 }', "same.yaml": b"a: 1 # old\n"}
    b = {"x.json": b'{"k":  2}', "same.yaml": b"a: 1.0 # new\n", "new.json": b"{}"}
    found = mixer(a, b)
    assert labels(found) == ["new added", "k 1 → 2"]
    assert dict(found.mix(frozenset()).configs) == a
    assert dict(found.mix(frozenset({0, 1})).configs) == b
    assert dict(found.mix(frozenset({1})).configs) == {"x.json": b["x.json"], "same.yaml": a["same.yaml"]}


def test_texts_and_bytes_are_taken_over_whole():
    a = {"prompt.txt": b"one\ntwo\n", "m.bin": b"\0\1", "bad.json": b"{"}
    b = {"prompt.txt": b"one\nthree\n", "m.bin": b"\0\2", "bad.json": b"{]"}
    found = mixer(a, b)
    assert len(found.units) == 3
    for place in range(3):
        mixed = dict(found.mix(frozenset({place})).configs)
        assert sum(mixed[name] == b[name] for name in a) == 1
        assert sum(mixed[name] == a[name] for name in a) == 2


def test_files_that_come_go_or_are_renamed():
    a = {
        "a.json": as_json({"k": 1, "long": "enough to be known again"}),
        "gone.json": b'{"g": 1}',
        "z.json": b"{}",
    }
    b = {"b.json": a["a.json"], "new.json": b'{"n": 1}', "z.json": b"{}"}
    found = mixer(a, b)
    kinds = {unit.label: place for place, unit in enumerate(found.units)}
    assert set(kinds) == {"a.json renamed to b.json", "gone removed", "new added"}
    assert [n for n, _ in found.mix(frozenset({kinds["new added"]})).configs] == [
        "a.json",
        "new.json",
        "gone.json",
        "z.json",
    ]
    assert [n for n, _ in found.mix(frozenset({kinds["a.json renamed to b.json"]})).configs] == [
        "b.json",
        "gone.json",
        "z.json",
    ]
    assert [n for n, _ in found.mix(frozenset({kinds["gone removed"]})).configs] == ["a.json", "z.json"]


def test_the_order_of_files_is_a_change_since_later_files_win():
    one, two = as_json({"k": 1}), as_json({"k": 2})
    found = mixer({"a.json": one, "b.json": two}, {"b.json": two, "a.json": one})
    assert [unit.kind for unit in found.units] == ["order"]
    assert [name for name, _ in found.mix(frozenset({0})).configs] == ["b.json", "a.json"]


def test_set_values_seed_and_arguments_are_units():
    a = Inputs(overrides={"k": 1, "gone": "x", "same": 1}, seed=1, command=("python", "t.py", "--depth", "3"))
    b = Inputs(
        overrides={"k": 2, "same": 1.0, "new": [1]}, seed=None, command=("python", "t.py", "--depth", "5")
    )
    found = Mixer(a, b)
    assert labels(found) == [
        "--set k 1 → 2",
        '--set gone "x" → not set',
        "--set new not set → [1]",
        "seed 1 → none",
        "--depth 3 → 5",
    ]
    assert found.mix(frozenset({0, 1})).overrides == {"k": 2, "same": 1}
    assert found.mix(frozenset({3})) == Inputs(overrides=a.overrides, seed=None, command=a.command)
    assert found.mix(frozenset({4})).command == b.command
    longer = Mixer(Inputs(command=("a",)), Inputs(command=("a", "b")))
    assert len(longer.units) == 1
    assert longer.mix(frozenset({0})).command == ("a", "b")


def test_labels_that_two_files_share_name_the_file():
    a = {"one.json": as_json({"k": 1}), "two.json": as_json({"k": 1})}
    b = {"one.json": as_json({"k": 2}), "two.json": as_json({"k": 2})}
    assert labels(mixer(a, b)) == ["one.json: k 1 → 2", "two.json: k 1 → 2"]


def test_a_hybrid_that_would_not_be_read_as_it_was_written_is_refused():
    # A key that is a date can be read from YAML, and has no place in JSON when the file is renamed.
    document = b"2024-01-01: 1\nb: 1\nlong: enough to be known again\nother: text\n"
    a, b = {"c.yaml": document}, {"c.yaml": document.replace(b"b: 1", b"b: 2").replace(b": text", b": words")}
    found = mixer(a, b)
    assert found.mix(frozenset({0})).configs[0][0] == "c.yaml"
    with pytest.raises(InvalidConfig):
        _written("c.json", read_document("c.yaml", document))


def test_digests_tell_inputs_apart():
    base = Inputs(configs=(("a.json", b"{}"),), overrides={"k": 1}, seed=1)
    others = [
        Inputs(configs=(("a.json", b"{ }"),), overrides={"k": 1}, seed=1),
        Inputs(configs=(("b.json", b"{}"),), overrides={"k": 1}, seed=1),
        Inputs(configs=(("a.json", b"{}"),), overrides={"k": 2}, seed=1),
        Inputs(configs=(("a.json", b"{}"),), overrides={"k": 1}, seed=2),
        Inputs(configs=(("a.json", b"{}"),), overrides={"k": 1}, seed=1, command=("x",)),
    ]
    digests = {inputs.digest("x") for inputs in [base, *others]} | {base.digest("y")}
    assert len(digests) == 7
    assert base.digest("x") == Inputs(configs=base.configs, overrides={"k": 1}, seed=1).digest("x")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text("abc", max_size=2), values, max_size=4),
    st.dictionaries(st.text("abc", max_size=2), values, max_size=4),
    st.integers(),
)
def test_any_part_can_be_written_and_is_what_the_changes_say(a, b, seed):
    found = mixer({"c.json": as_json(a)}, {"c.json": as_json(b)})
    chance = random.Random(seed)
    chosen = frozenset(place for place in range(len(found.units)) if chance.random() < 0.5)
    names = {found.units[place].name for place in chosen}
    changes = [
        change for change in diff_documents(a, b, file="c.json", root_name="c") if change.unit in names
    ]
    half = found.mix(chosen)
    assert same_meaning(read_document("c.json", half.configs[0][1]), apply_changes(a, changes))
