"""What asking has cost: requests, tokens and money, by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.detect.asking import Asked
    from corrida.pipelines.evaluation.detect.cache import Usage
    from corrida.pipelines.evaluation.detect.settings import EndpointDetector, EndpointModel

_MILLION = 1_000_000
_COUNTS = ("questions", "cached", "failed")


@dataclass
class _Count:
    asked: int = 0
    kept: int = 0
    failed: int = 0
    requests: int = 0
    spent: list[Usage] = field(default_factory=list)
    saved: list[Usage] = field(default_factory=list)
    served: set[str] = field(default_factory=set)


class Tally:
    """Counts what became of questions."""

    def __init__(self, settings: EndpointDetector) -> None:
        """Count for the models of a detector."""
        self._settings = settings
        self._counts = {name: _Count() for name in settings.models}

    @property
    def answered(self) -> int:
        """How many questions have an answer, new or kept."""
        return sum(count.asked - count.failed for count in self._counts.values())

    def count(self, asked: Asked) -> None:
        """Count one question."""
        count = self._counts[asked.question.model]
        count.asked += 1
        count.requests += asked.attempts
        count.spent += asked.usage
        if asked.answer is None:
            count.failed += 1
            return
        if asked.answer.served:
            count.served.add(asked.answer.served)
        if not asked.attempts:
            count.kept += 1
            count.saved.append(asked.answer.usage)

    def facts(self) -> dict[str, object]:
        """Return the counts for the manifest; what is not known is absent, never 0."""
        parts = urlsplit(self._settings.url)
        return {
            "kind": "endpoint",
            "url": urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
            "currency": self._settings.currency,
            "models": {
                name: _facts(self._counts[name], model) for name, model in self._settings.models.items()
            },
        }


def _facts(count: _Count, model: EndpointModel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "questions": count.asked,
        "cached": count.kept,
        "failed": count.failed,
        "requests": count.requests,
    }
    found |= _tokens(count.spent, model, "")
    found |= {name: value for name, value in _tokens(count.saved, model, "cached_").items() if count.kept}
    unknown = sum(usage.prompt is None or usage.completion is None for usage in count.spent)
    if unknown:
        found["replies_without_usage"] = unknown
    if count.served:
        found["served_by"] = sorted(count.served)
    return found


def _tokens(usages: Sequence[Usage], model: EndpointModel, prefix: str) -> dict[str, Any]:
    """Return tokens and cost; absent when a reply did not say how many."""
    if any(usage.prompt is None or usage.completion is None for usage in usages):
        return {}
    prompt, completion = sum(u.prompt or 0 for u in usages), sum(u.completion or 0 for u in usages)
    found: dict[str, Any] = {f"{prefix}prompt_tokens": prompt, f"{prefix}completion_tokens": completion}
    if model.input is not None and model.output is not None:
        found[f"{prefix}cost"] = round((prompt * model.input + completion * model.output) / _MILLION, 6)
    return found


def spent(facts: Sequence[object]) -> str:
    """Say in a sentence what the endpoints of a run were asked and what that has cost.

    Args:
        facts: of the detectors; those that are not of endpoints are passed over.

    Returns:
        Nothing without an endpoint. Tokens and costs that are not known of every model are left out.
    """
    asked = [one for one in facts if isinstance(one, Mapping) and one.get("kind") == "endpoint"]
    models = [(one["currency"], model) for one in asked for model in one["models"].values()]
    if not models:
        return ""
    questions, cached, failed = (sum(model[name] for _, model in models) for name in _COUNTS)
    parts = [f"{cached:,} of them cached"] if cached else []
    parts += [f"{failed:,} without an answer"] if failed else []
    if all("prompt_tokens" in model for _, model in models):
        tokens = sum(model["prompt_tokens"] + model["completion_tokens"] for _, model in models)
        parts.append(f"{tokens:,} tokens")
    if all("cost" in model for _, model in models):
        costs: dict[str, float] = {}
        for currency, model in models:
            costs[currency] = costs.get(currency, 0.0) + model["cost"]
        parts.append(" and ".join(f"{cost:,.4g} {currency}" for currency, cost in costs.items()))
    said = f"{questions:,} question{'' if questions == 1 else 's'} to endpoints"
    return f"{said}: {', '.join(parts)}." if parts else f"{said}."
