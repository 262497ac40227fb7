"""The risk pipeline: transactions to preocupante, inusual, relevante or limpio, by learned layers and the limits of the law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidData
from corrida.pipelines.contract import Column, Data, Direction, Outcome, Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from corrida.pipelines.contract import ConfigFile
    from corrida.pipelines.risk.predictor import RiskPredictor
    from corrida.pipelines.risk.settings import RiskConfig
    from corrida.pipelines.risk.training import Trained


class RiskPipeline:
    """Classes transactions by what their risk is, for the Mexican law against money laundering (LFPIORPI)."""

    name: str = "risk"
    description: str = (
        "transactions to four classes of risk: an ensemble, anomalies, learned thresholds, limits of the law"
    )
    columns: Sequence[Column] = (
        Column("cost", "metrics.cost"),
        Column("F1", "metrics.f1_macro"),
        Column("recall preoc.", "metrics.recall.preocupante"),
        Column("AUC-PR", "metrics.auc_pr.inusual"),
        Column("thresholds", "findings.thresholds"),
        Column("law", "findings.law"),
    )
    primary_metric: str = "cost"
    directions: Mapping[str, Direction] = {
        "cost": "min",
        "accuracy": "max",
        "f1_macro": "max",
        "precision.*": "max",
        "recall.*": "max",
        "f1.*": "max",
        "auc_pr.*": "max",
        "ece.*": "min",
        "brier.*": "min",
        "missed.*": "min",
        "false_alarms.*": "min",
    }

    def configure(self, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> RiskConfig:
        """Build the configuration.

        Raises:
            InvalidConfig: naming the file, the place and the mend.
            MissingExtra: scikit-learn or skops is not installed.
        """
        from corrida.pipelines.risk.configure import configure

        return configure(files, overrides)

    def data_files(self, config: RiskConfig) -> Mapping[str, str]:
        """Return nothing: the transactions are given with ``--data``."""
        del config
        return {}

    def run(self, data: Data, config: RiskConfig, recorder: Recorder) -> Outcome:
        """Train the layers on labelled transactions, and measure them on clients or times that they have not seen.

        Raises:
            InvalidData: naming the file, the row or column, and the mend.
        """
        from corrida.pipelines.risk.data import read_labelled
        from corrida.pipelines.risk.layers import save_layers
        from corrida.pipelines.risk.metrics import class_metrics, items_table
        from corrida.pipelines.risk.report import write_report
        from corrida.pipelines.risk.settings import CLASSES
        from corrida.pipelines.risk.tables import write_tables
        from corrida.pipelines.risk.training import train

        if not data.files:
            raise InvalidData("there are no transactions; name a file with --data")
        labelled = read_labelled(data.files, config)
        for message in labelled.warnings:
            recorder.warn(message)
        seed = config.seed if data.seed is None else data.seed
        trained = train(labelled, config, seed, recorder)
        save_layers(recorder, trained.layers, config.columns, config.reading)
        items = _asked(items_table(trained, labelled, config.thresholds), data.item_ids)
        risks = {level: f"risk_{CLASSES[level]}" for level in sorted(trained.decided.risks)}
        metrics, measures = class_metrics(items, risks, trained.lowest)
        metrics |= {f"threshold.{alarm}": one.threshold for alarm, one in trained.learned.items()}
        facts = {**labelled.facts(), **{f"{part}_rows": rows for part, rows in trained.counts.items()}}
        facts |= {"split_by": config.split.by, "guardrails": config.guardrails.version}
        _say_of_labels(trained, recorder)
        write_tables(trained, items, recorder)
        if config.report:
            write_report(trained, config, items, metrics, facts, recorder)
        return Outcome(
            metrics,
            items,
            facts,
            _summary(metrics, items),
            measures=measures,
            findings=_findings(trained, config),
            cluster="client",
        )

    def load(self, models: Path, *, trust: bool = False) -> RiskPredictor:
        """Return what scores transactions with the models of a run.

        Args:
            models: the folder ``models`` of the run, which is all that is needed.
            trust: consent to model files that can run code; this pipeline writes none.

        Raises:
            NotFound, DamagedRun, Refused, MissingExtra: a model cannot be loaded.
        """
        from corrida.pipelines.risk.predictor import load_predictor

        return load_predictor(models, trust=trust)

    def predictor_type(self) -> type[RiskPredictor]:
        """Return what :meth:`load` gives, whose options can be looked at without a model."""
        from corrida.pipelines.risk.predictor import RiskPredictor

        return RiskPredictor


def _asked(items: pl.DataFrame, asked: frozenset[str] | None) -> pl.DataFrame:
    """Return only the items that were asked for; the layers are learned from the same rows all the same."""
    if asked is None:
        return items
    lacking = sorted(asked - set(items["item_id"].to_list()))
    if lacking:
        raise InvalidData(
            f"there is no test item {lacking[0]!r}; an item is a transaction of the test part, such as {items['item_id'][0]!r}"
        )
    return items.filter(items["item_id"].is_in(list(asked)))


def _say_of_labels(trained: Trained, recorder: Recorder) -> None:
    from corrida.pipelines.risk.settings import CLASSES

    if trained.lowest:
        recorder.warn(
            f"no label is {CLASSES[0]}: the labels do not tell it from {CLASSES[trained.lowest]}. In the measures both count as "
            f"{CLASSES[trained.lowest]}; for new transactions the limits of the law tell them apart"
        )


def _findings(trained: Trained, config: RiskConfig) -> dict[str, str]:
    thresholds = " / ".join(f"{one.threshold:g}" for one in trained.learned.values())
    found = {"law": config.guardrails.version or "unversioned"}
    if thresholds:
        found["thresholds"] = thresholds
        found["thresholds_checked"] = (
            "learning and the whole grid agree"
            if all(one.agrees for one in trained.learned.values())
            else "the cheapest of the grid, where learning had not arrived"
        )
    return found


def _summary(metrics: Mapping[str, float], items: pl.DataFrame) -> str:
    """Say in one sentence how good it is."""
    clients = items["client"].n_unique()
    said = f"{items.height:,} test transactions of {clients:,} clients: cost {metrics['cost']:,.2f} each, macro F1 {metrics['f1_macro']:.3f}"
    if "recall.preocupante" in metrics:
        said += f", {metrics['recall.preocupante']:.0%} of preocupante found"
    if "missed.inusual" in metrics:
        said += f"; {metrics['missed.inusual']:,} alarms missed, {metrics['false_alarms.inusual']:,} false"
    return f"{said}."


pipeline = RiskPipeline()
