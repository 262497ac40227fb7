"""Embeddings: texts as vectors whose cosine says how alike in meaning they are.

A *provider* turns texts into vectors; :class:`TextEmbedder` does what is the same for all: each text once, in batches,
with progress, from the cache where it is known, to unit length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.evaluation.embeddings.cache import VectorCache
    from corrida.pipelines.evaluation.settings import Embedding
    from corrida.pipelines.evaluation.settings import Provider as ProviderName

    Vectors: TypeAlias = NDArray[np.float32]

# The cosine with which two texts count as alike, when the configuration does not say. Chosen on real explanations of wrong
# answers against a taxonomy of which a random half was taken away, so that half of them ought to get no label: the
# middle of where F1 is near its greatest (docs/pipelines/evaluation.md has the numbers).
THRESHOLDS: dict[ProviderName, float] = {"static": 0.4, "minilm": 0.5, "endpoint": 0.5}

_WIDEST = 500_000  # characters of a batch when all its texts are as long as the longest


class Provider(Protocol):
    """Where vectors come from.

    Attributes:
        name: of provider and model, such as ``static:wordllama-l2_supercat-256``.
        version: of the package or service.
        digest: of the weights, where they are at hand; else of what names them.
        keep: whether vectors are worth keeping on disk.
        batch: texts a call.
    """

    name: str
    version: str
    digest: str
    keep: bool
    batch: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector a text, of any length: texts × dimensions."""
        ...


class TextEmbedder:
    """A provider with cache, batches and progress.

    Attributes:
        provider: where vectors come from.
        computed: texts that the provider was asked for.
        recalled: texts that came from the cache on disk.
    """

    def __init__(
        self, provider: Provider, recorder: Recorder | None = None, cache: VectorCache | None = None
    ) -> None:
        """Embed with ``provider``; show progress with ``recorder`` and keep vectors in ``cache``, where given."""
        self.provider = provider
        self.computed = self.recalled = 0
        self._recorder, self._cache = recorder, cache
        self._known: dict[str, Vectors] = {}

    def vectors(self, texts: Sequence[str], *, label: str = "embedding") -> Vectors:
        """Return texts × dimensions, each of unit length; zeros for a text without a single token.

        Args:
            texts: each is embedded once, however often it occurs.
            label: what progress is shown under.

        Raises:
            ValueError: a vector is not finite, or the provider gave another number of them.
        """
        import numpy as np

        unique = list(dict.fromkeys(texts))
        missing = [text for text in unique if text not in self._known]
        if missing and self._cache is not None:
            found = self._cache.get(missing)
            self.recalled += len(found)
            self._known |= {text: unit(vector[None, :])[0] for text, vector in found.items()}
            missing = [text for text in missing if text not in found]
        if missing:
            self._compute(missing, label)
        if not unique:
            return np.zeros((0, 1), dtype=np.float32)
        places = {text: place for place, text in enumerate(unique)}
        table = np.stack([self._known[text] for text in unique])
        return table if len(unique) == len(texts) else table[[places[text] for text in texts]]

    def _compute(self, texts: list[str], label: str) -> None:
        import numpy as np

        batches = list(_batches(texts, self.provider.batch))
        shown = (
            batches
            if self._recorder is None
            else self._recorder.progress(batches, total=len(batches), label=label)
        )
        for batch in shown:
            raw = np.asarray(self.provider.embed(batch), dtype=np.float32)
            if raw.ndim != 2 or raw.shape[0] != len(batch) or not np.isfinite(raw).all():
                raise ValueError(
                    f"the embedding {self.provider.name} gave {raw.shape} for {len(batch)} texts, or numbers that are not finite"
                )
            if self._cache is not None:
                self._cache.put(batch, raw)  # before the next batch: a run that is killed keeps what it has
            self._known.update(zip(batch, unit(raw), strict=True))
            self.computed += len(batch)

    def facts(self) -> dict[str, object]:
        """Return what identifies the embedding, for the manifest."""
        return {
            "provider": self.provider.name,
            "version": self.provider.version,
            "digest": self.provider.digest,
        }


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    """Yield texts of like length together: a batch is as wide as its longest text, and takes as much memory."""
    batch: list[str] = []
    for text in sorted(texts, key=len):
        if batch and (len(batch) == most or len(text) * (len(batch) + 1) > _WIDEST):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def unit(vectors: Vectors) -> Vectors:
    """Return vectors of length 1; those of length 0 stay."""
    import numpy as np

    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float32)


def make_embedder(settings: Embedding, recorder: Recorder | None = None) -> TextEmbedder:
    """Return the embedder that the configuration names.

    Raises:
        MissingExtra: its package is not installed.
    """
    provider = _provider(settings)
    if not provider.keep:
        return TextEmbedder(provider, recorder)
    from corrida.pipelines.evaluation.embeddings.cache import VectorCache

    return TextEmbedder(
        provider, recorder, VectorCache(f"{provider.name} {provider.version} {provider.digest}")
    )


def _provider(settings: Embedding) -> Provider:
    if settings.provider == "static":
        from corrida.pipelines.evaluation.embeddings.static import StaticProvider

        return StaticProvider()
    if settings.provider == "minilm":
        from corrida.pipelines.evaluation.embeddings.minilm import MiniLMProvider

        return MiniLMProvider()
    from corrida.pipelines.evaluation.embeddings.endpoint import EndpointProvider

    return EndpointProvider(settings.endpoint)
