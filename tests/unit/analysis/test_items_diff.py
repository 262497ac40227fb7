"""Which items flipped."""

import subprocess
import sys
from collections import Counter

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.analysis.items_diff import diff_items
from corrida.errors import InvalidData


def frame(**columns):
    return pl.DataFrame(columns, strict=False)


def kinds(diff):
    return dict(diff.differing.select("item_id", "kind").iter_rows())


def test_flips_are_found_by_expected_answers():
    a = frame(item_id=["a", "b", "c", "d"], output=["1", "2", "3", "9"], expected=["1", "3", "3", "4"])
    b = frame(item_id=["a", "b", "c", "d"], output=["2", "3", "3", "8"], expected=["1", "3", "3", "4"])
    diff = diff_items(a, b)
    assert kinds(diff) == {"a": "broken", "b": "fixed", "d": "changed"}
    counts = diff.counts
    assert (counts.shared, counts.fixed, counts.broken, counts.changed, counts.same) == (4, 1, 1, 1, 1)


def test_broken_come_first_then_fixed_then_changed_in_the_order_of_a():
    ids = ["z", "y", "x", "w", "v", "u"]
    a = frame(item_id=ids, output=list("123456"), correct=[False, True, None, True, False, None])
    b = frame(item_id=ids[::-1], output=list("fedcba"), correct=[None, True, False, None, False, True])
    diff = diff_items(a, b)
    assert diff.differing.select("item_id", "kind").rows() == [
        ("y", "broken"),
        ("w", "broken"),
        ("z", "fixed"),
        ("v", "fixed"),
        ("x", "changed"),
        ("u", "changed"),
    ]


def test_items_of_one_run_only_are_counted_apart_and_named_in_order():
    diff = diff_items(
        frame(item_id=["p", "a", "o"], output=["1", "1", "1"]),
        frame(item_id=["n", "a", "m"], output=["2", "1", "2"]),
    )
    assert (diff.counts.shared, diff.counts.only_a, diff.counts.only_b) == (1, 2, 2)
    assert diff.only_a.to_list() == ["p", "o"]
    assert diff.only_b.to_list() == ["n", "m"]
    assert diff.differing.is_empty()


def test_a_changed_gold_answer_is_not_a_flip():
    a = frame(item_id=["a", "b"], output=["1", "1"], expected=["1", "1"])
    b = frame(item_id=["a", "b"], output=["1", "2"], expected=["2", "1"])
    diff = diff_items(a, b)
    assert diff.counts.expected_changed == 1
    assert diff.counts.broken == 1
    assert diff.expected_changed.row(0, named=True) == {
        "item_id": "a",
        "expected_a": "1",
        "expected_b": "2",
        "output_a": "1",
        "output_b": "1",
    }
    assert kinds(diff) == {"b": "broken"}


def test_gold_in_one_run_only_is_no_change_of_gold():
    a = frame(item_id=["a"], output=["1"])
    b = frame(item_id=["a"], output=["2"], expected=["2"])
    diff = diff_items(a, b)
    assert (diff.counts.changed, diff.counts.expected_changed, diff.counts.unknown_correctness) == (1, 0, 1)
    assert diff.differing["expected"].to_list() == ["2"]


def test_abstaining_is_an_answer():
    a = frame(item_id=["a", "b", "c"], output=["1", None, None], expected=["1", "2", "3"])
    b = frame(item_id=["a", "b", "c"], output=[None, "2", None], expected=["1", "2", "3"])
    diff = diff_items(a, b)
    assert kinds(diff) == {"a": "broken", "b": "fixed"}
    assert diff.counts.same == 1


def test_without_gold_a_new_output_is_a_change_and_nothing_more():
    diff = diff_items(
        frame(item_id=["a", "b"], output=["1", "1"], expected=[None, None]),
        frame(item_id=["a", "b"], output=["1", "2"], expected=[None, None]),
    )
    assert kinds(diff) == {"b": "changed"}
    assert diff.counts.unknown_correctness == 2


def test_correct_is_believed_over_expected():
    a = frame(item_id=["a"], output=["CASHIER"], expected=["cashier"], correct=[True])
    b = frame(item_id=["a"], output=["waiter"], expected=["cashier"], correct=[False])
    assert kinds(diff_items(a, b)) == {"a": "broken"}


def test_a_column_correct_without_values_says_nothing():
    a = frame(item_id=["a"], output=["1"], expected=["1"], correct=[None])
    b = frame(item_id=["a"], output=["2"], expected=["1"], correct=[None])
    assert kinds(diff_items(a, b)) == {"a": "broken"}


@pytest.mark.parametrize("values", [[1, 0], [1.0, 0.0], ["True", "false"], ["1", "0"]])
def test_correct_may_be_spelt_otherwise(values):
    a = frame(item_id=["a", "b"], correct=values)
    b = frame(item_id=["a", "b"], correct=[False, True])
    assert kinds(diff_items(a, b)) == {"a": "broken", "b": "fixed"}


@pytest.mark.parametrize("values", [["perhaps"], [2], [0.5], [[True]]])
def test_correct_that_is_no_truth_value_is_refused(values):
    with pytest.raises(InvalidData, match="correct"):
        diff_items(frame(item_id=["a"], correct=values), frame(item_id=["a"], correct=[True]))


def test_runs_that_share_no_column_are_said_not_to_be_comparable():
    diff = diff_items(frame(item_id=["a"], score=[0.1]), frame(item_id=["a"], output=["1"]))
    assert (diff.counts.not_comparable, diff.counts.same) == (1, 0)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ([1], [1.0], True),
        ([1], ["1"], True),
        ([1], ["1.0"], True),
        ([1], ["one"], False),
        ([0.5], ["0.5"], True),
        ([2**53 + 1], [float(2**53)], False),
        ([2**60 + 1], [str(2**60)], False),
        ([2**60 + 1], [str(2**60 + 1)], True),
        ([True], ["True"], True),
        ([float("nan")], [float("nan")], True),
        ([None], ["x"], False),
        ([None], [None], True),
        ([["a"]], [["a"]], True),
        ([["a"]], ["a"], False),
        ([True], [3], False),
    ],
)
def test_outputs_of_two_types_compare_by_value(left, right, equal):
    a, b = frame(item_id=["i"], output=left), frame(item_id=["i"], output=right)
    assert diff_items(a, b).counts.changed == (not equal)
    assert diff_items(b, a).counts.changed == (not equal)


def test_categories_compare_as_the_text_they_stand_for():
    a = frame(item_id=["a", "b"], output=["x", "y"]).with_columns(pl.col("output").cast(pl.Categorical))
    b = frame(item_id=["a", "b"], output=["x", "z"])
    assert kinds(diff_items(a, b)) == {"b": "changed"}


@pytest.mark.parametrize("ids", [[7, 8], [7.0, 8.0], ["7", "8"]])
def test_ids_of_two_types_are_one_id(ids):
    diff = diff_items(frame(item_id=ids, output=["x", "y"]), frame(item_id=["8", "7"], output=["y", "x"]))
    assert (diff.counts.shared, diff.counts.same) == (2, 2)


def test_ids_may_be_in_any_script():
    diff = diff_items(
        frame(item_id=["añil", "项目"], output=["a", "b"]), frame(item_id=["项目", "añil"], output=["c", "a"])
    )
    assert kinds(diff) == {"项目": "changed"}


def test_repeated_ids_are_named():
    with pytest.raises(InvalidData, match=r"Several items of B.*'x', 'y'"):
        diff_items(frame(item_id=["x"]), frame(item_id=["x", "y", "x", "y", "z"]))


def test_many_repeated_ids_are_abbreviated():
    with pytest.raises(InvalidData, match="and 4 more"):
        diff_items(frame(item_id=list(range(9)) * 2), frame(item_id=[1]))


def test_ids_have_to_be_there():
    with pytest.raises(InvalidData, match="no column 'item_id'"):
        diff_items(frame(id=["x"]), frame(item_id=["x"]))
    with pytest.raises(InvalidData, match="1 of 2 items of A"):
        diff_items(frame(item_id=["x", None]), frame(item_id=["x"]))
    with pytest.raises(InvalidData, match="List"):
        diff_items(frame(item_id=[["x"]]), frame(item_id=["x"]))


def test_losses_are_paired_and_gaps_are_counted():
    a = frame(item_id=list("abcde"), loss=[1.0, 2.0, None, float("nan"), 5.0], expected=list("11111"))
    b = frame(item_id=list("edcba"), loss=[9.0, 1.0, 1.0, 1.0, 0.5], expected=list("21111"))
    loss = diff_items(a, b).counts.loss
    assert (loss.items, loss.ignored) == (2, 2)
    assert loss.mean_difference == pytest.approx((0.5 - 1 + 1 - 2) / 2)
    assert loss.mean_a == pytest.approx(1.5)


def test_without_right_and_wrong_the_losses_say_which_items_are_better():
    """As of forecasts, which have a loss and no answer."""
    a = frame(item_id=list("abcdefg"), loss=[1.0, 2.0, 3.0, 4.0, None, 1.0, float("nan")])
    b = frame(item_id=list("abcdefg"), loss=[1.5, 1.0, 9.0, 4.0 + 1e-12, None, None, 1.0])
    diff = diff_items(a, b)
    counts = diff.counts
    assert (counts.better, counts.worse, counts.same, counts.not_comparable) == (1, 2, 1, 3)
    assert (counts.fixed, counts.broken, counts.changed) == (0, 0, 0)
    assert diff.differing.select("item_id", "kind", "loss_a", "loss_b").rows() == [
        ("c", "worse", 3.0, 9.0),
        ("a", "worse", 1.0, 1.5),
        ("b", "better", 2.0, 1.0),
    ]
    assert (counts.loss.better, counts.loss.worse, counts.loss.equal) == (1, 2, 1)


def test_a_loss_that_becomes_infinite_is_the_worst():
    a = frame(item_id=list("abcd"), loss=[1.0, 1.0, float("inf"), float("inf")])
    b = frame(item_id=list("abcd"), loss=[8.0, float("inf"), 1.0, float("inf")])
    assert diff_items(a, b).differing.select("item_id", "kind").rows() == [
        ("b", "worse"), ("a", "worse"), ("c", "better")
    ]  # fmt: skip
    assert diff_items(a, b).counts.same == 1


@pytest.mark.parametrize("kind", [pl.Float64, pl.String])
def test_measurements_are_near_or_far_and_never_right_or_wrong(kind):
    """A regression, whose table may keep its numbers as text."""

    def run(output, loss):
        columns = {"item_id": list("abc"), "output": output, "expected": [1.0, 2.0, 3.5], "loss": loss}
        return pl.DataFrame(columns).with_columns(pl.col("output", "expected").cast(kind))

    diff = diff_items(run([1.0, 2.5, 3.0], [0.0, 0.25, 0.25]), run([1.5, 2.4, 4.0], [0.25, 0.16, 0.25]))
    assert kinds(diff) == {"a": "worse", "b": "better", "c": "changed"}  # c: as far off, on the other side
    assert diff.counts.unknown_correctness == 3
    again = diff_items(
        run([1.0, 2.5, 3.0], [0.0, 0.25, 0.25]), run([1.0, 2.5 + 1e-13, 3.0], [0.0, 0.25, 0.25])
    )
    assert again.counts.same == 3


def test_one_run_with_whole_numbers_by_chance_is_a_regression_all_the_same():
    a = frame(item_id=["a", "b"], output=[2.0, 3.0], expected=[2.0, 4.0], loss=[0.0, 1.0])
    b = frame(item_id=["a", "b"], output=[2.5, 4.0], expected=[2.0, 4.0], loss=[0.25, 0.0])
    assert kinds(diff_items(a, b)) == {"a": "worse", "b": "better"}


@pytest.mark.parametrize(
    "answers",
    [
        {"output": ["1", "2"], "expected": ["1", "1"]},  # codes
        {"output": [1, 2], "expected": [1, 1]},
        {"output": ["x", "1.5"], "expected": ["x", "x"]},
        {"output": ["1.5", "2.5"], "expected": ["1.5", "1.5"], "correct": [True, False]},
    ],
)
def test_labels_stay_right_or_wrong_whatever_their_loss(answers):
    a = frame(item_id=["a", "b"], loss=[0.1, 3.0], **answers)
    turned = {
        name: values[::-1] if name in {"output", "correct"} else values for name, values in answers.items()
    }
    diff = diff_items(a, frame(item_id=["a", "b"], loss=[3.0, 0.1], **turned))
    assert kinds(diff) == {"a": "broken", "b": "fixed"}
    assert (diff.counts.better, diff.counts.worse) == (0, 0)
    assert (diff.counts.loss.better, diff.counts.loss.worse) == (1, 1)


def test_no_usable_loss_gives_no_mean():
    loss = diff_items(frame(item_id=["a"], loss=[None]), frame(item_id=["a"], loss=[1.0])).counts.loss
    assert (loss.items, loss.ignored, loss.mean_difference) == (0, 1, None)
    assert diff_items(frame(item_id=["a"], loss=[1.0]), frame(item_id=["a"])).counts.loss is None
    with pytest.raises(InvalidData, match="loss"):
        diff_items(frame(item_id=["a"], loss=["high"]), frame(item_id=["a"], loss=[1.0]))


def test_text_columns_that_agree_tell_what_an_item_is():
    a = frame(item_id=["a"], output=["1"], why=["x"], sector=["food"], title=["Camarero"], size=[1])
    b = frame(item_id=["a"], output=["2"], why=["y"], title=["Camarero"], note=["only b"])
    table = diff_items(a, b).differing
    assert table.columns[-3:] == ["title", "sector", "note"]
    assert "why" not in table.columns
    assert "size" not in table.columns


def test_the_columns_are_always_the_same():
    expected = ["item_id", "kind", "output_a", "output_b", "expected", "correct_a", "correct_b"]
    expected += ["score_a", "score_b", "loss_a", "loss_b"]
    for a, b in (
        (frame(item_id=["a"]), frame(item_id=["b"])),
        (frame(item_id=["a"], output=[1]), frame(item_id=["a"], output=[2])),
    ):
        assert diff_items(a, b).differing.columns == expected


def test_empty_tables_are_fine():
    empty = pl.DataFrame(schema={"item_id": pl.String, "output": pl.String})
    diff = diff_items(empty, frame(item_id=["a"], output=["1"]))
    assert (diff.counts.shared, diff.counts.only_b) == (0, 1)
    assert diff_items(empty, empty).counts.shared == 0


def test_counts_can_be_written_as_json():
    counts = diff_items(frame(item_id=["a"], loss=[1.0]), frame(item_id=["a"], loss=[2.0])).counts
    assert msgspec.json.decode(msgspec.json.encode(counts))["loss"]["mean_difference"] == 1.0


def test_the_module_imports_without_polars():
    code = "import sys, corrida.analysis.items_diff; sys.exit('polars' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}
        ).returncode
        == 0
    )


ITEMS = st.dictionaries(
    st.text("abcdefgñ项", min_size=1, max_size=2),
    st.tuples(
        st.sampled_from(["1", "2", None]),
        st.sampled_from(["1", "2", None]),
        st.sampled_from([True, False, None]),
    ),
    max_size=12,
)


def reference_kind(x, y):
    """The definition, spelt out for one item: (output, expected, correct)."""
    if x[1] != y[1]:
        return "expected_changed"
    if x[2] and y[2] is False:
        return "broken"
    if x[2] is False and y[2]:
        return "fixed"
    return "changed" if x[0] != y[0] else "same"


@given(ITEMS, ITEMS)
def test_counts_agree_with_the_definition_item_by_item(left, right):
    schema = {"item_id": pl.String, "output": pl.String, "expected": pl.String, "correct": pl.Boolean}

    def table(items):
        return pl.DataFrame([(key, *value) for key, value in items.items()], schema=schema, orient="row")

    def known(items):
        # A column of nulls says nothing, and then the gold answer decides.
        if any(value[2] is not None for value in items.values()):
            return items
        return {key: (o, e, None if e is None else o == e) for key, (o, e, _) in items.items()}

    diff = diff_items(table(left), table(right))
    a, b = known(left), known(right)
    found = Counter(reference_kind(a[key], b[key]) for key in a if key in b)
    counts = msgspec.to_builtins(diff.counts)
    for kind in ("fixed", "broken", "changed", "same", "expected_changed"):
        assert counts[kind] == found[kind]
    assert counts["shared"] == found.total()
    assert diff.only_a.to_list() == [key for key in a if key not in b]
    assert diff.only_b.to_list() == [key for key in b if key not in a]


LOSSES = st.dictionaries(
    st.text("abcñ项", min_size=1, max_size=2),
    st.tuples(
        st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32)),
        st.sampled_from(["x", "y", None]),
        st.sampled_from([True, False, None]),
    ),
    max_size=12,
)


@given(LOSSES, LOSSES)
def test_every_shared_item_is_counted_once_and_the_other_way_round_better_is_worse(left, right):
    schema = {"item_id": pl.String, "loss": pl.Float64, "output": pl.String, "correct": pl.Boolean}
    a, b = (pl.DataFrame([(k, *v) for k, v in x.items()], schema=schema, orient="row") for x in (left, right))
    there, back = diff_items(a, b), diff_items(b, a)
    counts = there.counts
    parts = (counts.fixed, counts.broken, counts.better, counts.worse, counts.changed, counts.same)
    assert sum(parts) + counts.not_comparable == counts.shared
    assert (counts.better, counts.worse) == (back.counts.worse, back.counts.better)
    moved = [
        y - x for k, x, y in there.differing.select("kind", "loss_a", "loss_b").iter_rows() if k == "worse"
    ]
    assert all(step > 0 for step in moved)
    assert moved == sorted(moved, reverse=True)


@given(ITEMS, ITEMS)
def test_the_other_way_round_fixed_is_broken(left, right):
    schema = {"item_id": pl.String, "output": pl.String, "expected": pl.String, "correct": pl.Boolean}
    a, b = (pl.DataFrame([(k, *v) for k, v in x.items()], schema=schema, orient="row") for x in (left, right))
    there, back = diff_items(a, b).counts, diff_items(b, a).counts
    assert (there.fixed, there.broken, there.changed, there.same) == (
        back.broken,
        back.fixed,
        back.changed,
        back.same,
    )
