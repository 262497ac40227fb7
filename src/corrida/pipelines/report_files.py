"""The report of a pipeline as the files of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.pages import Figure, Part, page_html, page_markdown
from corrida.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.pipelines.contract import Recorder


def save_report(recorder: Recorder, title: str, parts: Sequence[Part], *, subtitle: str) -> None:
    """Save ``report.md`` with its pictures in ``assets/``, and ``report.html``, which stands alone.

    Without the extra ``report`` the text is saved without pictures, and a warning says what to install: the numbers of a
    run are not lost for want of a picture.

    Args:
        recorder: of the run.
        title: of the report.
        parts: headings, lines, tables and figures, the answer first.
        subtitle: what the run worked on.
    """
    try:
        text, pictures = page_markdown(title, parts, subtitle=subtitle)
        page = page_html(title, parts, subtitle=subtitle)
    except MissingExtra as error:
        recorder.warn(f"report.md has no pictures and there is no report.html: {error}")
        text, _ = page_markdown(
            title, [part for part in parts if not isinstance(part, Figure)], subtitle=subtitle
        )
        recorder.save_text("report.md", text)
        return
    for name, picture in pictures.items():
        recorder.save_bytes(name, picture)
    recorder.save_text("report.md", text)
    recorder.save_text("report.html", page)
