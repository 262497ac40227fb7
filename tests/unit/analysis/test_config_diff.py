"""What changed between configurations, by meaning."""

import json
import math
import random
import subprocess
import sys
import time
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.analysis.config_diff import (
    apply_changes,
    diff_configs,
    diff_documents,
    explain,
    parse_config,
    same_meaning,
    summary_line,
)
from corrida.analysis.config_documents import fingerprint
from corrida.analysis.list_alignment import align, longest_increasing
from corrida.analysis.nouns import noun
from corrida.errors import InvalidConfig


def as_bytes(value):
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def compare(a, b, name="rules.json", **options):
    """Compare two versions of one file."""
    return diff_configs({name: as_bytes(a)}, {name: as_bytes(b)}, **options).files[0]


def line(a, b, name="rules.json"):
    return summary_line(compare(a, b, name))


def rules(*ids, **extra):
    return {"rules": [{"id": name, "priority": 1} for name in ids], **extra}


# --- the summary -------------------------------------------------------------------------------------------


def test_one_rule_more_under_a_new_version():
    a, b = rules("R1", version="1.1"), rules("R1", "R53", version="1.2")
    assert line(a, b, "matching_rules_business.json") == "matching_rules_business: 1.1 → 1.2 (+1 rule R53)"


def test_the_whole_story_in_one_line():
    a, b = (
        rules("R1", "R2", "R3", "R4", "R7", version="1.1"),
        rules("R4", "R3", "R2", "R1", "R7", "R53", version="1.2"),
    )
    a["rules"][4]["threshold"], b["rules"][4]["threshold"] = 0.6, 0.7
    file = compare(a, b, "config/matching_rules_business.json")
    assert summary_line(file) == (
        "config/matching_rules_business: 1.1 → 1.2 (+1 rule R53; R7.threshold 0.6 → 0.7; order of 3 rules changed)"
    )
    assert [change.path for change in file.changes] == [
        "rules[R7].threshold",
        "rules[R53]",
        "rules",
        "version",
    ]
    assert file.changes[0].unit == "config/matching_rules_business.json#rules[R7].threshold"
    assert file.changes[1].unit == "config/matching_rules_business.json#rules[R53]"


def test_content_that_changed_under_one_version_is_flagged():
    file = compare(rules("R1", version="1.2"), rules("R1", "R2", version="1.2"))
    assert file.flags == ("content_changed_same_version",)
    assert summary_line(file) == "rules: 1.2, content changed under the same version (+1 rule R2)"


def test_a_version_that_moved_over_one_content_is_flagged():
    file = compare(rules("R1", version="1.1"), rules("R1", version="1.2"))
    assert file.flags == ("version_changed_same_content",)
    assert summary_line(file) == "rules: 1.1 → 1.2, version changed, same content"


def test_a_version_given_for_the_first_time_is_no_move():
    file = compare({"t": 1}, {"t": 1, "version": 3})
    assert (file.version_a, file.version_b, file.flags) == (None, "3", ())
    assert summary_line(file) == "rules: no version → 3"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda v: {"_version": v},
        lambda v: {"version_": v},
        lambda v: {"metadata": {"version": v}},
        lambda v: {"meta": {"version": v}},
    ],
)
def test_versions_are_found_where_people_put_them(wrap):
    file = compare({**wrap(1.1), "t": 1}, {**wrap(1.2), "t": 2})
    assert summary_line(file) == "rules: 1.1 → 1.2 (t 1 → 2)"


def test_a_version_that_only_changed_its_type_is_a_change_of_content():
    assert compare({"version": 1}, {"version": "1"}).changes[0].after == "1"


def test_a_description_is_no_rule():
    a = {"rules": {"R1": {"p": 1}}, "version": "1"}
    b = {"rules": {"R1": {"p": 1}, "description": "All rules", "_meta": {"by": "x"}}, "version": "2"}
    assert line(a, b) == 'rules: 1 → 2 (+ rules.description "All rules"; + rules._meta {"by": "x"})'


def test_entries_of_a_dict_are_units():
    a = {"reglas": {"R1": {"p": 1}, "R2": {"p": 2}}}
    b = {"reglas": {"R1": {"p": 1}, "R2": {"p": 3}, "R53": {"p": 9}}}
    file = compare(a, b, "negocio.json")
    assert summary_line(file) == "negocio: +1 regla R53; R2.p 2 → 3"
    assert [change.unit for change in file.changes] == [
        "negocio.json#reglas[R2].p",
        "negocio.json#reglas[R53]",
    ]


def test_sections_are_not_entries():
    assert (
        line({"model": {"a": {"x": 1}}}, {"model": {"a": {"x": 1}, "b": {"y": 1}}})
        == 'rules: + model.b {"y": 1}'
    )


def test_long_lists_are_abbreviated_in_the_line_and_complete_in_the_structure():
    a, b = {f"k{i}": i for i in range(10)}, {f"k{i}": i + 1 for i in range(10)}
    file = compare(a, b)
    assert summary_line(file).endswith("k4 4 → 5; … and 5 more")
    assert len(file.changes) == 10
    assert len(explain(file)) == 11


def test_one_edit_in_many_rules_is_told_once():
    a, b = rules(*"ABCDE"), rules(*"ABCDE")
    for rule in b["rules"][:4]:
        rule["priority"] = 2
    assert line(a, b) == "rules: priority 1 → 2 in 4 rules"


def test_many_new_rules_are_counted_and_the_first_named():
    assert line(rules("A"), rules("A", *"BCDEFG")) == "rules: +6 rules B, C, D, E, F and 1 more"


def test_a_long_value_loses_its_middle_in_text_only():
    file = compare({"t": "a" * 100}, {"t": "b" * 100})
    assert summary_line(file) == f'rules: t "{"a" * 19}…{"a" * 18}" → "{"b" * 19}…{"b" * 18}"'
    assert file.changes[0].after == "b" * 100


def test_labels_that_would_be_ambiguous_are_written_in_full():
    a = {"rules": [{"id": "X", "t": 1}], "exceptions": [{"id": "X", "t": 1}]}
    b = {"rules": [{"id": "X", "t": 2}], "exceptions": [{"id": "X", "t": 3}]}
    assert line(a, b) == "rules: rules[X].t 1 → 2; exceptions[X].t 1 → 3"


def test_a_collection_inside_a_rule_names_the_rule():
    a, b = rules("R1"), rules("R1")
    a["rules"][0]["exceptions"] = [{"id": "E1"}]
    b["rules"][0]["exceptions"] = [{"id": "E2", "x": 1}, {"id": "E1"}]
    assert line(a, b) == "rules: R1: +1 exception E2"


def test_a_list_as_the_whole_document_is_named_after_the_file():
    assert (
        line([{"id": 1}], [{"id": 1}, {"id": 2}], "config/categories.json")
        == "config/categories: +1 category 2"
    )
    assert line([{"id": 1}], [{"id": 1}, {"id": 2}], "x.json") == "x: +1 entry 2"


def test_the_explanation_shows_what_the_line_cannot():
    a, b = rules("R1", "R2", "R12", version=1), rules("R2", "R1", "R12", "R53", version=2)
    a["rules"][2]["condition"] = {"title_contains_any": ["waiter", "bar"]}
    b["rules"][2]["condition"] = {"title_contains_any": ["bar", "barista"]}
    assert explain(compare(a, b)) == [
        "rules: 1 → 2",
        '  R12.condition.title_contains_any: + "barista", \N{MINUS SIGN} "waiter"',
        '  + rule R53: {"id": "R53", "priority": 1}',
        "  order of 1 rule changed: now R2, R1, R12",
    ]


def test_unicode_keys_and_values_stay_readable():
    a = {"versión": "1", "规则s": [1], "reglas": [{"nombre": "Añadir", "título": "camarero"}]}
    b = {"versión": "1", "规则s": [1], "reglas": [{"nombre": "Añadir", "título": "服务员"}]}
    assert line(a, b) == 'rules: Añadir.título "camarero" → "服务员"'
    assert line({"规则": {"一": {"x": 1}}}, {"规则": {"一": {"x": 2}}}) == "rules: 规则.一.x 1 → 2"


@pytest.mark.parametrize(
    ("name", "one", "many"),
    [
        ("rules", "rule", "rules"),
        ("reglas", "regla", "reglas"),
        ("categories", "category", "categories"),
        ("excepciones", "excepción", "excepciones"),
        ("businessRules", "rule", "rules"),
        ("BUSINESS_RULES", "rule", "rules"),
        ("reglas_negocio", "regla", "reglas"),
        ("classes", "class", "classes"),
        ("values", "value", "values"),
        ("series", "entry", "entries"),
        ("status", "entry", "entries"),
        ("", "entry", "entries"),
        ("规则", "entry", "entries"),
    ],
)
def test_nouns_come_from_the_name_of_the_collection(name, one, many):
    assert (noun(name, 1), noun(name, 2)) == (one, many)


# --- meaning -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1.0,2],"a":1e0}'),
        (b'{"a": NaN}', b'{"a":  NaN}'),
        (b"\xef\xbb\xbf{}", b"{}"),
        (b'{"a": "\\u00f1"}', '{"a": "ñ"}'.encode()),
    ],
)
def test_what_means_the_same_is_reformatted(a, b):
    file = compare(a, b)
    assert (file.status, file.changes) == ("reformatted", ())
    assert summary_line(file) == "rules: reformatted, same meaning"


@pytest.mark.parametrize(
    ("a", "b"), [(1, True), (0, False), (1, "1"), (None, False), ([], {}), (None, "null"), (1, 2)]
)
def test_what_looks_alike_and_means_something_else_is_a_change(a, b):
    assert compare({"x": a}, {"x": b}).status == "changed"
    assert compare({"x": [a]}, {"x": [b]}).status == "changed"
    assert not same_meaning({"x": [a]}, {"x": [b]})


def test_equal_bytes_are_the_same():
    file = compare(rules("R1", version="7"), rules("R1", version="7"))
    assert (file.status, file.version_a, summary_line(file)) == ("same", "7", "rules: 7, unchanged")


def test_yaml_comments_and_quotes_mean_nothing():
    file = compare(b"a: 1 # one\nb: {c: d}\n", b"b:\n  c: 'd'\na: 1.0\n", "c.yaml")
    assert (file.status, file.format) == ("reformatted", "yaml")
    assert line(b"on_error: retry\nday: 2024-01-01", b"on_error: stop\nday: 2024-01-02", "c.yml") == (
        'c: on_error "retry" → "stop"; day 2024-01-01 → 2024-01-02'
    )


def test_toml_is_read_by_meaning():
    a, b = b"version = '1'\n[m]\nt = 0.5", b"version = '2'\nm.t = 0.6"
    assert line(a, b, "c.toml") == "c: 1 → 2 (m.t 0.5 → 0.6)"


@pytest.mark.parametrize(
    ("name", "broken", "why"),
    [
        ("c.json", b'{"a": 1, "a": 2}', "'a' stands twice"),
        ("c.json", b'{"a": ', "Expecting value"),
        ("c.json", b'{"a": "\\ud800"}', "surrogates"),
        ("c.yaml", b"a: 1\na: 2\n", "'a' stands twice"),
        ("c.yaml", b"a: [1\n", "expected"),
        ("c.yaml", b"a: 2024-13-45\n", "month"),
        ("c.yaml", b"? !!set {a, b}\n: 1\n", "unhashable"),
        ("c.yaml", b"s: !!set {a, b}\n", "holds a set"),
        ("c.yaml", b"yes: 1\n", "True is used as a key"),
        ("c.yaml", b"a: 1\n---\na: 2\n", "single document"),
        ("c.yaml", b"&a [*a]\n", "deeper"),
        ("c.toml", b"a = \n", "Invalid"),
    ],
)
def test_data_that_cannot_be_read_is_compared_as_text_and_says_so(name, broken, why):
    file = compare(broken, b"", name)
    assert (file.status, file.format, file.text.lines_removed) == (
        "changed",
        "text",
        broken.count(b"\n") or 1,
    )
    assert why in " ".join(file.notes)
    assert "compared as text" in summary_line(file)
    assert any("note" in row for row in explain(file))


def test_aliases_that_unfold_for_ever_are_not_unfolded():
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += b"".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n".encode() for i in range(1, 9))
    assert "values" in compare(bomb, bomb + b"z: 1\n", "c.yaml").notes[0]


def test_merged_yaml_keys_are_not_repeated_keys():
    file = compare(b"d: &d {t: 1}\nx:\n  <<: *d\n  t: 2\n", b"d: &d {t: 1}\nx:\n  <<: *d\n  t: 3\n", "c.yaml")
    assert summary_line(file) == "c: x.t 2 → 3"


def test_text_is_compared_by_lines():
    file = compare(b"a\nb\nc\n", b"a\nB\nc\nd\n", "vocabulary.txt")
    assert summary_line(file) == "vocabulary.txt: +2 \N{MINUS SIGN}1 lines"
    assert explain(file)[2:] == ["    @@ -1,3 +1,4 @@", "     a", "    -b", "    +B", "     c", "    +d"]
    assert apply_changes("a\nb\nc\n", file.changes) == "a\nB\nc\nd\n"
    assert compare(b"a\r\nb", b"a\nb\n", "v.txt").status == "reformatted"


def test_large_texts_are_counted():
    a, b = (b"\n".join(f"{side}{i}".encode() for i in range(3000)) for side in "ab")
    file = compare(a, b, "v.txt")
    assert (file.text.lines_added, file.text.lines_removed, file.text.unified) == (3000, 3000, ())


def test_long_text_diffs_are_cut():
    file = compare("\n".join(map(str, range(100))).encode(), b"", "v.txt")
    assert len(file.text.unified) == 40
    assert explain(file)[-1] == "    … and 61 more lines"


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a\0b"])
def test_binary_files_differ_by_bytes(data):
    file = compare(data, b"text", "weights.bin")
    assert (summary_line(file), file.format) == ("weights.bin: bytes differ", "binary")
    assert apply_changes(data, file.changes) == b"text"


@pytest.mark.parametrize("name", ["deep.json", "deep.yaml", "deep.toml"])
@pytest.mark.parametrize("levels", [99, 150, 1000, 100_000])
def test_deep_nesting_is_never_an_error(name, levels):
    if name == "deep.yaml" and levels == 100_000:
        levels = 20_000  # the flat scanner of YAML is slow on one long line
    prefix = "x = " if name == "deep.toml" else ""
    a, b = ((prefix + "[" * levels + inner + "]" * levels).encode() for inner in ("1", "2"))
    file = compare(a, b, name)
    assert file.status == "changed"
    assert summary_line(file)
    assert msgspec.json.encode(file)


def test_meaning_is_compared_at_any_depth():
    def nest(value):
        for _ in range(5000):
            value = [value]
        return value

    assert same_meaning(nest(1), nest(1.0))
    assert not same_meaning(nest(1), nest(2))


# --- files -------------------------------------------------------------------------------------------------


def test_files_of_one_side():
    found = diff_configs({"a.json": as_bytes(rules("R1", version=1))}, {"b.yaml": b"x: 1"}).files
    assert [summary_line(file) for file in found] == ["a: removed, version 1, 1 rule", "b: added"]
    assert [(file.path_a, file.changes) for file in found] == [("a.json", ()), (None, ())]


def test_files_of_one_content_were_renamed():
    file = diff_configs({"a.json": b'{"x": 1, "y": 2}'}, {"b/c.yaml": b"y: 2.0\nx: 1"}).files[0]
    assert (file.status, file.path_a, summary_line(file)) == (
        "renamed",
        "a.json",
        "a → b/c: renamed, same content",
    )


def test_files_that_moved_and_changed_a_little_are_one_file():
    a, b = rules("A", "B", "C", version=1), rules("A", "B", "C", "D", version=2)
    file = diff_configs({"rules_v1.json": as_bytes(a)}, {"rules_v2.json": as_bytes(b)}).files[0]
    assert summary_line(file) == "rules_v1 → rules_v2: 1 → 2 (+1 rule D)"
    moved = diff_configs({"conf/t.json": b'{"a": 1}'}, {"config/t.json": b'{"a": 2}'}).files[0]
    assert summary_line(moved) == "conf/t → config/t: a 1 → 2"


def test_files_are_not_paired_when_two_would_do():
    same = b'{"x": 1}'
    found = diff_configs({"a.json": same}, {"b.json": same, "c.json": same}).files
    assert [file.status for file in found] == ["removed", "added", "added"]
    assert diff_configs({"a.json": b"{}"}, {"b.json": b"{}"}).files[0].status == "removed"


def test_only_differing_files_are_listed_as_differing():
    found = diff_configs({"a.json": b"1", "b.json": b"1"}, {"a.json": b"1.0", "b.json": b"2"})
    assert [file.path for file in found.differing] == ["b.json"]


def test_the_structure_can_be_written_as_json():
    a = {
        "x.toml": b"d = 2024-01-01\nt = 10:00:00\nn = nan",
        "b.bin": b"\xff",
        "r.json": as_bytes(rules("A", "B")),
    }
    b = {
        "x.toml": b"d = 2024-01-02\nt = 11:00:00\nn = 1",
        "b.bin": b"\xfe",
        "r.json": as_bytes(rules("B", "A")),
    }
    assert (
        json.loads(msgspec.json.encode(diff_configs(a, b)))["files"][1]["changes"][0]["kind"] == "reordered"
    )
    assert msgspec.to_builtins(diff_configs(a, b))


def test_the_module_imports_without_polars_and_yaml():
    code = "import sys, corrida.analysis.config_diff; sys.exit(bool({'polars', 'yaml'} & set(sys.modules)))"
    env = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=env).returncode == 0


# --- lists -------------------------------------------------------------------------------------------------


def test_keys_that_do_not_tell_elements_apart_give_way():
    a = [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]
    assert align(a, a).key == "name"
    assert align([{"id": 1}, {"name": "x"}], a).key == ""
    assert align([{"id": True}], [{"id": True}]).key == ""
    assert align([{"id": 7}, {"id": "7"}], []).key == ""
    assert align([{"slug": "a"}], [{"slug": "a"}], ["slug"]).key == "slug"
    assert align([{"id": 1, "name": "x"}], [{"id": 9, "name": "x"}]).key == "name"


def test_the_key_of_lists_can_be_chosen():
    a, b = [{"slug": "a", "t": 1}, {"slug": "b", "t": 1}], [{"slug": "b", "t": 1}, {"slug": "a", "t": 2}]
    file = compare({"rules": a}, {"rules": b}, keys=["slug"])
    assert summary_line(file) == "rules: a.t 1 → 2; order of 1 rule changed"


def test_a_rule_with_a_new_key_and_the_old_content_was_renamed():
    a = {"rules": [{"id": "R1", "t": 1}, {"id": "R2", "t": 2}]}
    b = {"rules": [{"id": "R1", "t": 1}, {"id": "R9", "t": 2.0}]}
    file = compare(a, b)
    assert summary_line(file) == "rules: rule R2 renamed to R9"
    assert apply_changes(a, file.changes) == b
    a, b = {"rules": {"R1": {"t": 1}}}, {"rules": {"R2": {"t": 1}}}
    assert line(a, b) == "rules: rule R1 renamed to R2"
    assert apply_changes(a, compare(a, b).changes) == b


def test_two_elements_of_one_content_are_not_guessed_at():
    a, b = [{"id": 1, "t": 0}, {"id": 9, "t": 1}], [{"id": 9, "t": 1}, {"id": 2, "t": 0}, {"id": 3, "t": 0}]
    assert sorted(change.kind for change in compare(a, b).changes) == ["added", "added", "removed"]
    assert [change.kind for change in compare({"a": 1}, {"b": 1}).changes] == ["removed", "added"]


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        (["x", "y"], ["y", "x"], "order changed"),
        (["x"], ["x", "y"], '+ "y"'),
        (["x", "y"], ["x"], '\N{MINUS SIGN} "y"'),
        (["x", "y", "x"], ["y", "x"], '\N{MINUS SIGN} "x"'),
        (["x", "y"], ["z", "y", "x"], '+ "z", order changed'),
        ([], list("abcdef"), '+ "a", + "b", + "c", + "d", + 2 more'),
        ([1, 2], [1, "2"], '+ "2", \N{MINUS SIGN} 2'),
        ([10, 20, 30], [20, 30, 40], "+ 40, \N{MINUS SIGN} 10"),
    ],
)
def test_lists_of_words_are_sets_with_an_order(a, b, text):
    assert line({"words": a}, {"words": b}) == f"rules: words: {text}"
    assert len({change.unit for change in compare({"words": a}, {"words": b}).changes}) == 1


def test_vectors_are_read_by_position():
    assert line({"weights": [0.1, 0.2, 0.7]}, {"weights": [0.1, 0.3, 0.6]}) == (
        "rules: weights[1] 0.2 → 0.3; weights[2] 0.7 → 0.6"
    )


def test_objects_without_a_key_are_matched_by_likeness():
    a = {"steps": [{"op": "lower"}, {"op": "stem", "lang": "es", "n": 1}, {"op": "cut", "at": 4}]}
    b = {"steps": [{"op": "strip", "chars": "."}, {"op": "lower"}, {"op": "stem", "lang": "es", "n": 2}]}
    file = compare(a, b)
    assert [(change.path, change.kind) for change in file.changes] == [
        ("steps[2]", "removed"),
        ("steps[1].n", "changed"),
        ("steps[0]", "added"),
    ]
    assert summary_line(file) == "rules: +1 step; \N{MINUS SIGN}1 step; steps[1].n 1 → 2"
    assert apply_changes(a, file.changes) == b


def test_keys_with_strange_letters_keep_paths_unambiguous():
    a, b = {"a": {"b": 1}, "a.b": 1, "": 1, "x y": 1}, {"a": {"b": 2}, "a.b": 2, "": 2, "x y": 2}
    assert [change.path for change in diff_documents(a, b)] == ["a.b", '"a.b"', '""', "x y"]
    assert diff_documents([{"id": "a]b"}], [])[0].path == '["a]b"]'


@given(st.lists(st.integers(0, 9), max_size=7))
def test_the_longest_run_in_order_is_the_longest(values):
    found = longest_increasing(values)
    picked = [values[index] for index in found]
    assert found == sorted(set(found))
    assert picked == sorted(set(picked))
    best = max(
        sum(mask >> i & 1 for i in range(len(values)))
        for mask in range(1 << len(values))
        if (kept := [v for i, v in enumerate(values) if mask >> i & 1]) == sorted(set(kept))
    )
    assert len(found) == best


def test_as_few_elements_as_possible_are_said_to_have_moved():
    for order in permutations("ABCDE"):
        moved = align([{"id": x} for x in "ABCDE"], [{"id": x} for x in order]).moved
        positions = ["ABCDE".index(x) for x in order]
        assert len(moved) == 5 - len(longest_increasing(positions))


# --- applying changes --------------------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(-2, 2, width=16)
    | st.just(math.nan)
    | st.text('añ项.["', max_size=2)
)
KEYS = st.sampled_from(["id", "name", "rules", "R1", "R2", "a.b", "", "ñ", "version", "description"])
RULES = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["R1", "R2", "R3", "R4", 5, 6])},
        optional={"t": SCALARS, "w": st.lists(st.sampled_from("abc"), max_size=4)},
    ),
    unique_by=lambda rule: rule["id"],
    max_size=6,
)
DOCUMENTS = st.recursive(
    SCALARS | RULES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(DOCUMENTS, DOCUMENTS)
def test_all_changes_lead_from_a_to_b_and_none_leave_a(a, b):
    before = json.dumps(a)
    changes = diff_documents(a, b)
    assert same_meaning(apply_changes(a, changes), b)
    assert same_meaning(apply_changes(a, reversed(changes)), b)
    assert same_meaning(apply_changes(a, []), a)
    assert json.dumps(a) == before
    assert bool(changes) != same_meaning(a, b)


@given(RULES, RULES)
def test_all_changes_lead_from_rules_to_rules_in_order(a, b):
    a, b = {"rules": a, "version": 1}, {"rules": b, "version": 2}
    file = compare(a, b)
    assert same_meaning(apply_changes(a, file.changes), b)
    assert summary_line(file)
    assert (
        len(explain(file)) > len(file.content_changes) > 0 or file.flags or any(c.words for c in file.changes)
    )
    assert msgspec.json.encode(file)


@given(DOCUMENTS, DOCUMENTS, st.randoms(use_true_random=False))
def test_any_choice_of_changes_can_be_applied_and_leads_on_to_b(a, b, chance):
    changes = diff_documents(a, b)
    hybrid = apply_changes(a, [change for change in changes if chance.random() < 0.5])
    assert same_meaning(apply_changes(hybrid, diff_documents(hybrid, b)), b)


@given(RULES, RULES, st.randoms(use_true_random=False))
def test_a_hybrid_has_the_rules_that_were_chosen(a, b, chance):
    changes = diff_documents(a, b)
    chosen = [change for change in changes if chance.random() < 0.5]
    found = [rule["id"] for rule in apply_changes(a, chosen)]
    expected = {rule["id"] for rule in a}
    for change in chosen:
        if change.collection is None or change.words:
            continue
        if change.kind in {"removed", "renamed"}:
            expected.remove(change.before["id"] if change.kind == "removed" else change.before)
        if change.kind in {"added", "renamed"}:
            expected.add(change.after["id"] if change.kind == "added" else change.after)
    assert len(found) == len(expected)
    assert set(found) == expected


@given(DOCUMENTS, DOCUMENTS)
def test_equal_fingerprints_and_equal_meaning_are_one(a, b):
    assert (fingerprint(a) == fingerprint(b)) == same_meaning(a, b)
    assert fingerprint(a) == fingerprint(json.loads(json.dumps(a)))


@given(DOCUMENTS)
def test_a_document_that_was_written_anew_did_not_change(document):
    assert diff_documents(document, json.loads(json.dumps(document, indent=1, sort_keys=True))) == []


@given(
    st.binary(max_size=60), st.binary(max_size=60), st.sampled_from(["a.json", "a.yaml", "a.toml", "a.txt"])
)
def test_no_bytes_are_an_error(a, b, name):
    file = compare(a, b, name)
    assert summary_line(file)
    assert explain(file)
    assert (file.status == "same") == (a == b)


def test_units_can_be_taken_one_by_one():
    a = rules("R1", "R2", "R3")
    b = rules("R9", "R3", "R1", "R10")
    a["rules"][0]["t"], b["rules"][2]["t"] = 1, 2
    b["rules"][0]["priority"], b["rules"][3]["priority"] = 3, 4
    by_unit = {change.unit: change for change in diff_documents(a, b, file="f")}

    def ids(*units):
        hybrid = apply_changes(a, [by_unit[f"f#{unit}"] for unit in units])
        return [rule["id"] for rule in hybrid["rules"]]

    assert ids("rules[R9]") == ["R9", "R1", "R2", "R3"]
    assert ids("rules[R10]") == ["R1", "R10", "R2", "R3"]
    assert ids("rules (order)") == ["R3", "R1", "R2"]
    assert ids("rules[R2]", "rules[R9]") == ["R9", "R1", "R3"]
    assert ids(*(unit[2:] for unit in by_unit)) == ["R9", "R3", "R1", "R10"]


def test_changes_of_another_document_are_refused():
    changes = diff_documents({"a": {"b": 1}, "l": [1, 2]}, {"a": {"b": 2}, "l": [1]})
    for other in ({}, {"a": 1, "l": [1, 2]}, {"a": {"b": 1}, "l": []}, [], None):
        with pytest.raises(InvalidConfig):
            apply_changes(other, changes)


def test_parsing_tells_what_it_read():
    assert parse_config("A.JSON", b"[1]").document == [1]
    assert parse_config("a.yml", b"").document is None
    assert parse_config("a", b"x").format == "text"


# --- speed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["id", "slug"])
def test_five_thousand_rules_are_quick(key):
    chance = random.Random(1)
    a = [
        {key: f"R{i}", **{f"f{k}": chance.random() if k % 3 else ["a", str(k)] for k in range(19)}}
        for i in range(5000)
    ]
    b = json.loads(json.dumps(a))
    for rule in b[::50]:
        rule["f1"] = 9
    chance.shuffle(b)
    start = time.process_time()
    file = compare({"rules": a}, {"rules": b[3:]})
    # Measured at a tenth of this; the margin is for slow machines.
    assert time.process_time() - start < 8
    assert sum(change.kind == "changed" for change in file.changes) in range(96, 101)


@pytest.mark.parametrize(
    "make", [lambda i: {"x": i}, lambda i: [i], lambda i: i % 2, lambda i: {"id": i % 3}]
)
def test_long_lists_of_any_kind_end_in_time(make):
    start = time.process_time()
    a, b = [make(i) for i in range(4000)], [make(i * 7 % 5003) for i in range(4100)]
    assert same_meaning(apply_changes(a, diff_documents(a, b)), b)
    assert time.process_time() - start < 8
