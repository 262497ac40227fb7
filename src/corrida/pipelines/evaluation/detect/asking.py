"""Asking an endpoint many questions: at once, at its pace, again where it helps, and not twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.errors import EndpointFailed, StoreError
from corrida.pipelines.evaluation.address import address
from corrida.pipelines.evaluation.detect.answers import BrokenAnswer
from corrida.pipelines.evaluation.detect.cache import Answer, Usage
from corrida.pipelines.evaluation.transport import Endpoint, Pace, Rejected, Unavailable, waiting

if TYPE_CHECKING:
    import tenacity

    from corrida.errors import CorridaError
    from corrida.pipelines.evaluation.detect.cache import AnswerCache
    from corrida.pipelines.evaluation.detect.settings import EndpointDetector

# Before an answer is there, its tokens are estimated: four characters a token, and an answer of usual length.
_CHARACTERS_A_TOKEN = 4
_TOKENS_OF_ANSWER = 256
_LIMITS = ("max_completion_tokens", "max_tokens")


class Question(NamedTuple):
    """One question.

    Attributes:
        place: in the order of all.
        item, strategy, model: what it is about.
        key: of its answer in the cache.
        body: of the request.
    """

    place: int
    item: str
    strategy: str
    model: str
    key: str
    body: Mapping[str, Any]


@dataclass
class Asked:
    """What became of a question.

    Attributes:
        question: without its body, which may be long.
        answer: None when there is none that can be read.
        problem: why there is none.
        attempts: in this run; 0 when the answer was kept.
        usage: tokens of each reply in this run, also of those that could not be read.
        last: the last reply that could not be read.
    """

    question: Question
    answer: Answer | None = None
    problem: str = ""
    attempts: int = 0
    usage: tuple[Usage, ...] = ()
    last: str = ""

    def plain(self) -> dict[str, Any]:
        """Return a line of the table of answers."""
        question, answer = self.question, self.answer
        told: dict[str, Any] = {"item": question.item, "strategy": question.strategy, "model": question.model}
        told |= {"cached": answer is not None and not self.attempts, "attempts": self.attempts}
        if answer is None:
            return told | {"problem": self.problem, "text": self.last[:10_000]}
        usage = {"prompt_tokens": answer.usage.prompt, "completion_tokens": answer.usage.completion}
        return told | {"served": answer.served, **usage, "text": answer.text}


class Asker:
    """Asks the questions of one detector."""

    def __init__(
        self,
        settings: EndpointDetector,
        key: str | None,
        caches: Mapping[str, AnswerCache] | None,
        check: Callable[[str, str], object],
    ) -> None:
        """Ask as ``settings`` say.

        Args:
            settings: of the detector.
            key: sent with each request.
            caches: by model; None keeps nothing.
            check: raises BrokenAnswer for a text that is no answer under a strategy.
        """
        self._settings, self._key, self._caches, self._check = settings, key, caches, check
        self._requests, self._tokens = Pace(settings.requests_per_minute), Pace(settings.tokens_per_minute)
        self._silent = 0  # questions in a row that the endpoint gave no answer to at all
        self._ended: CorridaError | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._on_the_way: set[asyncio.Task[Any] | None] = set()  # workers that wait for a reply

    async def ask_all(self, questions: Iterator[Question], emit: Callable[[Asked], None]) -> None:
        """Ask all questions, some at once, and emit each when it is done.

        Raises:
            EndpointFailed: the endpoint does not answer.
            StoreError: answers cannot be kept.
        """
        where = address(self._settings.url, "chat/completions")
        count = self._settings.concurrency
        async with (
            Endpoint(where, self._key, self._settings.timeout, count) as endpoint,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(count):
                self._workers.append(group.create_task(self._work(endpoint, questions, emit)))
        if self._ended is not None:
            raise self._ended

    async def _work(
        self, endpoint: Endpoint, questions: Iterator[Question], emit: Callable[[Asked], None]
    ) -> None:
        for question in questions:  # shared: each is taken by one worker
            asked = self._kept(question)
            try:
                if asked is None:
                    asked = await self._ask(endpoint, question)
                else:
                    await asyncio.sleep(0)  # many kept answers in a row must not hold up the others
            except (EndpointFailed, StoreError) as error:
                self._end(error)
                return
            emit(asked)
            if self._ended is not None:
                return

    def _end(self, error: CorridaError) -> None:
        """Ask nothing more, and wait for no more than the replies that are on the way: they are paid for."""
        if self._ended is None:
            self._ended = error
            for worker in self._workers:
                if worker not in self._on_the_way and worker is not asyncio.current_task():
                    worker.cancel()

    def _kept(self, question: Question) -> Asked | None:
        answer = self._caches[question.model].get(question.key) if self._caches else None
        if answer is None:
            return None
        try:
            self._check(answer.text, question.strategy)
        except BrokenAnswer:
            return None  # kept under other keys of the answer, or by another version
        return Asked(question._replace(body={}), answer)

    async def _ask(self, endpoint: Endpoint, question: Question) -> Asked:
        import tenacity

        asked = Asked(question._replace(body={}))
        settings = self._settings
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(settings.attempts),
            wait=waiting(settings.first_wait, settings.longest_wait),
            retry=tenacity.retry_if_exception_type((Unavailable, BrokenAnswer)),
            before_sleep=self._hold,
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    asked.attempts += 1
                    asked.answer = await self._once(endpoint, question, asked)
            self._silent = 0
        except BrokenAnswer as error:
            self._silent = 0
            asked.problem = str(error)
        except (Unavailable, Rejected) as error:
            asked.problem = str(error)
            self._silent += 1
            if self._silent >= settings.give_up_after:
                raise EndpointFailed(
                    f"the endpoint {settings.url} gave no answer to {self._silent} questions in a row, which is give_up_after "
                    f"({error})."
                ) from None
        return asked

    async def _once(self, endpoint: Endpoint, question: Question, asked: Asked) -> Answer:
        """Ask once, at the pace, and keep the answer."""
        expected = _expected_tokens(question.body)
        await self._tokens.turn(expected)
        await self._requests.turn()
        used = 0.0
        worker = asyncio.current_task()
        self._on_the_way.add(worker)
        try:
            reply = await endpoint.post(question.body)
            usage = _usage(reply)
            asked.usage += (usage,)
            used = float((usage.prompt or 0) + (usage.completion or 0)) or expected
        finally:
            self._on_the_way.discard(worker)
            self._tokens.correct(used - expected)
        text, served = _text(reply, asked)
        self._check(text, question.strategy)
        answer = Answer(key=question.key, text=text, served=served, usage=usage, attempts=asked.attempts)
        if self._caches:
            self._caches[question.model].put(answer)
        return answer

    def _hold(self, state: tenacity.RetryCallState) -> None:
        """Let all questions wait where the endpoint asks one to, and end when it asks for too long."""
        if self._ended is not None:
            raise self._ended
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, Unavailable) or error.wait is None:
            return
        if error.wait > self._settings.longest_wait:
            raise EndpointFailed(
                f"the endpoint {self._settings.url} asks to wait {error.wait:,.0f} s ({error}), and longest_wait is "
                f"{self._settings.longest_wait:g} s."
            )
        self._requests.hold(error.wait)


def _text(reply: Any, asked: Asked) -> tuple[str, str]:
    """Return the text of a reply and the model that it says it is from.

    Raises:
        BrokenAnswer: there is none, or not all of it.
    """
    try:
        choice = reply["choices"][0]
        content = choice["message"].get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise BrokenAnswer("the reply has no choices[0].message") from None
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    text = content if isinstance(content, str) else ""
    text = text.encode("utf-8", "replace").decode()
    asked.last = text
    refusal, reason = choice["message"].get("refusal"), choice.get("finish_reason")
    if refusal:
        raise BrokenAnswer(f"the model refuses: {' '.join(str(refusal).split())[:200]}")
    if reason == "length":
        raise BrokenAnswer("the answer was cut off at the limit of tokens; raise max_tokens")
    if reason == "content_filter":
        raise BrokenAnswer("the answer was withheld by a content filter")
    return text, str(reply.get("model") or "")


def _usage(reply: Any) -> Usage:
    usage = reply.get("usage") if isinstance(reply, dict) else None
    counts = usage if isinstance(usage, dict) else {}
    return Usage(_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _expected_tokens(body: Mapping[str, Any]) -> float:
    prompt = sum(len(message["content"]) for message in body["messages"]) / _CHARACTERS_A_TOKEN
    limit = next((body[name] for name in _LIMITS if isinstance(body.get(name), int)), _TOKENS_OF_ANSWER)
    return prompt + float(limit)
