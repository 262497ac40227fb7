"""Folding of text, and how a phrase is found in it, the same for every script.

Folded text is a list of tokens. In scripts that put spaces between words a token is a word. In those that do not
(Chinese, Japanese, Thai, Lao, Khmer, Burmese) each character is a token, because where a word ends there is not
written down; a phrase is then found wherever its characters stand in a row.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

Match = Literal["word", "prefix", "substring"]

# Letters with a stroke have no decomposition in Unicode, yet people leave the stroke out when they type.
_STROKES = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "\u0131": "i"})
# Only the general combining marks are accents. The marks of other blocks (the voicing marks of kana, the vowel
# signs of Indic scripts) make a different letter and stay.
_FIRST_ACCENT, _LAST_ACCENT = "\u0300", "\u036f"
_UNSPACED = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Burmese
    ("\u1780", "\u17ff"),  # Khmer
    ("\u2e80", "\u2fdf"),  # radicals
    ("\u3005", "\u3007"),
    ("\u3040", "\u30ff"),  # hiragana, katakana
    ("\u31f0", "\u31ff"),
    ("\u3400", "\u9fff"),  # Han
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
# Part of a word when they follow it, so that "C++" and "C#" are not "C".
_TRAILING_SYMBOLS = "+#"


def fold(text: str) -> str:
    """Return the text without differences of case, width, ligature and accent, and without invisible characters.

    Folding twice changes nothing.

    Source: Unicode Standard Annex 15 (NFKD, NFC) and chapter 3.13 (default case folding).
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(char for char in decomposed if not _is_dropped(char))
    return unicodedata.normalize("NFC", bare.translate(_STROKES))


@lru_cache(maxsize=100_000)
def tokens(text: str) -> tuple[str, ...]:
    """Split a text into folded tokens: words, or single characters where a script has no spaces."""
    found: list[str] = []
    inside = False  # whether the character before belongs to the last token
    for char in fold(text):
        kind = unicodedata.category(char)[0]
        continues = inside and not _is_unspaced(found[-1][0])
        if kind == "M" and inside:
            found[-1] += char
        elif kind in "LN":
            if continues and not _is_unspaced(char) and found[-1][-1] not in _TRAILING_SYMBOLS:
                found[-1] += char
            else:
                found.append(char)
            inside = True
        elif char in _TRAILING_SYMBOLS and continues:
            found[-1] += char
        else:
            inside = False
    return tuple(found)


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


def _is_dropped(char: str) -> bool:
    """Say whether a character makes no word: accents, and invisible ones such as soft hyphens."""
    if char < "\u00ad":
        return False
    return (
        _FIRST_ACCENT <= char <= _LAST_ACCENT
        or "\ufe00" <= char <= "\ufe0f"
        or unicodedata.category(char) == "Cf"
    )


def _is_unspaced(char: str) -> bool:
    """Say whether the character is of a script that writes words without spaces between them."""
    return char >= "\u0e00" and any(first <= char <= last for first, last in _UNSPACED)
