"""The settings of detectors: one struct a kind, told apart by the key ``kind``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec

from corrida.pipelines.contract import Config
from corrida.pipelines.evaluation.address import check_url
from corrida.pipelines.evaluation.detect.prompts import LabelFields, Prompt, Topics  # noqa: TC001 - msgspec reads them

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.detect import Detector

Name = Annotated[str, msgspec.Meta(min_length=1)]
Fields = Annotated[list[Name], msgspec.Meta(min_length=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Most = Annotated[int, msgspec.Meta(ge=1, le=100)]
PerMinute = Annotated[float, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Attempts = Annotated[int, msgspec.Meta(ge=1, le=20)]
Price = Annotated[float, msgspec.Meta(ge=0)]

# What of a request is the detector's own, so that no parameter may say otherwise.
_OWN = {"model", "messages", "stream", "n"}


class RetrievalStrategy(Config, frozen=True):
    """What one strategy reads, and how much it says.

    Attributes:
        item: columns of the truth.
        taxonomy: what of the labels.
        topic: ``same`` looks only among labels of the item's topic; an item without a topic looks among all.
        most, threshold: instead of those of the detector.
    """

    item: Fields
    taxonomy: LabelFields = msgspec.field(default_factory=lambda: ["name", "description"])
    topic: Topics = "any"
    most: Most | None = None
    threshold: Share | None = None


class RetrievalDetector(Config, frozen=True, tag_field="kind", tag="retrieval"):
    """Local retrieval: the labels of the taxonomy that are most like what a strategy reads of an item.

    Attributes:
        strategies: name to what the strategy may read; a list of columns is short for ``item: [...]``.
        by: what likeness is: shared words (BM25) or the run's embedding. Each is a model of its own, named
            ``lexical`` or ``embedding``.
        most: detections for an item at most.
        threshold: the least confidence. How it comes about stands in
            :mod:`corrida.pipelines.evaluation.detect.retrieval`.
    """

    strategies: Annotated[dict[Name, Fields | RetrievalStrategy], msgspec.Meta(min_length=1)]
    by: Annotated[list[Literal["lexical", "embedding"]], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["lexical", "embedding"]
    )
    most: Most = 1
    threshold: Share = 0.2


class EndpointModel(Config, frozen=True):
    """One model of an endpoint.

    Attributes:
        id: as the endpoint calls it; None for the name under which it stands.
        input, output: what a million tokens of prompt and of answer cost; None when that is not known.
        parameters: of its requests; they win over those of the detector.
    """

    id: Name | None = None
    input: Price | None = None
    output: Price | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse parameters that are not the user's, and half a price."""
        refuse_own(self.parameters)
        if (self.input is None) != (self.output is None):
            raise ValueError("input and output are prices of one model; give both or none")


class EndpointDetector(Config, frozen=True, tag_field="kind", tag="endpoint"):
    """An OpenAI-compatible endpoint for chat completions.

    Attributes:
        url: up to and without ``/chat/completions``, such as ``http://localhost:8000/v1``.
        models: name to settings; the name is what cells are called by.
        strategies: name to a prompt template, or to the YAML file that holds one, relative to the project.
        key_variable: the environment variable that holds the key; None when none is needed.
        parameters: sent with every request, such as ``temperature``.
        send_seed: send the seed of the run as the parameter ``seed``; another seed is then another question.
        currency: of the prices.
        concurrency: requests at once, at most.
        requests_per_minute, tokens_per_minute: rate limits over all models of the detector; None for none.
        timeout: seconds that a request may take.
        attempts: how often a question is asked at most.
        first_wait: seconds, the most that is waited after the first attempt; doubles with each.
        longest_wait: seconds, the most that is ever waited. An endpoint that asks for more ends the run.
        give_up_after: questions in a row without any answer from the endpoint that end the run.
        cache: keep answers in the user's cache folder, and take them from there.
    """

    url: Name
    models: Annotated[dict[Name, EndpointModel], msgspec.Meta(min_length=1)]
    strategies: Annotated[dict[Name, Name | Prompt], msgspec.Meta(min_length=1)]
    key_variable: Name | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    send_seed: bool = False
    currency: Name = "USD"
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    timeout: Seconds = 120.0
    attempts: Attempts = 4
    first_wait: Seconds = 1.0
    longest_wait: Seconds = 120.0
    give_up_after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    cache: bool = True

    def __post_init__(self) -> None:
        """Refuse an address that is none, and parameters that are not the user's."""
        check_url(self.url)
        refuse_own(self.parameters)


def refuse_own(parameters: dict[str, Any]) -> None:
    """Refuse parameters that the detector sets itself.

    Raises:
        ValueError: naming one.
    """
    own = sorted(_OWN & parameters.keys())
    if own:
        raise ValueError(f"the parameter {own[0]!r} is set by the detector; take it out")


DetectorSettings: TypeAlias = RetrievalDetector | EndpointDetector


def make_detector(settings: DetectorSettings) -> Detector:
    """Return the detector that the settings describe."""
    if isinstance(settings, EndpointDetector):
        from corrida.pipelines.evaluation.detect.endpoint import EndpointModels

        return EndpointModels(settings)
    from corrida.pipelines.evaluation.detect.retrieval import Retrieval

    return Retrieval(settings)
