"""Loading the run of the alias before a file comes, so that the first after a start or a promotion does not wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from corrida.errors import CorridaError
from corrida.inference.models import resolve_model
from corrida.inference.problems import Failed, problem_of
from corrida.inference.telemetry import log

if TYPE_CHECKING:
    from corrida.inference.children import Children
    from corrida.inference.settings import Runner

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 60.0
Tell = Callable[[str | None, str | None], None]


class Preloader:
    """A thread that keeps the run of the alias loaded in the children that have nothing to do.

    What cannot be loaded is said once in the log, and tried again after a minute, or when the alias has changed; files
    that come meanwhile say it themselves.
    """

    def __init__(self, runner: Runner, children: Children, tell: Tell | None = None) -> None:
        """Prepare; :meth:`start` begins.

        Args:
            runner: its store and alias.
            children: what loads.
            tell: called with the seal of the run and why it cannot be loaded, whenever one of the two has changed.
        """
        self._runner, self._children, self._tell = runner, children, tell
        self._said: str | None = None
        self._broken: str | None = None
        self._why: str | None = None
        self._again = 0.0
        self._told: tuple[str | None, str | None] = (None, None)
        self._thread = threading.Thread(target=self._keep, name="corrida-preload", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def _keep(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the worker works without
                self._say(f"{type(error).__name__}: {error}".partition("\n")[0])
            if self._children.closing.wait(LOOK_SECONDS):
                return

    def look(self) -> None:
        """Load the run that the alias points to now in every child that has nothing to do."""
        try:
            model = resolve_model(self._runner.store, f"@{self._runner.limits.alias}")
        except (CorridaError, OSError) as error:
            self._say(str(error))
            self._tell_others(None, problem_of(error).message)
            return
        loaded = self._children.loaded(model.digest) > 0
        if model.digest == self._broken and not loaded and time.monotonic() < self._again:
            self._tell_others(model.digest, self._why)
            return
        try:
            while self._children.preload(model):
                pass
        except Failed as failure:
            self._broken, self._again = model.digest, time.monotonic() + AGAIN_SECONDS
            self._say(failure.problem.message, model.run_id)
            self._why = failure.problem.message
            self._tell_others(model.digest, self._why)
            return
        self._said = self._broken = None
        self._tell_others(model.digest, None)

    def _tell_others(self, digest: str | None, why: str | None) -> None:
        if self._tell is not None and (digest, why) != self._told:
            self._tell(digest, why)
            self._told = digest, why

    def _say(self, why: str, run_id: str | None = None) -> None:
        if why != self._said:
            self._said = why
            log("not loaded", alias=self._runner.limits.alias, run=run_id, message=why)
