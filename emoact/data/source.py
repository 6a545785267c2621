"""Bytes and text of a data set, read once from a regular file of bounded size."""

from __future__ import annotations

import errno
from io import BufferedIOBase

from emoact.data.rows import Refused
from emoact.files import open_regular


def open_source(path: str) -> BufferedIOBase:
    """File at a path, open for reading.

    Raises:
        Refused: There is no such file, it is not a regular file, or it cannot be opened.
    """
    try:
        return open_regular(path)
    except OSError as error:
        problem = f"the file cannot be opened ({error.strerror})"
        if isinstance(error, FileNotFoundError):
            problem = "there is no such file"
        remedy = "Check the path of the data set, and that you may read it."
        if error.errno == errno.EINVAL:
            problem = f"{error.strerror}"
            remedy = "Give the path of a .jsonl, .json, .csv, .tsv or .parquet file."
        raise Refused(None, problem, remedy) from None


def read_source(file: BufferedIOBase, *, max_bytes: int) -> bytes:
    """Bytes of an open file.

    Raises:
        Refused: The file cannot be read, is empty or is larger than `max_bytes`.
    """
    try:
        data = file.read(max_bytes + 1)
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror})"
        raise Refused(None, problem, "Copy it to another disk and try again.") from None
    if len(data) > max_bytes:
        remedy = "Split the data set, or raise EMOACT_MAX_BYTES."
        raise Refused(None, f"the file is larger than {max_bytes:,} bytes", remedy)
    if not data:
        remedy = "A data set needs at least one prompt with the fields text and emotion."
        raise Refused(None, "the file is empty", remedy)
    return data


_BOM = b"\xef\xbb\xbf"
_UTF16_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_MAGIC = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3", "an SQLite data base"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "an image"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
)


def decode(data: bytes) -> str:
    """Text in UTF-8, without its byte order mark.

    Raises:
        Refused: The bytes are another format, another encoding, or hold NUL.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            raise Refused(
                None,
                f"the file is {kind}, and its extension says text",
                "Export the prompts as CSV or JSONL (UTF-8), or correct the extension (.parquet).",
            )
    if data.startswith(_UTF16_32) or _looks_like_utf16(data):
        raise Refused(
            None,
            "the file is in UTF-16 or UTF-32; UTF-8 is needed",
            'Save it again with the encoding "UTF-8".',
        )
    nul = data.find(b"\0")
    if nul >= 0:
        raise Refused(
            f"line {_line(data, nul)}",
            f"a NUL byte at offset {nul:,}; a data set is plain text",
            "Remove the byte, or export the file again.",
        )
    try:
        return data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + (len(_BOM) if data.startswith(_BOM) else 0)
        raise Refused(
            f"line {_line(data, offset)}",
            f"byte 0x{data[offset]:02x} at offset {offset:,} is not UTF-8",
            'Save the file again with the encoding "UTF-8" (it may be Latin-1, Windows-1252 or '
            "Shift-JIS now).",
        ) from None


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _looks_like_utf16(data: bytes) -> bool:
    """Western text in UTF-16 without a byte order mark: every other byte is NUL."""
    head = data[:256]
    return len(head) >= 8 and max(head[::2].count(0), head[1::2].count(0)) * 10 >= len(head) * 4
