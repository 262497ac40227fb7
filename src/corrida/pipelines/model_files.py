"""Fitted models on disk: a folder a model, with what it is, which versions wrote it, and the digest of each file.

A model is data. A format that can run code when it is read (a pickle) is said to be one, and is read only with consent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from corrida.errors import DamagedRun, NewerFormat, NotFound, Refused

FACTS = "model.json"
FORMAT_VERSION = 1
CAN_RUN_CODE = frozenset({"pickle", "joblib", "cloudpickle", "dill", "torch-pickle"})


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What ``model.json`` says of a fitted model.

    Attributes:
        format_version: of this file.
        format: how the model is written, such as ``lightgbm-text``.
        libraries: the packages that wrote it, with their versions.
        facts: what the pipeline says of it.
        files: the digests of the other files by their place in the folder.
    """

    format_version: int = FORMAT_VERSION
    format: str
    libraries: dict[str, str] = {}
    facts: dict[str, Any] = {}
    files: dict[str, str]


def written_model(
    write: Callable[[Path], None],
    *,
    format: str,  # noqa: A002 - the word for it
    libraries: Sequence[str],
    facts: Mapping[str, Any],
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a model by their place in its folder, ``model.json`` the last.

    Args:
        write: called with an empty folder, into which it puts the files.
        format: how the model is written.
        libraries: names of the installed packages that wrote it.
        facts: what else is to be said of it; what JSON can hold.
    """
    import tempfile  # here, since readers write nothing
    from importlib.metadata import version

    with tempfile.TemporaryDirectory(prefix="corrida-model-") as temporary:
        folder = Path(temporary)
        write(folder)
        digests = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name, content = path.relative_to(folder).as_posix(), path.read_bytes()
            digests[name] = f"sha256:{hashlib.sha256(content).hexdigest()}"
            yield name, content
    about = ModelFacts(
        format=format, libraries={name: version(name) for name in libraries}, facts=dict(facts), files=digests
    )
    yield FACTS, msgspec.json.format(msgspec.json.encode(about)) + b"\n"


def read_facts(folder: Path) -> ModelFacts:
    """Return what a saved model says of itself.

    Raises:
        NotFound: there is no such model.
        DamagedRun: its ``model.json`` cannot be read.
    """
    name = f"models/{folder.name}"
    try:
        content = (folder / FACTS).read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"there is no model {folder.name!r} in the run; its folder {name} has no {FACTS}"
        ) from None
    try:
        facts = msgspec.json.decode(content, type=ModelFacts)
    except msgspec.DecodeError as error:
        raise DamagedRun(f"{name}/{FACTS} cannot be read ({error}); restore the run from a copy") from None
    if facts.format_version > FORMAT_VERSION:
        raise NewerFormat(f"{name} was written by a later version of corrida; upgrade corrida")
    return facts


def check_model(folder: Path, *, trust: bool = False) -> ModelFacts:
    """Return what a saved model is, after every file of it was found as it was written.

    Args:
        folder: ``models/<name>`` of a run.
        trust: consent to formats that can run code.

    Raises:
        NotFound: there is no such model.
        DamagedRun: a file is missing, altered or not one of the model's.
        Refused: the format can run code and nobody consented.
    """
    facts, name = read_facts(folder), f"models/{folder.name}"
    if facts.format in CAN_RUN_CODE and not trust:
        raise Refused(
            f"{name} is a {facts.format}, which can run any code when it is read; "
            "give --trust if you know who wrote it"
        )
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {FACTS}
    if there != set(facts.files):
        odd = min(there ^ set(facts.files))
        state = "is not one of the model's" if odd in there else "is missing"
        raise DamagedRun(f"{name}/{odd} {state}; restore the run from a copy")
    for file, digest in facts.files.items():
        if f"sha256:{hashlib.sha256((folder / file).read_bytes()).hexdigest()}" != digest:
            raise DamagedRun(
                f"{name}/{file} was altered since the run; it is not loaded. Restore the run from a copy"
            )
    return facts


def library_changes(models: Path) -> dict[str, tuple[str, str]]:
    """Return the libraries whose version is no longer the one that wrote a model: name to then and now.

    The version now is ``none`` where the library is not installed. Models that say nothing of libraries are passed over.
    """
    from importlib.metadata import PackageNotFoundError, version

    changes: dict[str, tuple[str, str]] = {}
    for folder in sorted(p.parent for p in models.glob(f"*/{FACTS}")):
        for name, then in read_facts(folder).libraries.items():
            try:
                now = version(name)
            except PackageNotFoundError:
                now = "none"
            if now != then:
                changes[name] = (then, now)
    return changes
