"""Any folder: one run, of which every file is an artifact."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from corrida.adopt.old_run import Found, OldRun, places
from corrida.adopt.times import when

if TYPE_CHECKING:
    from corrida.adopt.tree import Tree

NAME = "generic"
PIPELINE = "adopted"
SHAPE = "any folder as one run, with every file as an artifact"


def recognise(tree: Tree) -> bool:
    """Return False: any folder could be read so, and nobody should be surprised by it."""
    del tree
    return False


def read(tree: Tree, now: datetime) -> Found:
    """Take the whole folder for one run; nothing in it is understood."""
    names = tree.below("")
    run = OldRun(
        old_id=tree.root.name,
        base="",
        when=when([], tree.root.name, [tree.files[n].mtime_ns for n in names], now, []),
        files=places(names, ""),
    )
    remark = "every file became an artifact; metrics and configurations in them were not looked for"
    return Found(layout=NAME, pipeline=PIPELINE, runs=[run], remarks=[remark])
