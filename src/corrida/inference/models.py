"""Which run scores: the alias is resolved once for each job, and the run is named by the digest of all it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from corrida.errors import DamagedRun, NotFound, Refused
from corrida.runs import layout
from corrida.runs.files import digest_file
from corrida.runs.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.runs.record import RunRecord


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
        DamagedRun: the run cannot be read.
        Refused: it has not finished, or holds no models.
    """
    record: RunRecord = Store(store_folder).get(reference)
    content = record.run_file()
    if content.status != "finished" or not content.seal:
        raise Refused(f"the run {record.id} has not finished; promote one that has")
    if not (record.dir / layout.MODELS_DIR).is_dir():
        raise NotFound(f"the run {record.id} holds no models; promote one that does")
    uses = (content.invocation.uses if content.invocation else None) or record.pipeline
    return Model(record.id, content.seal, record.pipeline, uses, record.dir)


def check_models(model: Model) -> None:
    """Compare the models of a run with the digests that it was sealed with.

    Raises:
        DamagedRun: a file was altered, or is missing.
    """
    from corrida.runs.run_file import read_run_file

    for name, stored in read_run_file(model.folder).files.items():
        if not name.startswith(f"{layout.MODELS_DIR}/"):
            continue
        path = model.folder / name
        if not path.is_file() or digest_file(path) != (stored.size, stored.sha256):
            raise DamagedRun(
                f"the run {model.run_id} is not used: {name} was altered since it was trained; promote another run"
            )
