"""The default provider: static word vectors of WordLlama, averaged. No torch, no network."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.pipelines.evaluation.embeddings import Vectors

_MODEL, _DIMENSIONS = "l2_supercat", 256


class StaticProvider:
    """WordLlama: the mean of a text's token vectors; the wheel carries the weights.

    Source: Miller, D. L. (2024), WordLlama: recycled token embeddings from large language models.
    """

    keep = False  # computing 30,000 texts a second is quicker than reading them from a cache
    batch = 64

    def __init__(self) -> None:
        """Load the weights from the installed package.

        Raises:
            MissingExtra: wordllama is not installed, or came without its weights.
        """
        self._model, weights = _load()
        from importlib.metadata import version

        self.name = f"static:wordllama-{_MODEL}-{_DIMENSIONS}"
        self.version = version("wordllama")
        self.digest = _digest(weights)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector a text."""
        found: Vectors = self._model.embed(list(texts), norm=False, batch_size=self.batch)
        return found


@lru_cache(maxsize=1)
def _load() -> tuple[Any, Path]:
    # Importing wordllama configures the root logger, and would make every library of the process talk.
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        import wordllama
    except ImportError as error:
        raise MissingExtra(
            "the semantic matcher needs static embeddings, which are an extra: pip install 'corrida[evaluation]'; "
            "or leave semantic and hybrid out of matchers.use"
        ) from error
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    folder = Path(wordllama.__file__).parent
    try:
        # The package folder as cache and no downloads: the tokenizer lies where only a cache is searched.
        model = wordllama.WordLlama.load(_MODEL, cache_dir=folder, dim=_DIMENSIONS, disable_download=True)
    except FileNotFoundError as error:
        raise MissingExtra(
            "the installed wordllama lacks its weights; pip install --force-reinstall 'corrida[evaluation]'"
        ) from error
    return model, folder / "weights" / f"{_MODEL}_{_DIMENSIONS}.safetensors"


@lru_cache(maxsize=1)
def _digest(weights: Path) -> str:
    import hashlib

    with weights.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
