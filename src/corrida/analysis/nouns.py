"""What to call the elements of a collection: one rule of ``rules``, una regla de ``reglas``."""

from __future__ import annotations

import re

_IRREGULAR = {
    "aliases": "alias",
    "analyses": "analysis",
    "axes": "axis",
    "biases": "bias",
    "caches": "cache",
    "children": "child",
    "criteria": "criterion",
    "cores": "core",
    "females": "female",
    "indices": "index",
    "males": "male",
    "matrices": "matrix",
    "people": "person",
    "sales": "sale",
    "scales": "scale",
    "scores": "score",
    "statuses": "status",
    "stores": "store",
    "vertices": "vertex",
}
_NO_PLURALS = {"always", "bias", "canvas", "lens", "series", "species", "this", "yes"}
# English and Spanish endings, the longest first; names of configuration keys rarely are anything else.
_ENDINGS = (
    ("ciones", "ción"),
    ("siones", "sión"),
    ("dades", "dad"),
    ("sses", "ss"),
    ("shes", "sh"),
    ("ches", "ch"),
    ("ales", "al"),
    ("eles", "el"),
    ("ores", "or"),
    ("ies", "y"),
    ("xes", "x"),
    ("s", ""),
)


def singular(word: str) -> str:
    """Return the singular of a plural noun, in English or Spanish; any other word as it is."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word in _NO_PLURALS or word.endswith(("ss", "us", "is")):
        return word
    for ending, replacement in _ENDINGS:
        if word.endswith(ending):
            return word.removesuffix(ending) + replacement
    return word


def is_plural(name: str) -> bool:
    """Tell whether the name of a collection holds a plural noun."""
    return _plural_word(name) is not None


def noun(name: str, count: int) -> str:
    """Return what ``count`` elements of a collection are called.

    Args:
        name: The collection's own key: ``rules``, ``business_rules``, ``reglasNegocio``.
        count: How many there are.

    Returns:
        "rule" or "rules"; "entry" or "entries" when the name says nothing.
    """
    word = _plural_word(name)
    if word is None:
        return "entry" if count == 1 else "entries"
    return singular(word) if count == 1 else word


def _plural_word(name: str) -> str | None:
    """Return the last plural word of a compound name."""
    words = [word.lower() for word in re.findall(r"[A-Z]{2,}(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+", name)]
    return next((word for word in reversed(words) if singular(word) != word), None)
