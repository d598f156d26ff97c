"""One upload in a multipart form, read as a stream: nothing is spooled, nothing but small fields is held.

Order matters, because the image is stored while it streams in: fields come first, the part named `file` last.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mayfly.intake.file_name import as_latin1, as_text, file_name_of
from mayfly.model.errors import BodyCut, InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_PART = "file"
MAX_FIELD_BYTES = 4 * 1024
MAX_FIELDS = 32
MAX_OVERHEAD_BYTES = 256 * 1024
"""All that a form may hold beside the file's bytes: a body longer than the largest image plus this is too large."""
_LONGEST_FIELD_NAME = 128
_MAX_HEADERS = 8
_MAX_HEADER_BYTES = 4 * 1024
_MOST_DELIMITERS = MAX_FIELDS + 100
"""How often a form may hold its delimiter, with whatever behind it: a false one costs the parser as much as kilobytes
do, and no client chooses a boundary that its file holds."""
_PLAIN_ENCODINGS = frozenset({"", "binary", "8bit", "7bit"})


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileStart:
    """The file's part begins. Both as the client stated them, the name made safe."""

    file_name: str | None
    declared: str | None


@dataclass(frozen=True, slots=True)
class FileData:
    """Bytes of the file, never empty; how they are cut follows the chunks that were fed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file is complete. (`finish` still tells whether the form is.)"""


Event = Field | FileStart | FileData | FileEnd


def is_form(content_type: str | None) -> bool:
    return (content_type or "").partition(";")[0].strip().lower() == "multipart/form-data"


class UploadForm:
    """Turns chunks of a body into events: any `Field`s, then `FileStart`, `FileData`s and `FileEnd`.

    Raises:
        InvalidRequest: from anywhere; the form is malformed, too large beside its file, or not of the shape above.
        BodyCut: from `finish`; the body ended before the form did.
    """

    def __init__(self, content_type: str, max_field_bytes: int = MAX_FIELD_BYTES, max_fields: int = MAX_FIELDS) -> None:
        self._max_field_bytes = max_field_bytes
        self._max_fields = max_fields
        self._events: list[Event] = []
        self._names: set[str] = set()
        self._fed = self._file_bytes = self._delimiters = 0
        self._file_seen = self._in_file = self._ended = False
        self._field_name = ""
        self._buffer = bytearray()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[str, str] = {}
        boundary = _boundary(content_type)
        self._delimiter = b"\r\n--" + boundary
        self._parser = MultipartParser(
            boundary,
            self._callbacks(),
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        if chunk:
            self._fed += len(chunk)
            self._delimiters += chunk.count(self._delimiter)
            if self._delimiters > _MOST_DELIMITERS:
                raise InvalidRequest("the form holds its boundary again and again: choose another boundary")
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise InvalidRequest(
                    "the form is malformed: its boundaries or a part's headers do not read as multipart/form-data; "
                    "let an HTTP client make the form"
                ) from None
        if self._fed - self._file_bytes > MAX_OVERHEAD_BYTES:
            raise InvalidRequest(f"the form holds more than {MAX_OVERHEAD_BYTES} bytes beside its file")
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """The body is complete."""
        if not self._ended:
            raise BodyCut("the body ended before the form's closing boundary: send the whole form again")
        if not self._file_seen:
            raise InvalidRequest("the form has no part named 'file': send the image as one, after any fields")

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._on_header_name,
            "on_header_value": self._on_header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        if self._file_seen:
            raise InvalidRequest("the form goes on after its file: the part named 'file' comes once, and last")
        self._headers = {}

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        name = self._header_name.decode("latin-1").lower()
        if name in self._headers:
            raise InvalidRequest(f"a part of the form has two {name[:40]!r} headers")
        self._headers[name] = self._header_value.decode("latin-1").strip()
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        disposition = self._headers.get("content-disposition", "")
        name = _part_name(disposition)
        if name in self._names:
            raise InvalidRequest(f"the form has two parts named {name!r}")
        self._names.add(name)
        encoding = self._headers.get("content-transfer-encoding", "").lower()
        if encoding not in _PLAIN_ENCODINGS:
            raise InvalidRequest(f"a part is encoded as {encoding[:40]!r}: send its bytes as they are")
        if name == FILE_PART:
            self._file_seen = self._in_file = True
            self._events.append(FileStart(file_name_of(disposition), self._headers.get("content-type")))
        elif _is_file(disposition):
            raise InvalidRequest(f"the file's part is named {name!r}: name it 'file'")
        elif len(self._names) > self._max_fields:
            raise InvalidRequest(f"the form has more than {self._max_fields} fields")
        self._field_name = name

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file_bytes += end - start
            self._events.append(FileData(data[start:end]))
            return
        self._buffer += data[start:end]
        if len(self._buffer) > self._max_field_bytes:
            raise InvalidRequest(f"the field {self._field_name!r} is longer than {self._max_field_bytes} bytes")

    def _part_end(self) -> None:
        if self._in_file:
            self._in_file = False
            self._events.append(FileEnd())
            return
        try:
            value = self._buffer.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidRequest(f"the field {self._field_name!r} is not UTF-8") from None
        self._buffer.clear()
        self._events.append(Field(self._field_name, value))

    def _end(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(as_latin1(content_type))
    boundary = options.get(b"boundary", b"")
    if kind.strip() != b"multipart/form-data":
        raise InvalidRequest("the content type is not multipart/form-data")
    # RFC 2046, section 5.1.1: at most 70 characters. None of those that are allowed is a control or a non-ASCII one.
    if not 1 <= len(boundary) <= 70 or not all(0x20 <= byte < 0x7F for byte in boundary):
        raise InvalidRequest(
            "the content type needs the form's boundary, 1 to 70 characters: "
            "let the HTTP client write this header, it knows the boundary"
        )
    return boundary


def _part_name(disposition: str) -> str:
    kind, options = parse_options_header(disposition)
    name = as_text(options.get(b"name", b""))
    if kind.strip() != b"form-data" or not name:
        raise InvalidRequest("a part of the form has no 'Content-Disposition: form-data; name=...' header")
    if len(name) > _LONGEST_FIELD_NAME:
        raise InvalidRequest(f"a field's name is longer than {_LONGEST_FIELD_NAME} characters")
    return name


def _is_file(disposition: str) -> bool:
    return b"filename" in parse_options_header(disposition)[1] or "filename*" in disposition.lower()
