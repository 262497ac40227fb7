"""Studies: not how quick something is, but how good. One module a study, each with its ``STUDY``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

STUDIES = ("accuracy",)


@dataclass(frozen=True)
class Study:
    """A question, and the page that its answer stands on.

    Attributes:
        name: for ``--only``.
        title: what is studied.
        page: the page, relative to the root of the project; its block between the marks of the study is written anew.
        carry_out: does the work, and returns Markdown; of a few series only where it is told to be quick.
    """

    name: str
    title: str
    page: str
    carry_out: Callable[[bool], str]

    def put_into(self, text: str, found: str) -> str:
        """Return the text of the page with the block of the study replaced.

        Raises:
            ValueError: the page lacks the marks.
        """
        first, last = f"<!-- {self.name}: written by python -m bench -->", f"<!-- end of {self.name} -->"
        head, mark, rest = text.partition(first)
        _, end, tail = rest.partition(last)
        if not mark or not end:
            raise ValueError(f"{self.page} lacks the marks {first} and {last}")
        return f"{head}{first}\n{found.strip()}\n{last}{tail}"


def all_studies() -> list[Study]:
    """Return every study."""
    return [importlib.import_module(f"bench.studies.{name}").STUDY for name in STUDIES]
