"""Every fault is one sentence with its place and its mend."""

from __future__ import annotations

import pytest

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.contract import ConfigFile
from corrida.pipelines.evaluation import pipeline

from .conftest import detection


def change(classroom, table, **values):
    rows = getattr(classroom, table)
    setattr(classroom, table, [rows[0] | values, *rows[1:]])


@pytest.mark.parametrize(
    ("table", "values", "said"),
    [
        ("truth", {"labels": ["L1", "L33"]}, r"truth.jsonl: the taxonomy has no label 'L33', given at line 1.*mean 'L3'"),
        ("truth", {"labels": [True]}, r"no label 'true', given at line 1"),
        ("truth", {"id": "b"}, r"'b' at line 1, 2"),
        ("truth", {"id": ""}, r"'id' is empty at line 1"),
        ("truth", {"id": "a|b"}, r"holds a bar"),
        ("truth", {"student": ""}, r"'student' is empty at line 1"),
        ("taxonomy", {"id": "L2"}, r"'L2' at line 1, 2"),
        ("taxonomy", {"id": "L1, L2"}, r"holds a comma"),
        ("taxonomy", {"name": "", "description": ""}, r"line 1 has neither name nor description"),
        ("detections", {"confidence": 1.2}, r"'confidence' has 1.2 at line 1.*from 0 to 1"),
        ("detections", {"confidence": -0.1}, r"has -0.1 at line 1"),
        ("detections", {"confidence": "85 %"}, r"has '85 %' at line 1.*0.85"),
        ("detections", {"model": "gpt+4"}, r"line 1: the model 'gpt\+4' holds '\+'"),
        ("detections", {"strategy": "a|b"}, r"the strategy 'a\|b' holds '\|'"),
        ("detections", {"strategy": "x" * 90}, r"too long"),
        ("detections", {"model": ""}, r"'model' is empty at line 1"),
        ("detections", {"item": None}, r"'item' is empty at line 1"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used(classroom, table, values, said):
    classroom.detections = [detection("a", "off by one", confidence=0.5), detection("b", "x", confidence=0.5)]
    change(classroom, table, **values)
    with pytest.raises(InvalidData, match=said) as caught:
        classroom.run()
    assert "\n" not in str(caught.value)
    assert not classroom.recorder.tables


def test_confidences_may_be_text_and_may_be_missing(classroom):
    classroom.write(
        "detections.csv",
        "item,model,strategy,name,description,topic,confidence\na,m,s,off by one,,,0.5\nb,m,s,x,,,\n",
    )
    classroom.config["detections"] = "data/detections.csv"
    classroom.run()
    assert classroom.evaluation.calibration[0].decisions == 1


def test_nan_is_no_confidence(classroom):
    classroom.write(
        "detections.csv", "item,model,strategy,name,description,topic,confidence\na,m,s,off by one,,,nan\n"
    )
    classroom.config["detections"] = "data/detections.csv"
    with pytest.raises(InvalidData, match="has 'nan' at line 2"):
        classroom.run()


@pytest.mark.parametrize(
    ("text", "labels"),
    [("L1;L2", 2), ("L1 ; ;L1", 1), ("", 0), ('["L1", "L3"]', 2), ("[]", 0)],
)
def test_labels_may_be_text(classroom, text, labels):
    quoted = text.replace('"', '""')
    classroom.write("truth.csv", f'id,labels,topic,student\na,"{quoted}",t,s\nb,L2,t,s\n')
    classroom.config["truth"] = "data/truth.csv"
    outcome = classroom.run()
    assert sum(outcome.items.filter(item="a").select("tp", "fn").row(0)) == labels


def test_labels_in_parquet(classroom):
    import polars as pl

    pl.DataFrame(
        {"id": [1, 2], "labels": [["L1"], None], "topic": ["t", "t"], "student": [7, 8]}
    ).write_parquet(classroom.root / "data" / "truth.parquet")
    classroom.config["truth"] = "data/truth.parquet"
    classroom.detections = [detection(1, "off by one")]
    assert classroom.counts() == {"fuzzy+s+m": (1, 0, 0)}


def test_all_items_may_be_clean_and_lists_all_empty(classroom):
    classroom.truth = [row | {"labels": []} for row in classroom.truth]
    assert classroom.counts() == {"fuzzy+s+m": (0, 1, 0)}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"matchers": {"semantik": {}}},
            r"evaluation.yaml: matchers: unknown key 'semantik'. Did you mean 'semantic'",
        ),
        ({"treshold": 1}, r"unknown key 'treshold'"),
        ({"matchers": {"use": ["fuzy"]}}, r"matchers.use\[0\]: .*'?fuzy"),
        ({"matchers": {"use": []}}, r"matchers.use: expected"),
        ({"matchers": {"use": ["fuzzy", "fuzzy"]}}, r"fuzzy is named twice"),
        ({"matchers": {"fuzzy": {"threshold": 1.5}}}, r"matchers.fuzzy.threshold: expected"),
        ({"matchers": {"hybrid": {"fuzzy": 0, "semantic": 0}}}, r"both 0"),
        ({"matchers": {"hybrid": {"topic": 0.5}}}, r"matchers.hybrid.topic: expected"),
        ({"detections": ["a.csv", "a.csv"]}, r"named twice"),
        ({"bootstrap": {"resamples": 1}}, r"bootstrap.resamples: expected"),
    ],
)
def test_configurations_that_cannot_be_used(config, said):
    with pytest.raises(InvalidConfig, match=said):
        pipeline.configure([ConfigFile("evaluation.yaml", config)], {})


def test_an_unknown_override_is_refused_with_the_nearest_name():
    with pytest.raises(
        InvalidConfig, match=r"--set matchers.fuzzy.treshold: matchers.fuzzy: .*Did you mean 'threshold'"
    ):
        pipeline.configure([], {"matchers.fuzzy.treshold": 0.4})


def test_every_threshold_is_in_the_configuration_that_runs():
    import msgspec

    config = msgspec.to_builtins(pipeline.configure([], {}))
    thresholds = {name: config["matchers"][name]["threshold"] for name in ("fuzzy", "semantic", "hybrid")}
    assert all(isinstance(threshold, float) for threshold in thresholds.values())
    chosen = msgspec.to_builtins(pipeline.configure([], {"matchers.semantic.threshold": 0.4}))
    assert chosen["matchers"]["semantic"]["threshold"] == 0.4


def test_later_files_win_and_keep_the_rest():
    first = ConfigFile("a.yaml", {"matchers": {"fuzzy": {"threshold": 0.3, "compare": "both"}}})
    second = ConfigFile("b.yaml", {"matchers": {"fuzzy": {"threshold": 0.4}}})
    fuzzy = pipeline.configure([first, second], {}).matchers.fuzzy
    assert (fuzzy.threshold, fuzzy.compare) == (0.4, "both")


def test_files_given_as_data_say_what_they_are_with_their_name(classroom):
    del classroom.config["truth"], classroom.config["taxonomy"], classroom.config["detections"]
    more = [detection("f", "off by one", model="n")]
    files = [
        classroom.write("truth.jsonl", classroom.truth),
        classroom.write("Taxonomy.v2.jsonl", classroom.taxonomy),
        classroom.write("detections_m.jsonl", classroom.detections),
        classroom.write("detections_n.jsonl", more),
    ]
    assert classroom.counts(files=files) == {"fuzzy+s+m": (1, 0, 4), "fuzzy+s+n": (1, 0, 4)}
    with pytest.raises(InvalidData, match=r"answers.jsonl: is this the truth, the taxonomy or detections"):
        classroom.run(files=[*files, classroom.write("answers.jsonl", more)])
    with pytest.raises(InvalidData, match=r"There is no file for the taxonomy.*--data data/taxonomy.csv"):
        classroom.run(files=[files[0], files[2]])
    with pytest.raises(InvalidData, match="There are two files for the truth"):
        classroom.run(files=[*files, classroom.write("truth2.jsonl", classroom.truth)])
    with pytest.raises(InvalidData, match="There are no detections"):
        classroom.run(files=files[:2])


def test_only_some_items(classroom):
    classroom.detections = [detection("a", "off by one"), detection("b", "x")]
    assert classroom.counts(item_ids=["a", "f"]) == {"fuzzy+s+m": (1, 0, 2)}
    assert classroom.counts(item_ids=["a|fuzzy+s+m", "f"]) == {"fuzzy+s+m": (1, 0, 2)}
    with pytest.raises(InvalidData, match="there is no item 'z'"):
        classroom.run(item_ids=["a", "z"])


def test_facts_of_the_dataset(classroom):
    classroom.write("dataset.yaml", "assignment: A2\nseed: 1764863751\nitems: 240\n")
    classroom.config |= {"facts": "data/dataset.yaml", "dataset": {"assignment": "A3"}}
    dataset = classroom.run().dataset
    assert (dataset["assignment"], dataset["seed"], dataset["items"], dataset["clusters"]) == (
        "A3",
        1764863751,
        6,
        3,
    )
    assert dataset["seeded_pct"] == pytest.approx(100 * 4 / 6, abs=0.01)
    assert any("the dataset says items is 240" in warning for warning in classroom.recorder.warnings)
    classroom.write("dataset.yaml", "- 1\n")
    with pytest.raises(InvalidData, match="facts of the dataset are an object"):
        classroom.run()


def test_labels_that_are_objects(classroom):
    classroom.truth[0]["labels"] = {"a": 1}
    with pytest.raises(
        InvalidData, match=r"column 'labels' holds .* at line 1; the labels of an item are a list"
    ):
        classroom.run()
