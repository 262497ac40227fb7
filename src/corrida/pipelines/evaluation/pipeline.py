"""The evaluation pipeline: detections × matchers against a truth."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from corrida.errors import InvalidConfig
from corrida.pipelines.contract import Column, Data, Direction, Outcome, Recorder
from corrida.pipelines.evaluation.configure import configure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import polars as pl

    from corrida.pipelines.contract import ConfigFile
    from corrida.pipelines.evaluation.detect import Detector, Failed
    from corrida.pipelines.evaluation.embeddings import TextEmbedder
    from corrida.pipelines.evaluation.results import Evaluation
    from corrida.pipelines.evaluation.settings import EvaluationConfig
    from corrida.pipelines.evaluation.taxonomy import Taxonomy
    from corrida.pipelines.evaluation.truth import Truth

_NAMED_AT_MOST = 3


class EvaluationPipeline:
    """Which matcher, which strategy and which model finds the labels that are really there."""

    name: str = "evaluation"
    description: str = (
        "detections by strategies and models, matched to a taxonomy and scored against the truth"
    )
    columns: Sequence[Column] = (
        Column("seed", "seed"),
        Column("seeded %", "metrics.seeded_pct"),
        Column("fuzzy F1", "metrics.fuzzy.f1"),
        Column("semantic F1", "metrics.semantic.f1"),
        Column("hybrid F1", "metrics.hybrid.f1"),
        Column("best F1", "metrics.best_f1"),
        Column("best config", "findings.best_config"),
    )
    primary_metric: str = "best_f1"
    directions: Mapping[str, Direction] = {
        "*f1": "max",
        "*precision": "max",
        "*recall": "max",
        "*.tp": "max",
        "*.fp": "min",
        "*.fn": "min",
        "clean_fp_rate": "min",
    }

    def configure(self, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> EvaluationConfig:
        """Build the configuration.

        Raises:
            InvalidConfig: naming the file, the place in it and the mend.
        """
        return configure(files, overrides)

    def data_files(self, config: EvaluationConfig) -> Mapping[str, str]:
        """Return truth, taxonomy, detections and facts that the configuration names, and the files of detectors."""
        from corrida.pipelines.evaluation.sources import named_files

        found = named_files(config)
        for detector in _detectors(config):
            found |= detector.files()
        return found

    def run(self, data: Data, config: EvaluationConfig, recorder: Recorder) -> Outcome:
        """Match every detection, count against the truth, and save tables and the whole evaluation.

        Raises:
            InvalidConfig, InvalidData: naming the file, the row or column and the mend.
            MissingExtra: an embedding is not installed.
        """
        from corrida.pipelines.evaluation.embeddings import make_embedder
        from corrida.pipelines.evaluation.match import match_detections
        from corrida.pipelines.evaluation.sources import find_sources, read_facts
        from corrida.pipelines.evaluation.taxonomy import load_taxonomy
        from corrida.pipelines.evaluation.truth import load_truth

        if (data.seed or 0) < 0:
            raise InvalidConfig(
                f"The seed is {data.seed}; that of an evaluation is 0 or more, as its random numbers start from it."
            )
        sources = find_sources(data, config)
        taxonomy = load_taxonomy(sources.taxonomy, config.columns.taxonomy)
        whole = load_truth(sources.truth, config.columns.truth, taxonomy)
        truth = whole if data.item_ids is None else whole.only(data.item_ids)
        facts = read_facts(sources.facts, config.dataset)

        @cache
        def embedder() -> TextEmbedder:
            return make_embedder(config.embedding, recorder)

        embeds = bool({"semantic", "hybrid"} & set(config.matchers.use))
        if embeds:
            embedder()  # what is not installed is said before any work
        found = _Found.gather(data, config, sources.detections, whole, truth, taxonomy, embedder, recorder)
        matched = match_detections(found.detections, taxonomy, config, embedder, recorder)
        if embeds:
            found.facts["embedding"] = embedder().facts()
        return _outcome(found, matched, truth, taxonomy, config, facts, data.seed or 0, recorder)


class _Found:
    """All detections of a run, the pairs that were tried, and what was not answered."""

    def __init__(self, detections: pl.DataFrame, pairs: list[tuple[str, str]], failed: list[Failed]) -> None:
        self.detections, self.pairs, self.failed = detections, pairs, failed
        self.facts: dict[str, object] = {}
        self.nothing = 0

    @classmethod
    def gather(
        cls,
        data: Data,
        config: EvaluationConfig,
        files: Sequence[Any],
        whole: Truth,
        truth: Truth,
        taxonomy: Taxonomy,
        embedder: Any,
        recorder: Recorder,
    ) -> _Found:
        """Read the files, run the detectors, and keep what is of the chosen items and says something."""
        import polars as pl

        from corrida.pipelines.evaluation.detect import Request
        from corrida.pipelines.evaluation.detections import (
            COLUMNS,
            check_part,
            empty_detections,
            load_detections,
        )

        frames = [load_detections(path, config.columns.detections, whole) for path in files]
        pairs = {pair for frame in frames for pair in frame.select("strategy", "model").unique().iter_rows()}
        detectors = _detectors(config)
        for detector in detectors:
            columns = detector.columns()
            if config.columns.truth.labels in columns:
                raise InvalidConfig(
                    f"detectors: a strategy reads the column {config.columns.truth.labels!r}, which holds the true labels: what "
                    "is to be found would be given away. Take it out of the strategy."
                )
            truth.text(columns)  # a column that is missing is said before any work
        failed: list[Failed] = []
        facts: dict[str, object] = {}
        for number, detector in enumerate(detectors):
            files_of = {role: data.named[role] for role in detector.files()}
            request = Request(truth, taxonomy, recorder, embedder, data.seed, files_of)
            detected = detector.detect(request)
            frames.append(empty_detections().vstack(detected.detections.select(COLUMNS)))
            for strategy, model in detected.pairs:
                check_part("strategy", strategy)
                check_part("model", model)
            pairs |= set(detected.pairs)
            failed += detected.failed
            if detected.facts:
                facts["detector" if len(detectors) == 1 else f"detector_{number + 1}"] = detected.facts
        everything = pl.concat(frames).filter(pl.col("item").is_in(truth.ids))
        says = pl.col("name").is_not_null() | pl.col("description").is_not_null()
        found = cls(everything.filter(says), sorted(pairs), failed)
        found.nothing = everything.height - found.detections.height
        found.facts = facts
        return found


def _outcome(
    found: _Found,
    matched: Any,
    truth: Truth,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
    facts: dict[str, Any],
    seed: int,
    recorder: Recorder,
) -> Outcome:
    import msgspec
    import polars as pl

    from corrida.pipelines.evaluation.detect.tally import spent
    from corrida.pipelines.evaluation.evaluate import evaluate
    from corrida.pipelines.evaluation.items import items_frame
    from corrida.pipelines.evaluation.metrics import flat_measures, flat_metrics, tables
    from corrida.pipelines.evaluation.report import write_report
    from corrida.pipelines.evaluation.score.counting import Said
    from corrida.pipelines.evaluation.score.grid import count_columns
    from corrida.pipelines.evaluation.sources import disagreements

    not_answered = [(one.item, one.strategy, one.model) for one in found.failed]
    said = Said(found.detections, truth, len(taxonomy), found.pairs, not_answered)
    thresholds = _thresholds(config)
    columns = count_columns(said, matched, thresholds)
    clean = sum(not labels for labels in truth.labels)
    counted: dict[str, Any] = {
        "items": len(truth),
        "clean_items": clean,
        "seeded_items": len(truth) - clean,
        "seeded_pct": round(100 * (1 - clean / len(truth)), 2),
        "labels": len(taxonomy),
        "detections": found.detections.height,
    }
    for difference in disagreements(facts, counted):
        recorder.warn(f"{difference}; the latter is recorded")
    dataset = {
        **facts,
        **counted,
        "answers_without_finding": found.nothing,
        "strategies": sorted({strategy for strategy, _ in found.pairs}),
        "models": sorted({model for _, model in found.pairs}),
        **({"clusters": said.clusters} if truth.clustered else {}),
        **found.facts,
    }
    evaluation = evaluate(said, columns, matched, truth, taxonomy, config, thresholds, seed, dataset)
    for name, table in tables(evaluation):
        recorder.save_table(name, table)
    if found.failed:
        _report_failed(found.failed, recorder)
        rows = [msgspec.to_builtins(one) for one in found.failed]
        recorder.save_table("failed.csv", pl.DataFrame(rows))
    recorder.save_text(
        "evaluation.json", msgspec.json.format(msgspec.json.encode(evaluation), indent=1).decode()
    )
    if config.report:
        write_report(evaluation, recorder)
    metrics = flat_metrics(evaluation)
    return Outcome(
        metrics,
        items_frame(said, columns, truth, taxonomy),
        dataset,
        " ".join(filter(None, (_summary(evaluation), spent(list(found.facts.values()))))),
        flat_measures(evaluation, metrics),
        {"best_config": evaluation.best.cell} if evaluation.best and evaluation.best.f1.value else {},
        cluster="cluster",  # an item has a row in every cell, so that rows belong together in any case
    )


def _report_failed(failed: Sequence[Failed], recorder: Recorder) -> None:
    first = "; ".join(
        f"{one.item} under {one.strategy}+{one.model}: {one.reason}" for one in failed[:_NAMED_AT_MOST]
    )
    count = "1 item was" if len(failed) == 1 else f"{len(failed):,} items were"
    recorder.warn(f"{count} not answered; they count neither as clean nor as missed (failed.csv): {first}")


def _detectors(config: EvaluationConfig) -> list[Detector]:
    if not config.detectors:
        return []
    from corrida.pipelines.evaluation.detect.settings import make_detector

    return [make_detector(settings) for settings in config.detectors]


def _thresholds(config: EvaluationConfig) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in config.matchers.use:
        threshold = getattr(config.matchers, name).threshold
        found[name] = float(threshold)
    return found


def _summary(evaluation: Evaluation) -> str:
    """Say in one sentence which cell is best, and what may be as good."""
    what = f"{_count(len(evaluation.cells), 'cell')} over {_count(evaluation.items, 'item')}"
    best = evaluation.best
    if best is None:
        return f"{what}: no F1, as no item has a label."
    if not best.f1.value:
        return f"{what}: F1 is 0 everywhere, as no true label was found."
    interval = "" if best.f1.low is None else f" ({best.f1.low:.3f} to {best.f1.high:.3f})"
    # Where neither limit moves from 0, every resample of the items gave both cells the same F1.
    same = {one.b for one in best.contrasts if not one.low and not one.high}
    others = len([name for name in best.tied if name not in same])
    parts = [
        f"{_count(len(same), 'other')} {'has' if len(same) == 1 else 'have'} the same counts" if same else "",
        f"{_count(others, 'other')} may be as good" if others else "",
    ]
    tied = "".join(f"; {part}" for part in parts if part)
    return f"{what}: best is {best.cell} with F1 {best.f1.value:.3f}{interval}{tied}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


pipeline = EvaluationPipeline()
