"""Files and tables to polars frames, with the checks that all pipelines share.

Identifiers and codes are text: "0110" must not become 110, so a CSV or TSV file is read with every column as a
string, and whoever needs a number converts it. An empty field is null. Every refusal is an
:class:`~corrida.errors.InvalidData` that names the file, the line or column, and the mend.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
# Up to this size the standard library's strict reader is quick enough; above it polars reads, and the strict
# reader only looks for the fault when something is odd.
STRICT_READER_BYTES = 16 * 1024 * 1024
NAMED_AT_MOST = 5
_UP_AT_MOST = 2
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_table(path: Path) -> pl.DataFrame:
    """Read a table by its suffix: .csv, .tsv, .parquet, .jsonl, .ndjson or .json (an array of objects).

    Args:
        path: the file. CSV and TSV are UTF-8 (a byte order mark is skipped) with one line of column names.

    Returns:
        At least one row. CSV and TSV columns are all strings, empty fields null; a JSON column that mixes text
        with other values is text; Parquet keeps its types.

    Raises:
        InvalidData: the file is missing, empty, not UTF-8, ragged, or not what its suffix says.
    """
    import polars as pl

    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidData(
            f"{shown(path)}: a table must be one of {', '.join(SUFFIXES)}, "
            f"not {suffix or 'a file without suffix'!r}."
        )
    if not path.exists():
        near = suggest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise InvalidData(f"{shown(path)}: there is no such file.{near}")
    if not path.is_file():
        raise InvalidData(
            f"{shown(path)}: this is not a file. Name a table, such as {shown(path / 'data.csv')}."
        )
    if path.stat().st_size == 0:
        raise InvalidData(f"{shown(path)}: the file is empty.")
    if suffix == ".parquet":
        try:
            frame = pl.read_parquet(path, glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InvalidData(
                f"{shown(path)}: this cannot be read as Parquet ({_first_line(error)})."
            ) from error
    else:
        _refuse_unreadable_bytes(path)
        frame = (
            _read_delimited(path, _DELIMITERS[suffix]) if suffix in _DELIMITERS else _read_json(path, suffix)
        )
    if frame.height == 0:
        raise InvalidData(f"{shown(path)}: there are column names but no rows.")
    return frame


def require_columns(frame: pl.DataFrame, path: Path, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column, and name the columns it has.

    Raises:
        InvalidData: naming each column that is missing, those there are, and the nearest name.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        names = ", ".join(repr(name) for name in missing)
        near = suggest(missing[0], frame.columns)
        raise InvalidData(
            f"{shown(path)}: there {'is no column' if len(missing) == 1 else 'are no columns'} {names}. The columns are: {', '.join(frame.columns)}.{near}"
        )


def text_column(frame: pl.DataFrame, path: Path, column: str) -> pl.Series:
    """Return a column as text, stripped, with blank as null.

    Whole numbers become their digits, also when a missing value has made the column floating (2136.0 is
    "2136"), because that is what a spreadsheet or a data frame does to codes.

    Raises:
        InvalidData: the column is missing, or holds lists, objects or numbers that are not whole.
    """
    import polars as pl

    require_columns(frame, path, [column])
    series = frame[column]
    if series.dtype.is_float():
        whole = series.cast(pl.Int64, strict=False)
        if (
            not (whole.cast(series.dtype) == series).fill_null(value=True).all()
            or whole.null_count() > series.null_count()
        ):
            raise InvalidData(
                f"{shown(path)}: column {column!r} must be text but holds numbers that are not whole."
            )
        series = whole
    if series.dtype.is_nested():
        raise InvalidData(f"{shown(path)}: column {column!r} must be text but holds {series.dtype}.")
    text = series.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def id_column(frame: pl.DataFrame, path: Path, column: str) -> pl.Series:
    """Return the column of identifiers as text: none missing, none twice.

    Raises:
        InvalidData: naming the lines of the ids that are missing, or the ids that occur twice and their lines.
    """
    ids = text_column(frame, path, column)
    blank = ids.is_null().arg_true().to_list()
    if blank:
        raise InvalidData(
            f"{shown(path)}: column {column!r} is empty at {rows_named(path, blank)}. Give every row an id."
        )
    repeated = ids.filter(ids.is_duplicated()).unique(maintain_order=True).to_list()
    if repeated:
        which = "; ".join(
            f"{item!r} at {rows_named(path, (ids == item).arg_true().to_list())}"
            for item in repeated[:NAMED_AT_MOST]
        )
        more = f", and {len(repeated) - NAMED_AT_MOST:,} other ids" if len(repeated) > NAMED_AT_MOST else ""
        raise InvalidData(
            f"{shown(path)}: column {column!r} must be unique, but has {which}{more}. "
            "Keep one row for each id."
        )
    return ids


def rows_named(path: Path, rows: Sequence[int]) -> str:
    """Say where rows stand, as a person finds them: "line 7, 9" in text files, "row 7, 9" elsewhere.

    Args:
        path: the file they were read from.
        rows: positions from 0, in ascending order; the first few are named.
    """
    few = list(rows[:NAMED_AT_MOST])
    more = f" and {len(rows) - len(few):,} more" if len(rows) > len(few) else ""
    suffix = path.suffix.lower()
    numbers: Iterable[int] = [row + 1 for row in few]
    word = "row"
    if suffix in _DELIMITERS:
        try:
            lines = _lines_of(path, _DELIMITERS[suffix], few)
        except (UnicodeDecodeError, InvalidData):  # it was read more leniently than that
            lines = []
        if len(lines) == len(few):
            numbers, word = lines, "line"
    elif suffix in {".jsonl", ".ndjson"}:
        word = "line"
        lines = [number for number, line in enumerate(path.read_bytes().splitlines(), 1) if line.strip()]
        numbers = [lines[row] for row in few]
    return f"{word} {', '.join(str(number) for number in numbers)}{more}"


def _lines_of(path: Path, delimiter: str, rows: Sequence[int]) -> list[int]:
    wanted = set(rows)
    records = (line for line, fields in _records(path, delimiter) if fields)
    next(records, None)
    return [line for row, line in enumerate(records) if row in wanted]


def suggest(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest of ``names``, or nothing when none is near."""
    folded = {other.casefold(): other for other in names}
    near = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""


def shown(path: Path) -> str:
    """Return the path as a person would type it: relative to the working folder, or the name alone from afar.

    Messages are recorded in the run, and a run holds no absolute paths.
    """
    try:
        relative = Path(os.path.relpath(path))
    except (OSError, ValueError):  # the working folder is gone, or on another drive
        return path.name
    return relative.as_posix() if relative.parts.count("..") <= _UP_AT_MOST else path.name


def _refuse_unreadable_bytes(path: Path) -> None:
    """Refuse UTF-16, NUL bytes and text that is not UTF-8, without reading the file into memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            raise InvalidData(
                f"{shown(path)}: this is UTF-16. "
                f"Save it as UTF-8: iconv -f UTF-16 -t UTF-8 {path.name} > new{path.suffix}"
            )
        at = content.find(b"\x00")
        if at >= 0:
            line = content[:at].count(b"\n") + 1
            raise InvalidData(
                f"{shown(path)}: line {line} holds a NUL byte, so this is not a text file. "
                "Export the table again."
            )
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1024 * 1024):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidData(_not_utf8(path)) from error


def _not_utf8(path: Path) -> str:
    """Say on which line the first byte stands that is not UTF-8, and how to convert the file."""
    place = "the text"
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                place = f"line {number} (byte 0x{line[error.start]:02X} at position {error.start + 1})"
                break
    return (
        f"{shown(path)}: {place} is not UTF-8. If the file is Latin-1, convert it: "
        f"iconv -f LATIN1 -t UTF-8 {path.name} > new{path.suffix}"
    )


def _read_delimited(path: Path, delimiter: str) -> pl.DataFrame:
    """Read a CSV or TSV file, all columns as strings."""
    import polars as pl

    header = _header(path, delimiter)
    if path.stat().st_size <= STRICT_READER_BYTES:
        rows = _complete_rows(path, delimiter)
        return pl.DataFrame(
            [[value or None for value in row] for row in rows],
            schema=dict.fromkeys(header, pl.String),
            orient="row",
        )
    try:
        frame = pl.read_csv(path, separator=delimiter, infer_schema=False, glob=False)
    except pl.exceptions.PolarsError as error:
        for _ in _complete_rows(path, delimiter):  # names the line
            pass
        raise InvalidData(f"{shown(path)}: this cannot be read as a table ({_first_line(error)}).") from error
    if frame[frame.columns[-1]].null_count():
        # A row that ends too early, or a blank line, comes back as nulls: only the strict reader can tell.
        blank = [not fields for _, fields in _records(path, delimiter)][1:]
        for _ in _complete_rows(path, delimiter):
            pass
        if len(blank) == frame.height and any(blank):
            frame = frame.filter(~pl.Series(blank))
    return frame.with_columns(pl.all().replace("", None))


def _header(path: Path, delimiter: str) -> list[str]:
    """Return the column names, after refusing names that occur twice and the wrong delimiter."""
    _, header = next(_records(path, delimiter), (1, []))
    if not header:
        raise InvalidData(f"{shown(path)}: the first line is blank. It must hold the column names.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InvalidData(
            f"{shown(path)}: the column {twice[0]!r} occurs {header.count(twice[0])} times. "
            "Rename or remove one."
        )
    others = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
    found = next((name for mark, name in others.items() if mark != delimiter and mark in header[0]), None)
    if len(header) == 1 and found:
        raise InvalidData(
            f"{shown(path)}: the columns seem to be separated by {found}, "
            f"but a {path.suffix} file has {others[delimiter]}. "
            f"Export it again with {others[delimiter]}{', or name it .tsv' if found == 'tabs' else ''}."
        )
    return header


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of the line it starts on; a blank line is an empty record."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            line = 1
            try:
                for fields in reader:
                    yield line, fields
                    line = reader.line_num + 1
            except csv.Error as error:
                raise InvalidData(
                    f"{shown(path)}: the record that starts on line {line} has a stray or "
                    f"unclosed quote ({error}). "
                    'Write a quote inside a quoted field twice: "".'
                ) from error
    finally:
        csv.field_size_limit(before)


def _complete_rows(path: Path, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows below the column names, blank lines left out; refuse one with more or fewer fields."""
    records = _records(path, delimiter)
    _, header = next(records)
    for line, fields in records:
        if fields and len(fields) != len(header):
            raise InvalidData(
                f"{shown(path)}: line {line} has {len(fields)} field{'' if len(fields) == 1 else 's'}, "
                f"but there are {len(header)} columns. "
                f"Put quotes around a field that contains a {'tab' if delimiter != ',' else 'comma'}."
            )
        if fields:
            yield fields


def _read_json(path: Path, suffix: str) -> pl.DataFrame:
    """Read an array of objects (.json), or one object a line (.jsonl, .ndjson)."""
    import polars as pl

    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    rows: list[Any] = []
    if suffix == ".json":
        try:
            rows = msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            raise InvalidData(f"{shown(path)}: this is not valid JSON ({error}).") from error
        if not isinstance(rows, list):
            raise InvalidData(f"{shown(path)}: a .json table is an array of objects: [{{...}}, {{...}}].")
    else:
        for number, line in enumerate(content.splitlines(), 1):
            if line.strip():
                try:
                    rows.append(msgspec.json.decode(line))
                except msgspec.DecodeError as error:
                    raise InvalidData(f"{shown(path)}: line {number} is not valid JSON ({error}).") from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InvalidData(
                f'{shown(path)}: row {number} is not an object. Write each row as {{"column": value, ...}}.'
            )
    if not rows:
        raise InvalidData(f"{shown(path)}: there are no rows.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pl.DataFrame([_json_column(name, [row.get(name) for row in rows]) for name in names])


def _json_column(name: str, values: list[Any]) -> pl.Series:
    """Build a column; one that mixes text with anything else is text, as identifiers often are."""
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if str in kinds and len(kinds) > 1:
        values = [
            value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
            for value in values
        ]
    return pl.Series(name, values, strict=False, dtype=pl.String if str in kinds else None)


def _first_line(error: Exception) -> str:
    """Return the first line of a library's message; the rest is advice about that library."""
    return (str(error).splitlines() or [type(error).__name__])[0]
