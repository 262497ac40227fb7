"""How a phrase is found in a text: both as tokens between single spaces (:mod:`corrida.pipelines.text`)."""

from __future__ import annotations

from typing import Literal

from corrida.pipelines.text import tokens

Match = Literal["word", "prefix", "substring"]


def searchable(text: str) -> str:
    """Return the tokens of a text between single spaces, with one at each end: what :func:`contains` searches."""
    return f" {' '.join(tokens(text))} "


def phrase(text: str) -> str:
    """Return the tokens of a phrase between single spaces; empty when nothing is left to search for."""
    return " ".join(tokens(text))


def contains(text: str, wanted: str, match: Match) -> bool:
    """Say whether a phrase is in a text.

    Args:
        text: as :func:`searchable` returns it.
        wanted: as :func:`phrase` returns it; not empty.
        match: ``word`` finds whole words ("cajero" is not in "encajero"), ``prefix`` beginnings of words
            ("contab" is in "contable"), ``substring`` any place.
    """
    if match == "word":
        return f" {wanted} " in text
    if match == "prefix":
        return f" {wanted}" in text
    return wanted in text


def singular(token: str, plural_suffixes: tuple[str, ...]) -> str:
    """Return a token without its plural ending, longest ending first.

    At least three characters stay, and a doubled letter is kept ("glass"). The same is done to both sides, so
    an ending cut from a word that was no plural does no harm but where two words then coincide.
    """
    for suffix in plural_suffixes:
        stem = token.removesuffix(suffix)
        if suffix and stem != token and len(stem) >= 3 and not stem.endswith(suffix):
            return stem
    return token
