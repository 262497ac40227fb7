"""The grammar of run ids, aliases and references."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import NamedTuple

from corrida.errors import InvalidName, InvalidReference

MAX_LENGTH = 128
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_LATEST = re.compile(r"latest(?:~([0-9]{1,9}))?", re.ASCII)

# Names with a meaning of their own: references, files of the store, a key of index.json, and what Windows
# takes for devices (a store may be copied there).
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
RESERVED = frozenset({"latest", "format_version", "index.json", "aliases.jsonl", *_DEVICES})


class Reference(NamedTuple):
    """A parsed reference; exactly one of the three is set.

    Attributes:
        name: a run id or a prefix of one.
        back: 0 for ``latest``, n for ``latest~n``.
        alias: the name after ``@``.
    """

    name: str | None = None
    back: int | None = None
    alias: str | None = None


def validate_run_id(run_id: str) -> str:
    """Return ``run_id`` when it is allowed.

    Allowed are 1 to 128 ASCII letters, digits, ``.``, ``_`` and ``-``, starting with a letter or digit,
    except reserved names.

    Raises:
        InvalidName: naming what is wrong with it.
    """
    return _validate(run_id, "run id")


def is_run_id(name: str) -> bool:
    """Tell whether ``name`` could be a run id; what else lies in a store is none of corrida's business."""
    return _ID.fullmatch(name) is not None and name.lower() not in RESERVED


def validate_alias(alias: str) -> str:
    """Return ``alias`` when it is allowed; the grammar is that of run ids.

    Raises:
        InvalidName: naming what is wrong with it.
    """
    return _validate(alias, "alias")


def _validate(name: object, what: str) -> str:
    if not isinstance(name, str):
        raise InvalidName(f"a {what} must be text, not {type(name).__name__}")
    rule = f"use 1 to {MAX_LENGTH} ASCII letters, digits, '.', '_' and '-', starting with a letter or digit"
    if not name:
        raise InvalidName(f"the {what} is empty; {rule}")
    if len(name) > MAX_LENGTH:
        raise InvalidName(f"the {what} {name[:20]}… has {len(name)} characters; {rule}")
    if not _ID.fullmatch(name):
        raise InvalidName(f"the {what} {name!r} is not allowed; {rule}")
    if name.lower() in RESERVED or name.split(".")[0].lower() in _DEVICES:
        raise InvalidName(f"the {what} {name!r} is reserved; choose another")
    return name


def id_from_tag(tag: object) -> str:
    """Return ``run_<tag>``.

    Accents are folded and other characters outside the grammar become ``_``, so that a tag such as
    ``más rápido`` works; a tag of which nothing is left is refused.

    Raises:
        InvalidName: the tag is empty, too long, or has no letter or digit that an id may hold.
    """
    if not isinstance(tag, str):
        raise InvalidName(f"a run tag must be text, not {type(tag).__name__}")
    folded = unicodedata.normalize("NFKD", tag)
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    if "/" in tag or "\\" in tag or "\0" in tag:
        raise InvalidName(f"the run tag {tag!r} looks like a path; use letters, digits, '.', '_' and '-'")
    body = re.sub(r"[^A-Za-z0-9._-]+", "_", folded)
    if not re.search(r"[A-Za-z0-9]", body):
        raise InvalidName(f"the run tag {tag!r} has no ASCII letter or digit; give --run-id or another tag")
    return validate_run_id("run_" + body.removeprefix("run_"))


def child_id(parent: str, name: str) -> str:
    """Return the id of a child of ``parent``: ``<parent>-<name>``, cut to leave room for a number behind it.

    Accents are folded and other characters outside the grammar become ``_``; a name of which nothing is left is
    ``child``.
    """
    folded = unicodedata.normalize("NFKD", name)
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    body = re.sub(r"[^A-Za-z0-9._-]+", "_", folded).strip("_-.")
    return validate_run_id(f"{parent[:80]}-{body[:40] or 'child'}")


def generated_id(now: datetime, seed: int | None) -> str:
    """Return ``run_<YYYY-MM-DD>_seed<seed>``, or ``run_<YYYYMMDD_HHMMSS>`` without a seed.

    Args:
        now: the time of the claim, in UTC.
        seed: the seed of the run, if it has one.
    """
    if seed is not None:
        return validate_run_id(f"run_{now:%Y-%m-%d}_seed{seed}".replace("seed-", "seed_minus"))
    return f"run_{now:%Y%m%d_%H%M%S}"


def parse_reference(text: object) -> Reference:
    """Read a reference: an id, a prefix of one, ``latest``, ``latest~2`` or ``@alias``.

    Raises:
        InvalidReference: it is none of these.
    """
    if not isinstance(text, str) or not text:
        raise InvalidReference("the reference is empty; give a run id, a prefix, latest, latest~1 or @alias")
    if text.startswith("@"):
        try:
            return Reference(alias=validate_alias(text[1:]))
        except InvalidName as error:
            raise InvalidReference(str(error)) from None
    if latest := _LATEST.fullmatch(text):
        return Reference(back=int(latest.group(1) or 0))
    if text.startswith("latest~"):
        raise InvalidReference(
            f"{text!r} is not a reference; after latest~ comes a whole number, as in latest~1"
        )
    if not _ID.fullmatch(text):
        shown = text if len(text) <= 60 else text[:60] + "…"
        raise InvalidReference(
            f"{shown!r} cannot be a run; give a run id, a prefix of one, latest, latest~1 or @alias"
        )
    return Reference(name=text)
