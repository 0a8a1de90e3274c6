"""A ``multipart/form-data`` body comes in block by block; the bytes of its one clip come out.

Nothing is kept: frameworks spill parts into temporary files before a handler runs.
"""

from collections.abc import Iterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.problems import Problem

PART = "clip"
MOST_BOUNDARY_BYTES = 70  # RFC 2046, 5.1.1


class ClipPart:
    r"""Finds the part ``clip``.

    Args:
        content_type: of the request; it names the boundary.

    Raises:
        Problem: 400, there is no boundary.

    Example:
        >>> part = ClipPart("multipart/form-data; boundary=x")
        >>> head = b'--x\r\nContent-Disposition: form-data; name="clip"\r\n\r\n'
        >>> b"".join(part.feed(head + b"planes\r\n--x--\r\n"))
        b'planes'
        >>> part.finish()
    """

    def __init__(self, content_type: str) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not 0 < len(boundary) <= MOST_BOUNDARY_BYTES:
            raise _malformed(f"Content-Type names no boundary of 1 to {MOST_BOUNDARY_BYTES} bytes")
        self._found: list[bytes] = []
        self._field, self._value = b"", b""
        self._disposition = b""
        self._parts, self._is_whole = 0, False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._check_name,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Give what a block holds of the clip.

        Raises:
            Problem: 400, this is no multipart; 422, a part of another name, or a second clip.
        """
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise _malformed(f"the body is no multipart/form-data ({error})") from error
        found, self._found = self._found, []
        yield from found

    def finish(self) -> None:
        """Refuse a body without a clip, or one that stops in the middle.

        Raises:
            Problem: 400 or 422.
        """
        if not self._is_whole:
            raise _malformed("the body stops before its last boundary")
        if not self._parts:
            raise Problem(422, "no-clip", f"found no part, wanted one named {PART!r}")

    def _begin(self) -> None:
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _check_name(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"name", b"")
        if name != PART.encode():
            text = name[:40].decode("utf-8", "replace")
            raise Problem(422, "unknown-part", f"found a part {text!r}, wanted {PART!r} alone")
        self._parts += 1
        if self._parts > 1:
            raise Problem(422, "unknown-part", f"found a second {PART!r}, wanted one")

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(data[start:end])

    def _end(self) -> None:
        self._is_whole = True


def _malformed(detail: str) -> Problem:
    return Problem(400, "malformed-body", detail)
