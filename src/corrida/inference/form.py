"""A file within a form (multipart/form-data), taken out while it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from corrida.inference.public_errors import Rejected

if TYPE_CHECKING:
    from corrida.inference.intake import FileSink

FILE_FIELD = "file"
FIELDS = ("id", "webhook", "options")
_LONGEST_FIELD = 8192


def boundary_of(content_type: str) -> bytes | None:
    """Return what parts the form, or None where the body is no form.

    Raises:
        Rejected: it is a form that does not say what parts it.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        # What curl says of --data-binary is application/x-www-form-urlencoded; it is the file itself all the same.
        if kind.startswith(b"multipart/"):
            raise Rejected(
                415,
                "unsupported_media_type",
                "send a form as multipart/form-data, or the file itself as text/csv",
            )
        return None
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise _unreadable("its Content-Type has no usable boundary")
    return boundary


class Form:
    """A form whose part ``file`` goes to a sink; the fields of :data:`FIELDS` are kept, others are refused."""

    def __init__(self, boundary: bytes, sink: FileSink) -> None:
        self._sink = sink
        self._headers: dict[bytes, bytes] = {}
        self._header = self._value = b""
        self._name = ""
        self._file: str | None = None
        self._fields: dict[str, bytearray] = {}
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._take_header,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._take,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        """Take further bytes of the body.

        Raises:
            Rejected: it is no form, or one of another shape.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise _unreadable("its parts cannot be told apart") from None

    def finish(self) -> tuple[str, dict[str, str]]:
        """Return the name of the file and the fields.

        Raises:
            Rejected: the form was cut off, or holds no file.
        """
        if not self._ended:
            raise _unreadable("it was cut off")
        if self._file is None:
            raise Rejected(422, "no_file", f"the form has no part {FILE_FIELD!r} with a file")
        try:
            return self._file, {name: value.decode() for name, value in self._fields.items()}
        except UnicodeDecodeError:
            raise _unreadable("a field is not UTF-8") from None

    def _begin(self) -> None:
        self._headers = {}
        self._header = self._value = b""

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == FILE_FIELD:
            if self._file is not None:
                raise Rejected(422, "several_files", "the form has several files; send one analysis for each")
            self._file = options.get(b"filename", b"").decode("utf-8", "replace")
        elif self._name in FIELDS:
            if self._name in self._fields:
                raise Rejected(422, "field_twice", f"the form has the field {self._name} twice; send it once")
            self._fields[self._name] = bytearray()
        else:
            known = ", ".join((FILE_FIELD, *FIELDS))
            raise Rejected(422, "unknown_field", f"the form has a part that is not known; known are {known}")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE_FIELD:
            self._sink.write(data[start:end])
            return
        field = self._fields[self._name]
        field += data[start:end]
        if len(field) > _LONGEST_FIELD:
            raise _unreadable(f"the field {self._name} is longer than {_LONGEST_FIELD:,} bytes")

    def _end(self) -> None:
        self._ended = True


def _unreadable(why: str) -> Rejected:
    return Rejected(400, "bad_form", f"the form cannot be read: {why}")
