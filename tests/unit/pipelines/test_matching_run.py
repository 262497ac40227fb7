"""What the matching pipeline decides and reports."""

from __future__ import annotations

import math
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrida.errors import InvalidConfig, InvalidData

quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def row(outcome, item_id):
    return outcome.items.row(by_predicate=pl.col("item_id") == item_id, named=True)


def test_titles_are_found_whatever_their_order_and_number(project):
    outcome, recorder = project.run()
    first = row(outcome, "a")
    assert (first["output"], first["output_title"], first["decided_by"]) == ("2421", "Accountants", "index")
    assert first["evidence"] == "Accountant, fund"
    assert first["score"] == pytest.approx(1.0)
    assert (first["correct"], first["level"], first["rule"]) == (True, "unit", None)
    lost = row(outcome, "d")
    assert (lost["output"], lost["correct"], lost["decided_by"], lost["score"]) == (
        None,
        False,
        "abstained",
        None,
    )
    assert recorder.warnings == []
    assert recorder.tables == {}
    assert outcome.dataset["items_with_expected"] == 4
    assert "3 of 4 texts coded (75.0%)" in outcome.summary


def test_metrics_come_from_the_expected_codes(project):
    project.write(
        "titles.csv",
        "id,title,industry,gold\na,cost accountant,,2422\nb,kitchen porter,,9272\nc,astronaut,,2422\nd,actuary,,\n",
    )
    metrics = project.run()[0].metrics
    assert metrics["items"] == 4
    assert metrics["decided"] == 3
    assert metrics["coverage"] == 3 / 4
    assert metrics["precision"] == 1 / 2  # d has no expected code
    assert metrics["recall"] == metrics["accuracy"] == 1 / 3
    assert metrics["f1"] == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert (metrics["precision.major"], metrics["precision.minor"], metrics["precision.unit"]) == (
        1.0,
        1.0,
        0.5,
    )
    assert metrics["precision.retrieval"] == 1 / 2
    assert "precision.rules" not in metrics
    assert "rules.fired" not in metrics


def test_without_expected_codes_metrics_are_absent_not_zero(project):
    outcome, _ = project.run(columns__expected=None)
    assert not any(name.startswith(("precision", "recall", "accuracy", "f1")) for name in outcome.metrics)
    assert outcome.items["correct"].null_count() == 4
    assert outcome.metrics["coverage"] == 3 / 4
    assert "no expected codes" in outcome.summary


def test_when_nothing_is_decided_precision_is_absent_and_recall_zero(project):
    project.write("titles.csv", "id,title,industry,gold\nd,astronaut,,2422\n")
    metrics = project.run()[0].metrics
    assert "precision" not in metrics
    assert metrics["recall"] == metrics["f1"] == 0
    assert all(math.isfinite(value) for value in metrics.values())


def test_lowest_priority_number_first_then_the_order_of_the_file(project, rule):
    project.rules = [
        rule("late", code="9271", priority=20),
        rule("one", code="9272", priority=5),
        rule("two", code="5223", priority=5),
        rule("off", code="2421", priority=1, active=False),
    ]
    outcome, recorder = project.run()
    decided = row(outcome, "b")
    assert (decided["output"], decided["rule"], decided["evidence"], decided["score"]) == (
        "9272",
        "one",
        "rule one",
        1.0,
    )
    assert decided["decided_by"] == "rule"
    table = {r["id"]: r for r in recorder.tables["rules.csv"].rows(named=True)}
    assert list(table) == ["late", "one", "two", "off"]
    assert (
        table["one"]["hits"],
        table["one"]["matches"],
        table["one"]["correct"],
        table["one"]["precision"],
    ) == (1, 1, 1, 1.0)
    assert (table["late"]["hits"], table["late"]["matches"], table["late"]["precision"]) == (0, 1, None)
    assert table["late"]["shadowed_by"] == "one (1)"
    assert table["one"]["contradicts"] == "two; late"
    assert table["off"]["hits"] is None
    assert recorder.tables["rule_conflicts.csv"].rows()[0] == (
        "one",
        "9272",
        "two",
        "5223",
        1,
        "b",
        "kitchen porter",
    )
    assert {name: outcome.metrics[f"rules.{name}"] for name in ("fired", "dead", "conflicts")} == {
        "fired": 1,
        "dead": 0,
        "conflicts": 3,
    }
    assert len(recorder.warnings) == 1
    assert "3 pairs" in recorder.warnings[0]


def test_dead_rules_are_said(project, rule):
    project.rules = [
        rule("R1"),
        rule("R2", {"title_contains_any": ["pilot"]}),
        rule("R3", {"title_contains_any": ["x"]}, active=False),
    ]
    outcome, recorder = project.run()
    assert outcome.metrics["rules.dead"] == 1
    assert recorder.warnings == ["1 active rule held for no item: R2. See rules.csv."]
    assert "rule_conflicts.csv" not in recorder.tables
    assert (outcome.metrics["precision.rules"], outcome.metrics["decided_by_rule"]) == (0.0, 1)


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"title_contains_any": ["cajero"]}, "1"),
        ({"title_contains_any": ["cajero"], "match": "substring"}, "12"),
        ({"text_contains_any": ["TÉCNICO"]}, "3"),
        ({"title_contains_all": ["banco", "cajero"]}, "1"),
        ({"tasks_contains_any": ["excel"]}, "3"),
        ({"duties_contains_any": ["excel"]}, "3"),
        ({"title_or_tasks_contains_any": ["cobra", "redes"]}, "23"),
        ({"title_or_tasks_contains_all": ["cobra", "encajero"]}, "2"),
        ({"title_or_tasks_not_contains_any": ["cobra", "redes"]}, "145"),
        ({"sector": ["Salud", "banca"]}, "1"),
        ({"sector_contains_any": ["banca"]}, "12"),
        ({"industry_contains_any": ["banca"], "title_not_contains_any": ["cajero"]}, "2"),
        ({"title_is_any": ["工程师"]}, ""),
        ({"title_contains_any": ["工程师"]}, "4"),
        ({"sector_not_contains_any": ["banca"]}, "345"),
    ],
)
def test_conditions(project, rule, condition, ids):
    project.general = {
        **project.general,
        "columns": {**project.general["columns"], "fields": {"duties": "tasks"}},
    }
    project.write(
        "titles.csv",
        "id,title,industry,gold,tasks\n1,Cajero de banco,banca,,\n2,Encajero,banca: caja,,cobra\n"
        "3,Tecnico de redes,,,Excel\n4,软件工程师,,,\n5,,,,\n",
    )
    project.rules = [rule(condition=condition)]
    items = project.run()[0].items
    assert "".join(items.filter(pl.col("decided_by") == "rule")["item_id"]) == ids


def test_codes_and_labels_of_rules_must_be_in_the_classification(project, rule):
    cases = [
        ({"code": "9279"}, r"rules\[0\] \(R1\).action.code: .* no code '9279'.*Did you mean '927"),
        ({"label": "Porterz"}, r"action.label: .* no title 'Porterz'.*Did you mean 'Porters'"),
        ({"code": "9271", "label": "Actuaries"}, r"code '9271' has the title 'Porters'"),
    ]
    for action, said in cases:
        project.rules = [rule(active=False, action=action)]
        with pytest.raises(InvalidConfig, match=said):
            project.run()
    project.rules = [rule(action={"label": "PORTERS"})]
    assert row(project.run()[0], "b")["output"] == "9271"
    project.write("classification.csv", "level,code,title\nminor,92,Same\nunit,9271,same\n")
    project.write("index.csv", "title,code,industry\na b,9271,\n")
    project.write("titles.csv", "id,title,industry,gold\na,b,,\n")
    project.rules = [rule(action={"label": "same"})]
    with pytest.raises(InvalidConfig, match="title of the codes 92, 9271"):
        project.run()


def test_a_rule_for_a_column_that_is_not_there(project, rule):
    project.rules = [rule(condition={"tittle_contains_any": ["x"]})]
    with pytest.raises(InvalidConfig, match=r"rules\[0\] \(R1\).*no column 'tittle'.*Did you mean 'title'"):
        project.run()


def test_incompatible_codes_are_filtered_or_weakened_and_recorded(project):
    project.write("titles.csv", "id,title,industry,gold\nb,kitchen porter,Hotel,9272\nc,porter,,\n")
    project.sectors = {"incompatible": [{"id": "S1", "sectors": ["hotel"], "codes": ["9272"]}]}
    filtered = row(project.run()[0], "b")
    assert filtered["output"] != "9272"
    assert filtered["incompatible"] == "9272"
    weakened = row(project.run(sectors__mode="penalise", threshold=0)[0], "b")
    assert weakened["incompatible"] == "9272"
    assert weakened["score"] < 1
    project.sectors = {
        "compatible": [{"id": "S1", "sectors": ["hotels", "hotel"], "codes": ["2", "52"], "match": "prefix"}]
    }
    outcome, _ = project.run()
    assert row(outcome, "b")["output"] is None
    assert row(outcome, "c")["incompatible"] is None
    project.sectors = {"incompatible": [{"id": "S1", "sectors": ["hotel"], "codes": ["97"]}]}
    with pytest.raises(
        InvalidConfig, match=r"config/sectors.json: incompatible\[0\] \(S1\).codes\[0\]: .*'97'"
    ):
        project.run()


def test_item_ids_choose_the_items(project):
    outcome, _ = project.run(item_ids=frozenset({"d", "b"}))
    assert outcome.items["item_id"].to_list() == ["b", "d"]
    with pytest.raises(InvalidData, match=r"titles.csv: there is no item 'bb', 'z'"):
        project.run(item_ids=frozenset({"z", "bb", "a"}))
    with pytest.raises(InvalidData, match="No item was chosen"):
        project.run(item_ids=frozenset())


def test_several_data_files(project):
    project.write("more.csv", "id,title,industry,gold\nz,actuary,,2422\n")
    assert project.outputs(files=("titles.csv", "more.csv"))["z"] == "2422"
    with pytest.raises(InvalidData, match=r"titles.csv: the id 'a' is in .*titles.csv too"):
        project.run(files=("titles.csv", "titles.csv"))
    with pytest.raises(InvalidData, match="no data file"):
        project.run(files=())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("titles.csv", "id,titel,industry,gold\n1,a,,\n", "no column 'title'.*Did you mean 'titel'"),
        ("titles.csv", "id,title,industry,gold\n1,a,,9999\n", "no code '9999', expected at line 2"),
        ("titles.csv", "id,title,industry,gold\n1,a,,\n1,b,,\n", "'1' at line 2, 3"),
        ("index.csv", "title,code,industry\na,9999,\n", "no code '9999', which stands at line 2"),
        ("index.csv", "title,code,industry\n,2421,\n", "'title' is empty at line 2"),
        ("index.csv", "title,code,industry\n-,2421,\n", "no title in column 'title'"),
        ("classification.csv", "level,code,title\nunit,1,a\nunit,1,b\n", "'1' at line 2, 3"),
        ("classification.csv", "level,code,title\n,1,a\n", "'level' is empty at line 2"),
    ],
)
def test_bad_data(project, name, content, said):
    project.write(name, content)
    with pytest.raises(InvalidData, match=rf"{name}: .*{said}"):
        project.run()


def test_levels(project):
    assert project.run(levels=["major", "minor", "unit"])[0].dataset["levels"] == ["major", "minor", "unit"]
    with pytest.raises(InvalidConfig, match=r"levels: .* no level 'units'.*Did you mean 'unit'"):
        project.run(levels=["major", "minor", "units"])
    with pytest.raises(InvalidConfig, match="name each level"):
        project.run(levels=["major", "unit"])


def test_a_classification_with_parents(project):
    table = "level,code,title,up\nsection,A,Farming,\ndivision,01,Crops,A\nsection,B,Mining,\ndivision,05,Coal,{}\n"
    project.general = {**project.general, "classification_columns": {"parent": "up"}}
    project.write("classification.csv", table.format("B"))
    project.write("index.csv", "title,code,industry\nwheat farm,01,\ncoal pit,05,\n")
    project.write("titles.csv", "id,title,industry,gold\n1,coal pit,,05\n2,wheat farm,,A\n")
    outcome, _ = project.run()
    assert outcome.dataset["levels"] == ["section", "division"]
    assert outcome.metrics["precision.section"] == 1.0
    assert outcome.metrics["precision.division"] == 1.0  # only one expected code reaches the level
    assert row(outcome, "2")["level"] == "section"
    for parent, said in (("C", "'C' of '05' is not a code"), ("05", "lies under itself")):
        project.write("classification.csv", table.format(parent))
        with pytest.raises(InvalidData, match=said):
            project.run()


def test_rules_alone_need_no_index(project, rule):
    project.general = {key: value for key, value in project.general.items() if key != "index"}
    project.rules = [rule()]
    outcome, _ = project.run()
    assert outcome.metrics["decided_by_rule"] == 1
    assert outcome.metrics["abstained"] == 3


def test_one_item_without_sector_column(project):
    project.general = {**project.general, "columns": {"id": "id", "text": "title"}, "index_columns": {}}
    project.write("titles.csv", "id,title\n1,cost accountant\n")
    outcome, _ = project.run()
    assert outcome.items["output"].to_list() == ["2421"]
    assert outcome.items["sector"].to_list() == [None]


@quick
@given(
    st.permutations(
        ["a,fund accountant,bank,2421", "b,porters,,9272", "c,boiler fitters,,5223", "d,cost actuary,,2422"]
    )
)
def test_the_order_of_items_changes_no_outcome(project, rule, lines):
    project.rules = [rule(condition={"title_contains_any": ["fitters"]}, code="5223")]
    project.write("titles.csv", "\n".join(["id,title,industry,gold", *lines]) + "\n")
    items = project.run(threshold=0.3)[0].items.sort("item_id")
    project.write("titles.csv", "\n".join(["id,title,industry,gold", *sorted(lines)]) + "\n")
    assert items.equals(project.run(threshold=0.3)[0].items)


@quick
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=5))
def test_the_rule_with_the_lower_number_wins(project, rule, priorities):
    project.rules = [rule(f"R{n}", priority=priority) for n, priority in enumerate(priorities)]
    expected = f"R{priorities.index(min(priorities))}"
    assert row(project.run()[0], "b")["rule"] == expected


@quick
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), min_size=1, max_size=6))
def test_any_text_gets_a_confidence_in_range(project, texts):
    project.write(
        "titles.csv",
        pl.DataFrame(
            {"id": [str(n) for n in range(len(texts))], "title": texts, "industry": texts, "gold": None}
        ).write_csv(),
    )
    scores = project.run(threshold=0)[0].items["score"].drop_nulls()
    assert scores.is_between(0, 1).all()


def test_items_are_readable_as_parquet(project, tmp_path):
    outcome, _ = project.run()
    outcome.items.write_parquet(tmp_path / "items.parquet")
    assert pl.read_parquet(tmp_path / "items.parquet").equals(outcome.items)
    assert set(outcome.items.dtypes) == {pl.String, pl.Boolean, pl.Float64}
    assert outcome.items["item_id"].is_unique().all()


def test_importing_the_pipeline_imports_nothing_heavy():
    code = "import sys; from corrida.pipelines.matching import pipeline; print([m for m in ('polars','bm25s','rapidfuzz','numpy','scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
