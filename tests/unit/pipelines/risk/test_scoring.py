"""Scoring: every row comes back, and a row is judged the same whatever rows stand in the same file."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrida.errors import DamagedRun, InvalidData, NotFound
from corrida.pipelines.contract import Data
from corrida.pipelines.risk import pipeline, scoring
from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions
from corrida.pipelines.streaming import StreamingPredictor

HEADER = "cliente_id,monto,fecha,tipo_operacion,sector_actividad\n"
JUDGED = [
    "class",
    "decided_by",
    "reasons",
    "risk_relevante",
    "risk_inusual",
    "risk_preocupante",
    "isolation",
    "distance",
]


@pytest.fixture(scope="module")
def others():
    return generate_transactions(9, Shape(clients=40, days=120, schemes=0.5))


def test_the_predictor_keeps_the_protocol(predictor):
    assert isinstance(predictor, StreamingPredictor)


def test_a_row_alone_and_among_many_with_the_same_history_is_judged_the_same(predictor, others, tmp_path):
    write_transactions(others, tmp_path / "all.csv", labels=False)
    whole = pl.concat(list(predictor.score(tmp_path / "all.csv")))
    assert whole["row"].to_list() == list(range(1, others.height + 1))
    assert whole["class"].n_unique() == 4
    picked = (
        whole.group_by("class")
        .agg(pl.col("row").sample(6, with_replacement=True, seed=1))
        .explode("row")["row"]
    )
    for row in picked.unique().to_list():
        write_transactions(others.slice(row - 1, 1), tmp_path / "one.csv", labels=False)
        write_transactions(others.head(row - 1), tmp_path / "before.csv", labels=False)
        history = tmp_path / "before.csv" if row > 1 else None
        alone = pl.concat(list(predictor.score(tmp_path / "one.csv", history=history)))
        assert alone.select(JUDGED).rows() == whole.filter(pl.col("row") == row).select(JUDGED).rows()


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_other_clients_rows_make_no_difference(predictor, others, tmp_path, data):
    client = data.draw(st.sampled_from(others["cliente_id"].unique().sort().to_list()))
    rest = data.draw(st.sets(st.sampled_from(others["cliente_id"].unique().sort().to_list()), max_size=6))
    own = others.filter(pl.col("cliente_id") == client)
    mixed = others.filter(pl.col("cliente_id").is_in([client, *rest]))
    found = []
    for frame in (own, mixed):
        write_transactions(frame, tmp_path / "a.csv", labels=False)
        scores = pl.concat(list(predictor.score(tmp_path / "a.csv")))
        found.append(scores.filter(pl.col("client") == client).select("amount", "date", *JUDGED).rows())
    assert found[0] == found[1]


def test_pieces_blocks_and_files_on_disk_make_no_difference(predictor, others, tmp_path, monkeypatch):
    write_transactions(others, tmp_path / "all.csv", labels=False)
    before = pl.concat(list(predictor.score(tmp_path / "all.csv")))
    monkeypatch.setattr(scoring, "_PIECE", 500)
    monkeypatch.setattr(scoring, "_BLOCK", 97)
    monkeypatch.setattr(scoring, "_RANGE", 333)
    monkeypatch.setattr("corrida.pipelines.risk.spill.Buckets.__init__.__defaults__", (400,))
    work = tmp_path / "work"
    work.mkdir()
    frames = list(predictor.score(tmp_path / "all.csv", work=work))
    assert len(frames) > 5
    assert list(work.glob("rows-*.arrow"))
    assert list(work.glob("scores-*.arrow"))
    assert pl.concat(frames).equals(before)


def test_the_same_file_twice_gives_the_same_bytes(predictor, others, tmp_path):
    write_transactions(others, tmp_path / "all.csv", labels=False)
    first, second = (pl.concat(list(predictor.score(tmp_path / "all.csv"))) for _ in range(2))
    assert first.write_csv() == second.write_csv()


def test_rows_that_cannot_be_scored_say_why_and_keep_their_place(scored):
    rows, report = scored(
        HEADER
        + "A,100,2025-03-01,tarjeta,comercio\n"
        + ",100,2025-03-01,tarjeta,comercio\n"
        + "A,,2025-03-01,tarjeta,comercio\n"
        + "A,abc,2025-03-01,tarjeta,comercio\n"
        + "A,-5,2025-03-01,tarjeta,comercio\n"
        + "A,nan,2025-03-01,tarjeta,comercio\n"
        + "A,100,,tarjeta,comercio\n"
        + "A,100,31/02/2025,tarjeta,comercio\n"
        + "A,100,2025-03-01\n"
        + "B,200,2025-03-02,tarjeta,comercio\n"
    )
    assert rows["row"].to_list() == list(range(1, 11))
    assert rows["problem"].to_list() == [
        None,
        "there is no client",
        "there is no amount",
        "the amount is no number that can be used",
        "the amount is negative",
        "the amount is no number that can be used",
        "there is no date",
        "the date cannot be read as one of the years 1900 to 2100",
        "3 fields where there are 5 columns",
        None,
    ]
    assert rows.filter(pl.col("problem").is_not_null())["class"].null_count() == 8
    assert rows.filter(pl.col("problem").is_null())["class"].null_count() == 0
    assert (report.rows, report.scored, sum(report.not_scored.values())) == (10, 2, 8)


def test_a_file_of_which_no_row_can_be_scored_comes_back_whole(scored):
    rows, report = scored(HEADER + ",,,,\n" * 3)
    assert rows["problem"].to_list() == ["there is no client"] * 3
    assert report.scored == 0


def test_the_report_counts_what_had_to_be_done(scored):
    _, report = scored(
        "cliente_id,monto,fecha,tipo_operacion,sector_actividad,nota\n"
        "A,100,2025-03-01,paloma mensajera,comercio,x\n"
        "A,100,2025-03-02,tarjeta,minería lunar,y\n"
    )
    assert report.alignment["unseen"]["operation"] == {
        "categories": 1,
        "rows": 1,
        "most": {"paloma_mensajera": 1},
    }
    assert report.alignment["unseen"]["sector"]["most"] == {"mineria_lunar": 1}
    assert report.alignment["ignored_columns"] == ["nota"]
    assert report.alignment["filled"]["hour"] == 2
    assert report.alignment["filled"]["amount_ratio"] == 1


def test_history_counts_and_is_not_scored(scored, tmp_path):
    one = "A,90000,2025-03-09,efectivo,joyeria\n"
    history = tmp_path / "before.csv"
    history.write_text(HEADER + "".join(f"A,90000,2025-03-0{day},efectivo,joyeria\n" for day in range(1, 8)))
    alone, _ = scored(HEADER + one)
    rows, report = scored(HEADER + one, history=history)
    assert alone["class"].to_list() != ["preocupante"] or "180 days" not in alone["reasons"][0]
    assert rows.height == 1
    assert rows["class"].to_list() == ["preocupante"]
    assert "in 180 days, which reaches the limit of notice" in rows["reasons"][0]
    assert report.history["rows"] == 7


def test_latin_1_semicolons_decimal_commas_and_three_kinds_of_dates(scored):
    text = "Cliente ID;Monto;Fecha;Tipo Operación;Sector Actividad\nJosé;1.234,56;15/01/2025;tarjeta;comercio\nJosé;12,5;2025-01-16 10:30;tarjeta;comercio\nJosé;3.000;17.01.2025;tarjeta;comercio\n"
    rows, report = scored(text.encode("latin-1"))
    assert rows["amount"].to_list() == [1234.56, 12.5, 3000.0]
    assert rows["date"].cast(pl.String).to_list() == ["2025-01-15", "2025-01-16", "2025-01-17"]
    assert rows["client"].to_list() == ["José"] * 3
    assert report.reading["encoding"] == "Latin-1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", r"no column for the client \(cliente_id\)"),
        (
            "monto,b\n1,2\n",
            r"must have the columns cliente_id, monto, fecha, tipo_operacion, sector_actividad, or others",
        ),
        ("cliente_id monto\n1 2\n", "Is the delimiter right"),
        (HEADER, "no rows"),
        ("", "empty"),
    ],
)
def test_files_that_cannot_be_scored(scored, text, said):
    with pytest.raises(InvalidData, match=said):
        scored(text)


def test_predict_of_several_files_and_of_none(predictor, others, tmp_path):
    for name in ("a.csv", "b.csv"):
        write_transactions(others.head(20), tmp_path / name, labels=False)
    found = predictor.predict(Data(files=[tmp_path / "a.csv", tmp_path / "b.csv"]))
    assert found.frame.height == 40
    assert found.frame["file"].unique().sort().to_list() == ["a.csv", "b.csv"]
    assert any("rows scored" in note for note in found.notes)
    with pytest.raises(InvalidData, match="nothing to score"):
        predictor.predict(None)


def test_an_altered_model_is_not_loaded(trained, tmp_path):
    import shutil

    models = tmp_path / "models"
    shutil.copytree(trained.models, models)
    file = models / "supervised" / "stack.skops"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(DamagedRun, match="altered"):
        pipeline.load(models)
    with pytest.raises(NotFound):
        pipeline.load(tmp_path / "nothing")


def test_a_model_file_of_other_types_is_not_loaded(trained, tmp_path):
    import shutil

    import skops.io as sio

    from corrida.pipelines.model_files import written_model

    models = tmp_path / "models"
    shutil.copytree(trained.models, models)

    def write(folder):
        sio.dump({"f": print}, folder / "stack.skops")

    for name, content in written_model(write, format="skops", libraries=("skops",), facts={}):
        (models / "supervised" / name).write_bytes(content)
    with pytest.raises(DamagedRun, match="no model of corrida is"):
        pipeline.load(models)


def test_rows_keep_the_id_of_their_transaction_in_pieces_too_and_with_history(
    predictor, others, tmp_path, monkeypatch
):
    ids = pl.Series("transaccion_id", [f"00{row * 7 % others.height}" for row in range(others.height)])
    marked = others.with_columns(ids, monto=pl.when(pl.row_index() % 50 == 3).then(None).otherwise("monto"))
    write_transactions(marked, tmp_path / "all.csv", labels=False)
    write_transactions(others.drop("transaccion_id", strict=False), tmp_path / "past.csv", labels=False)
    monkeypatch.setattr(scoring, "_PIECE", 500)
    monkeypatch.setattr(scoring, "_RANGE", 333)
    scores = pl.concat(list(predictor.score(tmp_path / "all.csv", history=tmp_path / "past.csv")))
    assert scores.columns[:3] == ["row", "id", "client"]
    assert scores["problem"].null_count() < scores.height
    assert scores["id"].to_list() == ids.to_list()
    without = pl.concat(list(predictor.score(tmp_path / "past.csv")))
    assert "id" not in without.columns
