"""Folding of text and its tokens, the same for every script.

Folded text is a list of tokens. In scripts that put spaces between words a token is a word. In those that do not
(Chinese, Japanese, Thai, Lao, Khmer, Burmese) each character is a token, because where a word ends there is not
written down; a phrase is then found wherever its characters stand in a row.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

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
