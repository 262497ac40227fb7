"""What was configured differently from one run to the next, over many runs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from corrida.errors import CorridaError
from corrida.runs.record import flatten

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from corrida.analysis.config_diff import ConfigsDiff
    from corrida.runs.record import RunRecord

_MOST = 2_000
_SECONDS = 1.0


class ConfigStep(NamedTuple):
    """A run that was configured otherwise than the run of its pipeline before it.

    Attributes:
        run: the later one.
        before: the earlier one.
        lines: what changed, a line a file and parameter, as ``corrida compare`` says it.
        in_files: whether files changed, and not parameters alone.
    """

    run: RunRecord
    before: RunRecord
    lines: tuple[str, ...]
    in_files: bool


class ConfigTimeline:
    """Finds such steps; what two sets of files differ in is known by their digests and remembered."""

    def __init__(self, list_keys: Sequence[str] = ()) -> None:
        """Remember nothing yet.

        Args:
            list_keys: names of keys that identify the objects of a list, before the usual ones.
        """
        self._keys = tuple(list_keys)
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, ConfigsDiff] = OrderedDict()

    def steps(self, runs: Sequence[RunRecord], *, seconds: float = _SECONDS) -> list[ConfigStep]:
        """Return the steps among some runs, each compared with the one of its pipeline before it.

        Args:
            runs: the oldest first.
            seconds: after that many no more files are read; of a step that is not known then it is only said that the
                files differ.
        """
        end = time.monotonic() + seconds
        found = []
        before: dict[str, RunRecord] = {}
        for run in runs:
            if run.status == "unreadable":
                continue
            last = before.get(run.pipeline)
            before[run.pipeline] = run
            if last is None:
                continue
            files, params = self._lines(last, run, end)
            if files or params:
                found.append(ConfigStep(run, last, (*files, *params), bool(files)))
        return found

    def _lines(self, a: RunRecord, b: RunRecord, end: float) -> tuple[list[str], list[str]]:
        """Return what changed in files, and beyond them."""
        from corrida.analysis.compare import ParamChange
        from corrida.analysis.compare_report import params_beyond, without_common_folder
        from corrida.analysis.config_diff import summary_line

        try:
            configs = self._diff(a, b, end)
        except CorridaError as error:
            return [str(error)], []
        if configs is None:
            return ["the configuration files differ"], []
        lines = [summary_line(file) for file in without_common_folder(configs.differing)]
        before, after = flatten(a.params), flatten(b.params)
        params = [
            ParamChange(name, before.get(name), after.get(name))
            for name in dict.fromkeys([*before, *after])
            if (name in before) != (name in after) or before[name] != after[name]
        ]
        return lines, params_beyond(params, configs.files)

    def _diff(self, a: RunRecord, b: RunRecord, end: float) -> ConfigsDiff | None:
        """Return how the files of two runs differ; None when there is no time left to look."""
        from corrida.analysis.config_diff import DEFAULT_KEYS, ConfigsDiff, diff_configs

        key = _digests(a), _digests(b)
        if key[0] == key[1]:
            return ConfigsDiff(files=())
        with self._lock:
            known = self._known.get(key)
        if known is not None or time.monotonic() > end:
            return known
        made = diff_configs(a.config_files(), b.config_files(), keys=(*self._keys, *DEFAULT_KEYS))
        with self._lock:
            self._known[key] = made
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return made


def _digests(run: RunRecord) -> frozenset[tuple[str, str]]:
    return frozenset((copy.origin, copy.sha256) for copy in run.configs)
