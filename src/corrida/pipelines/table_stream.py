"""Tables that somebody sent, read in pieces: bounded memory, and every record comes out exactly once.

A CSV file is taken as it is: UTF-8 with or without a byte order mark, or Latin-1; fields between commas, semicolons,
tabs or bars; quoted or not. What a person can mend in one place of the file (a record with too many fields) is said of
that record; what makes the whole file doubtful (an unclosed quote, two columns of one name) is refused.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.inputs import read_table, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROW, PROBLEM = "row", "problem"
MOST_COLUMNS: Final = 1000
_BLOCK = 16 * 1024 * 1024
_LONGEST_RECORD = 1024 * 1024
_SAMPLE = 1000
_PIECE = 250_000  # rows of a piece of a Parquet file
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MAGIC = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet); save the table as CSV",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"PAR1": "Parquet; name it .parquet",
    b"%PDF": "a PDF; export the table as CSV",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}


class TableStream(Protocol):
    """A table in pieces.

    Attributes:
        path: the file.
        header: names of its columns, stripped.
        sample: its first records, a text a column.
        about_rows: how many records there are, as far as the first ones tell.
    """

    path: Path
    header: list[str]
    sample: pl.DataFrame
    about_rows: int

    @property
    def reading(self) -> dict[str, str]:
        """How the file is read, for a report."""
        ...

    def chunks(self, columns: Sequence[str], called: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the records in their order.

        Args:
            columns: of the header, the ones that are wanted.
            called: names under which they come out; their own by default.

        Returns:
            Frames with ``row`` (1 is the first record), ``problem`` (null, or why the record cannot be read) and the
            columns; of a CSV file these are texts.

        Raises:
            InvalidData: the file cannot be read as a table, or is larger than allowed.
        """
        ...


def open_table(path: Path, *, max_bytes: int | None = None, max_rows: int | None = None) -> TableStream:
    """Open a table by its suffix: Parquet or JSON, and CSV whatever else it is called.

    Raises:
        InvalidData: there is no such file, or it holds no table.
    """
    if not path.is_file():
        raise InvalidData(f"{shown(path)}: there is no such file.")
    size = path.stat().st_size
    if size == 0:
        raise InvalidData(f"{shown(path)}: the file is empty.")
    if max_bytes is not None and size > max_bytes:
        raise InvalidData(f"{shown(path)}: the file has {size:,} bytes; at most {max_bytes:,} are taken.")
    if path.suffix.lower() in {".parquet", ".json", ".jsonl", ".ndjson"}:
        return TypedStream(path, max_rows=max_rows)
    return CsvStream(path, max_rows=max_rows)


class CsvStream:
    """A CSV file in pieces; see :class:`TableStream`.

    Attributes:
        delimiter: between fields.
        encoding: ``UTF-8``, or ``Latin-1`` once a line was met that is not UTF-8.
    """

    def __init__(self, path: Path, *, max_rows: int | None = None) -> None:
        self.path, self._max_rows = path, max_rows
        self.encoding = "UTF-8"
        first = next(self._blocks(), b"")
        start = _header_start(first)
        line = first[start:].split(b"\n", 1)[0].decode("utf-8", errors="replace")
        self.delimiter = _delimiter(line)
        records = _records(self._utf8(first[start:]).decode(), self.delimiter)
        self.header = [name.strip() for name in next(records, [])]
        self._check_header()
        found = [fields for fields, _ in zip(records, range(_SAMPLE), strict=False)]
        width = len(self.header)
        rows = [fields for fields in found if len(fields) == width]
        self.sample = pl.DataFrame(rows, schema=self._places(), orient="row").rename(self._names())
        if not found:
            for _ in self._blocks():  # a quote that stays open is the better explanation
                pass
            raise InvalidData(f"{shown(path)}: there are column names but no rows.")
        self.about_rows = int(first.count(b"\n") * path.stat().st_size / max(len(first), 1)) + 1

    @property
    def reading(self) -> dict[str, str]:
        """How the file is read."""
        return {"encoding": self.encoding, "delimiter": _DELIMITERS[self.delimiter]}

    def chunks(self, columns: Sequence[str], called: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the records; see :class:`TableStream`."""
        places = [f"c{self.header.index(name)}" for name in columns]
        row = 0
        for number, block in enumerate(self._blocks()):
            text = self._utf8(block)
            if number == 0:
                text = self._below_header(text)
            if not text.strip():
                continue
            frame = self._parsed(text, places)
            if self._max_rows is not None and row + frame.height > self._max_rows:
                raise InvalidData(
                    f"{shown(self.path)}: there are more than {self._max_rows:,} rows, which is the limit."
                )
            yield frame.rename(dict(zip(places, called or columns, strict=True))).with_columns(
                pl.int_range(row + 1, row + 1 + pl.len(), dtype=pl.UInt32).alias(ROW)
            )
            row += frame.height

    def _blocks(self) -> Iterator[bytes]:
        """Yield the bytes in blocks that end where a record ends."""
        carry, line, only_cr = b"", 1, False
        with self.path.open("rb") as file:
            while True:
                read = file.read(_BLOCK)
                if not line - 1 and not carry:
                    read = self._checked_start(read)
                    only_cr = b"\n" not in read and b"\r" in read
                if only_cr:
                    read = read.replace(b"\r", b"\n")
                data = carry + read
                if (at := read.find(b"\0")) >= 0:
                    raise InvalidData(
                        f"{shown(self.path)}: line {line + data[: len(carry) + at].count(10)} holds a NUL byte, so this is "
                        "not a text file. Export the table again."
                    )
                end = _last_record_end(data) if read else len(data)
                if (read and len(data) - end > _LONGEST_RECORD) or (not read and data.count(b'"') % 2):
                    at_line = line + data[:end].count(b"\n") if read else line + _line_of_open_quote(data)
                    raise InvalidData(
                        f"{shown(self.path)}: the record that starts on line {at_line} does not end: "
                        'a quote is not closed. Write a quote inside a quoted field twice: "".'
                    )
                if end:
                    yield data[:end]
                line += data[:end].count(b"\n")
                carry = data[end:]
                if not read:
                    return

    def _checked_start(self, block: bytes) -> bytes:
        for magic, said in _MAGIC.items():
            if block.startswith(magic):
                raise InvalidData(f"{shown(self.path)}: this is no CSV file but {said}.")
        return block.removeprefix(b"\xef\xbb\xbf")

    def _check_header(self) -> None:
        names = [name for name in self.header if name]
        if not names:
            raise InvalidData(f"{shown(self.path)}: the first line must hold the column names.")
        if len(self.header) > MOST_COLUMNS:
            raise InvalidData(
                f"{shown(self.path)}: there are {len(self.header):,} columns; at most {MOST_COLUMNS:,} are taken."
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidData(
                f"{shown(self.path)}: the column {twice[0]!r} occurs {names.count(twice[0])} times. "
                "Rename or remove one."
            )

    def _utf8(self, block: bytes) -> bytes:
        """Return UTF-8; a line that is not is taken for Latin-1."""
        if block.isascii():
            return block
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            self.encoding = "Latin-1"
            return b"".join(_line_as_utf8(line) for line in block.splitlines(keepends=True))
        return block

    def _below_header(self, text: bytes) -> bytes:
        """Cut the record of column names off, which may hold line breaks in quotes."""
        start = _header_start(text)
        quotes = 0
        for line in text[start:].split(b"\n"):
            start += len(line) + 1
            quotes += line.count(b'"')
            if quotes % 2 == 0:
                break
        return text[start:]

    def _places(self) -> dict[str, pl.DataType | type[pl.DataType]]:
        return {f"c{i}": pl.String for i in range(len(self.header))}

    def _names(self) -> dict[str, str]:
        return {f"c{i}": name or f"column {i + 1}" for i, name in enumerate(self.header)}

    def _parsed(self, text: bytes, places: Sequence[str]) -> pl.DataFrame:
        """Return the records of a block: by polars where every one has as many fields as there are columns."""
        try:
            # All columns are read: where some are left out, fields too many would move into others.
            frame = pl.read_csv(
                text,
                has_header=False,
                separator=self.delimiter,
                schema=self._places(),
            )
        except pl.exceptions.PolarsError:
            frame = None
        # Fields that a record lacks come back as nulls, as empty ones do.
        if frame is None or (
            frame[frame.columns[-1]].null_count()
            and not _all_whole(text, self.delimiter, len(self.header), frame.height)
        ):
            return self._one_by_one(text, places)
        return frame.select([*dict.fromkeys(places)]).with_columns(
            pl.lit(None, dtype=pl.String).alias(PROBLEM)
        )

    def _one_by_one(self, text: bytes, places: Sequence[str]) -> pl.DataFrame:
        """Return the records of a block, each looked at."""
        width, chosen = len(self.header), [int(place[1:]) for place in dict.fromkeys(places)]
        rows: list[tuple[str | None, ...]] = []
        for fields in _records(text.decode(), self.delimiter):
            if len(fields) == width:
                rows.append((*(fields[i] for i in chosen), None))
            else:
                said = f"{len(fields)} field{'s' * (len(fields) != 1)} where there are {width} columns"
                rows.append((*(None for _ in chosen), said))
        names = [*dict.fromkeys(places), PROBLEM]
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


class TypedStream:
    """A Parquet or JSON file in pieces; see :class:`TableStream`. Its columns keep their types."""

    def __init__(self, path: Path, *, max_rows: int | None = None) -> None:
        self.path, self._max_rows = path, max_rows
        if path.suffix.lower() == ".parquet":
            try:
                self._table = pl.scan_parquet(path, glob=False)
                self.header = list(self._table.collect_schema())
                self.sample = self._table.head(_SAMPLE).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise InvalidData(f"{shown(path)}: this cannot be read as Parquet.") from error
            if self.sample.height == 0:
                raise InvalidData(f"{shown(path)}: there are column names but no rows.")
        else:
            frame = read_table(path)
            self._table, self.header, self.sample = frame.lazy(), frame.columns, frame.head(_SAMPLE)
        self.about_rows = int(self._table.select(pl.len()).collect().item())

    @property
    def reading(self) -> dict[str, str]:
        """How the file is read."""
        return {"format": self.path.suffix.lower().removeprefix(".")}

    def chunks(self, columns: Sequence[str], called: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the records; see :class:`TableStream`."""
        for name in columns:
            if (kind := self.sample[name].dtype).is_nested() or kind in {pl.Binary, pl.Object}:
                raise InvalidData(
                    f"{shown(self.path)}: the column {name!r} holds {kind} in each row; one text or number is needed."
                )
        wanted = [pl.col(one).alias(name) for one, name in zip(columns, called or columns, strict=True)]
        row = 0
        while True:
            try:
                frame = self._table.select(wanted).slice(row, _PIECE).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise InvalidData(
                    f"{shown(self.path)}: it cannot be read from row {row + 1:,} on; write it again."
                ) from error
            if frame.height == 0:
                return
            if self._max_rows is not None and row + frame.height > self._max_rows:
                raise InvalidData(
                    f"{shown(self.path)}: there are more than {self._max_rows:,} rows, which is the limit."
                )
            yield frame.with_columns(
                pl.int_range(row + 1, row + 1 + pl.len(), dtype=pl.UInt32).alias(ROW),
                pl.lit(None, dtype=pl.String).alias(PROBLEM),
            )
            row += frame.height


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of each record; blank lines are none."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        for fields in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if fields:
                yield fields
    finally:
        csv.field_size_limit(before)


def _last_record_end(data: bytes) -> int:
    """Return where the last whole record of ``data`` ends; 0 when none does."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    array = np.frombuffer(data, np.uint8)
    quotes, ends = np.flatnonzero(array == ord('"')), np.flatnonzero(array == ord("\n"))
    whole = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(whole[-1]) + 1 if whole.size else 0


def _all_whole(data: bytes, delimiter: str, width: int, rows: int) -> bool:
    """Tell whether every record of ``data`` has ``width`` fields, and there are as many records as ``rows``."""
    if width < 2:
        return False
    array = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", np.uint8)
    ends, marks = np.flatnonzero(array == ord("\n")), np.flatnonzero(array == ord(delimiter))
    if b'"' in data:
        quotes = np.flatnonzero(array == ord('"'))
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
    if ends.size != rows or marks.size != (width - 1) * rows:
        return False
    parts = marks.reshape(rows, width - 1)
    return bool((parts[:, -1] < ends).all() and (parts[1:, 0] > ends[:-1]).all())


def _line_of_open_quote(data: bytes) -> int:
    """Return on which line of ``data``, from 0, the record starts whose quote stays open."""
    return data[: _last_record_end(data)].count(b"\n")


def _line_as_utf8(line: bytes) -> bytes:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1").encode()
    return line


def _header_start(block: bytes) -> int:
    """Return where the first line begins that is not blank."""
    return len(block) - len(block.lstrip(b" \r\n\t")) if block[:1] in b" \r\n\t" else 0


def _delimiter(line: str) -> str:
    """Return the mark that parts the names of columns; a comma where there is only one name."""
    plain = "".join(line.split('"')[::2])  # what is outside quotes
    return max(_DELIMITERS, key=lambda mark: (plain.count(mark), mark == ","))
