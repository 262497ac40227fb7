"""What went into a run: configurations, data, code, the command and the environment."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from corrida.errors import CorridaError
from corrida.web.run_files import opened

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

_CONFIG_BYTES = 200_000
_DIFF_BYTES = 200_000


def inputs(run: RunRecord) -> dict[str, Any]:
    """Return what the page of the inputs shows; what cannot be read is told among the problems."""
    problems: list[str] = []
    configs = []
    content: dict[str, bytes] = {}
    manifest: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    invocation: Any = None
    try:
        content = run.config_files()
    except CorridaError as error:
        problems.append(str(error))
    for copy in run.configs:
        data = content.get(copy.origin)
        shown = None if data is None else data[:_CONFIG_BYTES].decode("utf-8", "replace")
        configs.append((copy, shown, data is not None and len(data) > _CONFIG_BYTES))
    try:
        manifest = run.manifest()
    except CorridaError as error:
        problems.append(str(error))
    try:
        whole = run.run_file()
    except CorridaError as error:
        problems.append(str(error))
    else:
        environment, invocation = whole.environment, whole.invocation
    return {
        "configs": configs,
        "data": manifest.get("data", []),
        "dataset": _folded(manifest.get("dataset")),
        "diff": _diff(run, problems),
        "environment": _folded(environment),
        "invocation": None if invocation is None else _invocation(invocation),
        "argv": shlex.join(run.argv),
        "problems": problems,
    }


def _folded(value: Any) -> Any:
    from corrida.web.folded import folded

    return folded(value, opened=False) if value else None


def _invocation(invocation: Any) -> Any:
    import msgspec

    from corrida.web.folded import folded

    kept = {k: v for k, v in msgspec.to_builtins(invocation).items() if k != "code"}
    return folded(kept)


def _diff(run: RunRecord, problems: list[str]) -> list[tuple[str, str]] | None:
    """Return the lines of what was not committed, each with what it is."""
    if run.git is None or not run.git.diff:
        return None
    try:
        with opened(run.dir, run.git.diff) as fd:
            text = os.pread(fd, _DIFF_BYTES, 0).decode("utf-8", "replace")
    except CorridaError as error:
        problems.append(str(error))
        return None
    kinds = {"+": "added", "-": "removed", "@": "place", "d": "file"}
    return [(kinds.get(line[:1], ""), line) for line in text.split("\n")]
