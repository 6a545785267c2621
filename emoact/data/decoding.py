"""From bytes to text: UTF-8 or a refusal that names what the bytes seem to be."""

from __future__ import annotations

from emoact.data.refusal import refusal
from emoact.data.source import Source

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


def decode(source: Source) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises:
        RequestError: The bytes are another format, another encoding, or hold NUL.
    """
    data = source.data
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            raise refusal(
                source.path,
                None,
                f"the file is {kind}, not the text that its name promises",
                remedy="Export the prompts as CSV or JSONL (UTF-8), or name the file after what "
                "it is (.parquet).",
            )
    if data.startswith(_UTF16_32) or _looks_like_utf16(data):
        raise refusal(
            source.path,
            None,
            "the file is in UTF-16 or UTF-32; UTF-8 is needed",
            remedy='Save it again with the encoding "UTF-8".',
        )
    nul = data.find(b"\0")
    if nul >= 0:
        raise refusal(
            source.path,
            f"line {_line(data, nul)}",
            f"a NUL byte at offset {nul:,}; a data set is plain text",
            remedy="Remove the byte, or export the file again.",
        )
    try:
        return data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + (len(_BOM) if data.startswith(_BOM) else 0)
        raise refusal(
            source.path,
            f"line {_line(data, offset)}",
            f"byte 0x{data[offset]:02x} at offset {offset:,} is not UTF-8",
            remedy='Save the file again with the encoding "UTF-8" (it may be Latin-1, '
            "Windows-1252 or Shift-JIS now).",
        ) from None


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _looks_like_utf16(data: bytes) -> bool:
    """Western text in UTF-16 without a mark: every other byte is NUL."""
    head = data[:256]
    return len(head) >= 8 and max(head[::2].count(0), head[1::2].count(0)) * 10 >= len(head) * 4
