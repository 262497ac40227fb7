"""The typed configuration of an evaluation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from corrida.pipelines.contract import Config
from corrida.pipelines.evaluation.address import check_url
from corrida.pipelines.evaluation.detect.settings import DetectorSettings  # noqa: TC001 - msgspec reads annotations

Name = Annotated[str, msgspec.Meta(min_length=1)]
Threshold = Annotated[float, msgspec.Meta(gt=0, le=1)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=1)]
Confidence = Annotated[float, msgspec.Meta(gt=0, lt=1)]
MatcherName = Literal["fuzzy", "semantic", "hybrid"]
Provider = Literal["static", "minilm", "endpoint"]
MATCHERS: tuple[MatcherName, ...] = ("fuzzy", "semantic", "hybrid")


class TruthColumns(Config, frozen=True):
    """The columns of the truth.

    Attributes:
        id: identifies an item.
        labels: its true labels: a list, or text with ``separator`` between them; empty for a clean item.
        separator: between labels that are written as text.
        topic: what the item is about; None when there is none.
        cluster: which items belong together, such as the student; None when every item stands alone.
    """

    id: Name = "id"
    labels: Name = "labels"
    separator: Name = ";"
    topic: Name | None = None
    cluster: Name | None = None


class TaxonomyColumns(Config, frozen=True):
    """The columns of the taxonomy; ``name``, ``description`` and ``topic`` are None where there is none."""

    id: Name = "id"
    name: Name | None = "name"
    description: Name | None = None
    topic: Name | None = None


class DetectionColumns(Config, frozen=True):
    """The columns of the detections; ``description``, ``topic`` and ``confidence`` are None where there is none."""

    item: Name = "item"
    model: Name = "model"
    strategy: Name = "strategy"
    name: Name = "name"
    description: Name | None = None
    topic: Name | None = None
    confidence: Name | None = None


class Columns(Config, frozen=True):
    """The columns of the three tables."""

    truth: TruthColumns = TruthColumns()
    taxonomy: TaxonomyColumns = TaxonomyColumns()
    detections: DetectionColumns = DetectionColumns()


Compared = Literal["name", "description", "both"]


class Fuzzy(Config, frozen=True):
    """Likeness of spelling: the greater of sequence ratio and token Jaccard.

    Attributes:
        threshold: the least likeness with which a detection gets a label.
        compare: what of detection and label is compared; an empty one falls back to the other.
    """

    threshold: Threshold = 0.5
    compare: Compared = "name"


class Semantic(Config, frozen=True):
    """Likeness of meaning: the cosine of embeddings.

    Attributes:
        threshold: the least cosine with which a detection gets a label; None takes that of the embedding provider.
        compare: what of detection and label is compared.
    """

    threshold: Threshold | None = None
    compare: Compared = "both"


class Hybrid(Config, frozen=True):
    """Both likenesses, weighted, and a bonus when the topics are the same.

    Attributes:
        threshold: the least sum with which a detection gets a label; below it there is none, whatever the others say.
        fuzzy: weight of the spelling.
        semantic: weight of the meaning.
        topic: what the same topic adds.
    """

    threshold: Threshold = 0.5
    fuzzy: Weight = 0.55
    semantic: Weight = 0.45
    topic: Annotated[float, msgspec.Meta(ge=0, le=0.1)] = 0.1


class Matchers(Config, frozen=True):
    """The matchers and which of them run."""

    use: Annotated[list[MatcherName], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: list(MATCHERS)
    )
    fuzzy: Fuzzy = Fuzzy()
    semantic: Semantic = Semantic()
    hybrid: Hybrid = Hybrid()


class EndpointEmbedding(Config, frozen=True):
    """An OpenAI-compatible endpoint for embeddings.

    Attributes:
        url: up to and without ``/embeddings``, such as ``http://localhost:8000/v1``.
        model: as the endpoint calls it.
        version: of what is behind it, where known; another version is another cache.
        key_variable: the environment variable that holds the key; None when none is needed.
        parameters: sent with every request, such as ``dimensions``.
        batch: texts a request.
        concurrency: requests at once.
        timeout: seconds a request.
        attempts: how often a request is tried.
        first_wait: seconds, the most that is waited after the first attempt; doubles with each.
        longest_wait: seconds, the most that is ever waited.
    """

    url: Name = "http://localhost:8000/v1"
    model: Name = "default"
    version: str = ""
    key_variable: Name | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    batch: Annotated[int, msgspec.Meta(ge=1, le=2048)] = 64
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    first_wait: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 1.0
    longest_wait: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 120.0

    def __post_init__(self) -> None:
        """Refuse an address that is none, or holds a secret."""
        check_url(self.url)


class Embedding(Config, frozen=True):
    """Where embeddings come from; ``endpoint`` says more of that provider."""

    provider: Provider = "static"
    endpoint: EndpointEmbedding = EndpointEmbedding()


class Bootstrap(Config, frozen=True):
    """The intervals and tests: cluster bootstrap and randomization."""

    confidence: Confidence = 0.95
    resamples: Annotated[int, msgspec.Meta(ge=100, le=1_000_000)] = 10_000
    margin: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01


class SweepSettings(Config, frozen=True):
    """Which settings are swept.

    Attributes:
        over: ``threshold`` tries every threshold of each matcher; ``nothing`` leaves them.
        steps: thresholds tried, evenly spaced in (0, 1].
    """

    over: Literal["nothing", "threshold"] = "nothing"
    steps: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 100


class EvaluationConfig(Config, frozen=True):
    """The whole configuration.

    Attributes:
        truth, taxonomy, detections: files, relative to the project; None when they are given with ``--data``.
            Detections may be made by ``detectors`` instead, or as well.
        facts: a JSON or YAML file with facts of the dataset (assignment, seed, generation model), for manifest.json.
        dataset: further facts; they win over those of the file.
        detectors: make detections in the run.
        longest_text: characters of a text that matchers read; what is longer is shortened, and a warning says so.
        bins: of the reliability curve.
        report: write report.md with pictures and report.html.
    """

    truth: Name | None = None
    taxonomy: Name | None = None
    detections: Name | list[Name] | None = None
    facts: Name | None = None
    dataset: dict[str, Any] = msgspec.field(default_factory=dict)
    columns: Columns = Columns()
    detectors: list[DetectorSettings] = msgspec.field(default_factory=list)
    matchers: Matchers = Matchers()
    embedding: Embedding = Embedding()
    longest_text: Annotated[int, msgspec.Meta(ge=10, le=100_000)] = 2_000
    bootstrap: Bootstrap = Bootstrap()
    sweep: SweepSettings = SweepSettings()
    bins: Annotated[int, msgspec.Meta(ge=2, le=100)] = 10
    report: bool = True
    version: str = ""
    description: str = ""
