"""Detectors behind an OpenAI-compatible endpoint for chat completions.

Every item is asked once under every strategy and model. An answer that can be read is kept at once, so that asking it again
costs nothing. A question without one, after all attempts, is *failed*: it says nothing of the item, least of all that
it is clean. When the endpoint answers nobody any more, the run ends and says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import count
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from corrida.errors import EndpointFailed
from corrida.pipelines.evaluation.detect import Detected, Failed
from corrida.pipelines.evaluation.detect.answers import Finding, read_answer, resolve
from corrida.pipelines.evaluation.detect.asking import Asked, Asker, Question
from corrida.pipelines.evaluation.detect.cache import AnswerCache, question_key
from corrida.pipelines.evaluation.detect.prompts import Prompt, check_prompt, load_prompt, messages_for
from corrida.pipelines.evaluation.detect.rows import Row, detections_table
from corrida.pipelines.evaluation.detect.tally import Tally
from corrida.pipelines.evaluation.transport import apart, read_key, require_client

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.detect import Request
    from corrida.pipelines.evaluation.detect.settings import EndpointDetector


class EndpointModels:
    """The models of an endpoint under the strategies of its settings."""

    def __init__(self, settings: EndpointDetector) -> None:
        """Detect as ``settings`` say; templates that stand in them are checked now.

        Raises:
            InvalidConfig: such a template has an unknown placeholder or reads nothing of the item.
        """
        self._settings = settings
        # Tells the files of detectors of one run apart.
        self._short = hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()[:8]
        for name, prompt in settings.strategies.items():
            if isinstance(prompt, Prompt):
                check_prompt(prompt, f"detectors, strategy {name!r}")

    def columns(self) -> Sequence[str]:
        """Return the columns of the truth that templates in the settings read; those in files are checked later."""
        prompts = [prompt for prompt in self._settings.strategies.values() if isinstance(prompt, Prompt)]
        return list(dict.fromkeys(column for prompt in prompts for column in prompt.columns()))

    def files(self) -> Mapping[str, str]:
        """Return the files of templates."""
        return {_role(path): path for path in self._settings.strategies.values() if isinstance(path, str)}

    def detect(self, request: Request) -> Detected:
        """Ask about every item under every strategy and model.

        Raises:
            MissingExtra: the HTTP client is not installed.
            InvalidConfig: a template, or the variable with the key, cannot be used; nothing was asked.
            EndpointFailed: the endpoint does not answer; what it has answered is kept.
            StoreError: answers cannot be kept.
        """
        require_client()
        key = read_key(self._settings.key_variable)
        prompts = self._prompts(request)
        pairs = [(strategy, model) for model in self._settings.models for strategy in prompts]
        total = len(pairs) * len(request.truth)
        tally = Tally(self._settings)
        asker = Asker(
            self._settings, key, self._caches(), lambda text, strategy: self._read(text, prompts[strategy])
        )
        questions = self._questions(prompts, request)
        templates = msgspec.yaml.encode({"strategies": msgspec.to_builtins(prompts)}).decode()
        request.recorder.save_text(f"prompts_{self._short}.yaml", templates)
        asked: list[Asked] = []

        async def ask_all(emit: Callable[[Asked], None]) -> None:
            await asker.ask_all(questions, emit)

        with closing(apart(ask_all)) as coming:
            try:
                for one in request.recorder.progress(coming, total=total, label="asking"):
                    tally.count(one)
                    asked.append(one)
            except EndpointFailed as error:
                raise EndpointFailed(f"{error} {self._kept(tally, total)}") from None
            except KeyboardInterrupt:
                kept = f"interrupted: {self._kept(tally, total)}"
                request.recorder.warn(kept)
                raise KeyboardInterrupt(kept) from None
        asked.sort(key=lambda one: one.question.place)
        self._report(asked, tally, total, request)
        rows = [
            row
            for one in asked
            if one.answer is not None
            for row in self._rows(one.question, one.answer.text, prompts, request)
        ]
        failed = [
            Failed(one.question.item, one.question.strategy, one.question.model, one.problem, one.attempts)
            for one in asked
            if one.answer is None
        ]
        facts = tally.facts()
        facts["prompts"] = {name: _digest(prompt) for name, prompt in prompts.items()}
        return Detected(detections_table(rows), pairs, failed, facts)

    def _prompts(self, request: Request) -> dict[str, Prompt]:
        found = {}
        for name, given in self._settings.strategies.items():
            found[name] = load_prompt(request.files[_role(given)], given) if isinstance(given, str) else given
        return found

    def _caches(self) -> dict[str, AnswerCache] | None:
        if not self._settings.cache:
            return None
        models = self._settings.models.items()
        return {name: AnswerCache(self._settings.url, model.id or name) for name, model in models}

    def _questions(self, prompts: Mapping[str, Prompt], request: Request) -> Iterator[Question]:
        """Return all questions in order, each made when it is its turn: together they may be larger than memory.

        Raises:
            InvalidConfig: a template does not fit the truth.
        """
        writers = {
            name: messages_for(prompt, request.truth, request.taxonomy, f"detectors, strategy {name!r}")
            for name, prompt in prompts.items()
        }
        seed = {"seed": request.seed or 0} if self._settings.send_seed else {}

        def made() -> Iterator[Question]:
            places = count()
            for model, settings in self._settings.models.items():
                asked = {"url": self._settings.url, "model": settings.id or model}
                parameters = self._settings.parameters | settings.parameters | seed
                for strategy, messages in writers.items():
                    for row, item in enumerate(request.truth.ids):
                        told = messages(row)
                        key = question_key(**asked, messages=told, parameters=parameters, item=item)
                        body = {**parameters, "model": asked["model"], "messages": told}
                        yield Question(next(places), item, strategy, model, key, body)

        return made()

    def _read(self, text: str, prompt: Prompt) -> list[Finding]:
        return read_answer(text, prompt.answer)

    def _rows(
        self, question: Question, text: str, prompts: Mapping[str, Prompt], request: Request
    ) -> Iterator[Row]:
        findings = [resolve(f, request.taxonomy) for f in self._read(text, prompts[question.strategy])]
        for finding in dict.fromkeys(findings):
            yield Row(question.item, question.model, question.strategy, *finding)

    def _report(self, asked: Sequence[Asked], tally: Tally, total: int, request: Request) -> None:
        """Save what was answered, and stop where nothing was."""
        lines = "".join(f"{msgspec.json.encode(one.plain()).decode()}\n" for one in asked)
        request.recorder.save_text(f"answers_{self._short}.jsonl", lines)
        if asked and tally.answered == 0:
            raise EndpointFailed(
                f"none of the {total:,} questions to {self._settings.url} got an answer that can be read; the first: "
                f"{asked[0].problem}. Nothing is counted; answers_{self._short}.jsonl has what was said."
            )

    def _kept(self, tally: Tally, total: int) -> str:
        """Say how to go on."""
        if not self._settings.cache:
            return f"{tally.answered:,} of {total:,} questions were answered, and are lost, as 'cache: false' asks."
        return (
            f"{tally.answered:,} of {total:,} questions are answered and kept: run the same again, and only the others "
            "are asked."
        )


def _role(path: str) -> str:
    return f"prompt {PurePosixPath(path)}"


def _digest(prompt: Prompt) -> str:
    return f"sha256:{hashlib.sha256(msgspec.json.encode(prompt, order='sorted')).hexdigest()}"
