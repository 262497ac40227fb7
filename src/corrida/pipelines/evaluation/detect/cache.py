"""Answers of endpoints kept on disk, so that no question is paid for twice and a run that was killed goes on.

One file for each endpoint and model in the user's cache folder, one answer a line, only ever appended to. A line begins
with its own digest: what is torn by a crash, or damaged, is not read, and its question is asked again. Processes may share
the file: appending takes a lock, and a look-up first reads what others have added since.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import StoreError
from corrida.runs.user_cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIGEST = 16


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one answer, as the endpoint counted them; None where it did not."""

    prompt: int | None = None
    completion: int | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that could be read.

    Attributes:
        key: of the question, see :func:`question_key`.
        text: as the model wrote it.
        served: the model that the endpoint says has answered.
        usage: tokens.
        attempts: how often it was asked.
    """

    key: str
    text: str
    served: str = ""
    usage: Usage = Usage()
    attempts: int = 1


def question_key(
    *, url: str, model: str, messages: Sequence[Mapping[str, str]], parameters: Mapping[str, Any], item: str
) -> str:
    """Return the digest of all that an answer depends on: endpoint, model, prompt, parameters and item."""
    told = {"url": url, "model": model, "messages": messages, "parameters": parameters, "item": item}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


class AnswerCache:
    """The answers of one model at one endpoint.

    Attributes:
        path: the file; it may be deleted at any time, which costs the answers in it.
    """

    def __init__(self, url: str, model: str) -> None:
        """Name the cache; nothing is read yet."""
        digest = hashlib.sha256(f"{url}\n{model}".encode()).hexdigest()[:20]
        self.path = cache_folder() / "answers" / f"{digest}.jsonl"
        self._known: dict[str, Answer] = {}
        self._read = 0
        self._start = b""  # of the file that was read: another file may have its inode

    def get(self, key: str) -> Answer | None:
        """Return the answer to a question, also when another process has just got it; None when there is none."""
        if key not in self._known:
            self._refresh()
        return self._known.get(key)

    def put(self, answer: Answer) -> None:
        """Keep an answer; when this has returned, a kill of the process does not lose it.

        Raises:
            StoreError: the cache cannot be written. Going on would cost money for answers that a rerun has to ask again.
        """
        body = msgspec.json.encode(answer)
        line = _digest(body) + b" " + body + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                size = os.fstat(file).st_size
                if size and os.pread(file, 1, size - 1) != b"\n":
                    line = b"\n" + line  # a line that a crash has torn ends here
                _write_all(file, line)
            finally:
                os.close(file)
        except OSError as error:
            raise StoreError(
                f"answers cannot be kept in {self.path.parent} ({error.strerror}), so a rerun would pay for them again. "
                "Make room or name another folder in CORRIDA_CACHE_DIR, or write 'cache: false' for the detector."
            ) from error
        self._known[answer.key] = answer

    def _refresh(self) -> None:
        """Read what was appended since the last time; the last line only when it is whole."""
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                start = file.read(_DIGEST)
                if start != self._start or size < self._read:
                    self._start, self._read = start, 0
                if size == self._read:
                    return
                file.seek(self._read)
                content = file.read()
        except OSError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            digest, _, body = line.partition(b" ")
            if digest != _digest(body):
                continue
            try:
                answer = msgspec.json.decode(body, type=Answer)
            except msgspec.DecodeError:
                continue
            self._known[answer.key] = answer


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_DIGEST].encode()


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
