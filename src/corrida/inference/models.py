"""Which run scores: the alias is resolved once for each job, and the run is named by the digest of all it holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from corrida.errors import DamagedRun, Refused
from corrida.runs import layout
from corrida.runs.files import digest_file
from corrida.runs.store import Store

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

_MEND = "promote another run, or restore it from a copy"


class Model(NamedTuple):
    """A run that scores.

    Attributes:
        run_id: of it.
        digest: the seal of its run.json, which holds the digests of all its files.
        pipeline: its name.
        uses: what loads it: a pipeline that is built in or installed, or ``module:object`` of the project.
        folder: of the run.
    """

    run_id: str
    digest: str
    pipeline: str
    uses: str
    folder: Path


def resolve_model(store_folder: Path, reference: str) -> Model:
    """Return the run that a reference stands for now.

    Args:
        store_folder: of the runs.
        reference: ``@alias``, or the id of a run.

    Raises:
        AliasNotFound, RunNotFound: it points nowhere.
        DamagedRun: the run cannot be read, or is another than the one that was promoted.
        Refused: it has not finished, or holds no models.
    """
    store = Store(store_folder)
    record: RunRecord = store.get(reference)
    content = record.run_file()
    if content.status != "finished" or not content.seal:
        raise Refused(f"the run {record.id} has not finished; promote one that has")
    if not (record.dir / layout.MODELS_DIR).is_dir():
        raise Refused(f"the run {record.id} holds no models; promote one that does")
    promotion = store.aliases().get(reference.removeprefix("@")) if reference.startswith("@") else None
    if promotion is not None and promotion.digest not in {None, content.seal}:
        raise DamagedRun(f"the run {record.id} was altered since it was promoted; {_MEND}")
    uses = (content.invocation.uses if content.invocation else None) or record.pipeline
    return Model(record.id, content.seal, record.pipeline, uses, record.dir)


def check_models(model: Model) -> None:
    """Compare the models of a run with the digests that it was sealed with.

    Raises:
        DamagedRun: run.json or a file was altered, is missing, is a link, or was put there since.
    """
    from corrida.runs.run_file import read_run_file, seal_is_intact

    try:
        intact = seal_is_intact((model.folder / layout.RUN).read_bytes())
    except OSError:
        raise DamagedRun(f"the run {model.run_id} is gone, or cannot be read; {_MEND}") from None
    content = read_run_file(model.folder)
    if not intact or content.seal != model.digest:
        raise DamagedRun(f"the run {model.run_id} is not used: {layout.RUN} was altered since; {_MEND}")
    known = {name: file for name, file in content.files.items() if name.startswith(f"{layout.MODELS_DIR}/")}
    there = _files_in(model)
    if odd := sorted(there ^ known.keys()):
        state = "was put there since it was trained" if odd[0] in there else "is missing"
        raise DamagedRun(f"the run {model.run_id} is not used: {odd[0]} {state}; {_MEND}")
    for name, stored in known.items():
        if digest_file(model.folder / name) != (stored.size, stored.sha256):
            raise DamagedRun(
                f"the run {model.run_id} is not used: {name} was altered since it was trained; {_MEND}"
            )


def _files_in(model: Model) -> set[str]:
    """Return the model files of a run; a link is none, since what it leads to is not the run's."""
    found = set()
    top = model.folder / layout.MODELS_DIR
    for folder, folders, files in os.walk(top):
        for name in (".", *folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                place = path.relative_to(model.folder).as_posix()
                raise DamagedRun(f"the run {model.run_id} is not used: {place} is a link; {_MEND}")
        found |= {Path(folder, name).relative_to(model.folder).as_posix() for name in files}
    return found
