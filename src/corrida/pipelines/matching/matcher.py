"""The matching pipeline: texts to codes of a classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig
from corrida.pipelines.contract import Column, Data, Direction, Outcome, Recorder
from corrida.pipelines.matching.configure import configure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.contract import ConfigFile
    from corrida.pipelines.matching.items import Decision, Item
    from corrida.pipelines.matching.retrieval import TitleIndex
    from corrida.pipelines.matching.rules import RuleSet
    from corrida.pipelines.matching.sectors import SectorCompatibility
    from corrida.pipelines.matching.settings import MatchingConfig


# What a name alone does not say; the other metrics are called what they are.
_MEASURES = {
    "precision.rules": "precision where decided_by=rule",
    "precision.retrieval": "precision where decided_by=index",
}


class MatchingPipeline:
    """Codes texts by prioritised rules, then by lexical retrieval among compatible codes; else it abstains."""

    name: str = "matching"
    description: str = (
        "texts to codes of a classification: rules first, then lexical retrieval, abstaining when unsure"
    )
    columns: Sequence[Column] = (
        Column("items", "metrics.items"),
        Column("coverage", "metrics.coverage"),
        Column("precision", "metrics.precision"),
        Column("recall", "metrics.recall"),
        Column("f1", "metrics.f1"),
    )
    primary_metric: str = "f1"
    # Counts of items have no better side: more abstentions may mean fewer errors.
    directions: Mapping[str, Direction] = {
        "coverage": "max",
        "precision": "max",
        "precision.*": "max",
        "recall": "max",
        "accuracy": "max",
        "f1": "max",
        "rules.dead": "min",
        "rules.conflicts": "min",
    }

    def configure(self, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> MatchingConfig:
        """Build the configuration from its general settings, rules and sector compatibility.

        Raises:
            InvalidConfig: naming the file, the place in it and the mend.
        """
        return configure(files, overrides)

    def data_files(self, config: MatchingConfig) -> Mapping[str, str]:
        """Return the classification and, when there is one, the index."""
        files = {"classification": config.classification}
        return files if config.index is None else {**files, "index": config.index}

    def run(self, data: Data, config: MatchingConfig, recorder: Recorder) -> Outcome:
        """Code every item, score the codes where the right ones are known, and report the rules.

        Raises:
            InvalidConfig: a rule or sector entry names a code that the classification lacks.
            InvalidData: naming the file, the row or column and the mend.
        """
        from corrida.pipelines.matching.classification import load_classification
        from corrida.pipelines.matching.items import items_frame, read_items
        from corrida.pipelines.matching.retrieval import TitleIndex
        from corrida.pipelines.matching.rules import RuleSet
        from corrida.pipelines.matching.scoring import score
        from corrida.pipelines.matching.sectors import SectorCompatibility

        classification = load_classification(_named(data, "classification", config), config)
        rules = RuleSet(config, classification)
        sectors = SectorCompatibility(config, classification)
        items = read_items(data, config, rules, classification)
        index = (
            None
            if config.index is None
            else TitleIndex(_named(data, "index", config), config, classification)
        )
        decisions = [
            _decide(item, config, rules, sectors, index)
            for item in recorder.progress(items, total=len(items), label="matching")
        ]
        metrics = score(decisions, classification)
        if config.rules is not None:
            metrics |= _report(rules, decisions, recorder)
        dataset = {
            "items": len(items),
            "items_with_expected": sum(item.expected is not None for item in items),
            "classification_codes": len(classification.titles),
            "levels": list(classification.levels),
        }
        if index is not None:
            dataset["index_titles"] = len(index.entries)
        return Outcome(
            metrics, items_frame(decisions, classification), dataset, _summary(metrics), measures=_MEASURES
        )


def _decide(
    item: Item, config: MatchingConfig, rules: RuleSet, sectors: SectorCompatibility, index: TitleIndex | None
) -> Decision:
    """Decide one item; nothing but the item itself, the configuration and the index has a say."""
    from corrida.pipelines.matching.items import Decision
    from corrida.pipelines.matching.retrieval import describe

    fired = rules.holding(item.record)
    if fired:
        first = rules.active[fired[0]]
        return Decision(
            item, first.code, "rule", score=1.0, rule=first.rule.id, evidence=first.rule.name, fired=fired
        )
    if index is None:
        return Decision(item, None, "abstained")
    found = index.search(item.text, item.sector, sectors.excluded(item.sector))
    most = config.retrieval.runners_up
    excluded = " ".join(found.incompatible) or None
    best = found.ranked[0] if found.ranked else None
    if best is None or best.confidence < config.threshold:
        confidence = best.confidence if best else None
        return Decision(
            item,
            None,
            "abstained",
            score=confidence,
            runners_up=describe(found.ranked, most),
            incompatible=excluded,
        )
    return Decision(
        item,
        best.code,
        "index",
        score=best.confidence,
        evidence=best.evidence,
        runners_up=describe(found.ranked[1:], most),
        incompatible=excluded,
    )


def _report(rules: RuleSet, decisions: Sequence[Decision], recorder: Recorder) -> dict[str, float]:
    """Save the tables of the rules, warn, and return their metrics."""
    from corrida.pipelines.matching.rule_report import report_rules

    report = report_rules(rules, decisions)
    recorder.save_table("rules.csv", report.rules)
    if report.conflicts.height:
        recorder.save_table("rule_conflicts.csv", report.conflicts)
    for warning in report.warnings:
        recorder.warn(warning)
    return report.metrics


def _named(data: Data, role: str, config: MatchingConfig) -> Any:
    """Return the file that the configuration names for a role."""
    if role not in data.named:
        raise InvalidConfig(
            f"{config.files['general']}: the file for {role!r} was not handed to the pipeline."
        )
    return data.named[role]


def _summary(metrics: Mapping[str, float]) -> str:
    """Say in one sentence how many texts were coded and how well."""
    said = f"{metrics['decided']:,.0f} of {metrics['items']:,.0f} texts coded ({metrics['coverage']:.1%})"
    scores = [f"{name} {metrics[name]:.3f}" for name in ("precision", "recall", "f1") if name in metrics]
    return f"{said}: {', '.join(scores)}." if scores else f"{said}; no expected codes to compare with."


pipeline = MatchingPipeline()
