"""A zip archive of stored members: written without seeking, read without trust.

The writer leaves no choice open: no compression, no comment, no extra field but the one for offsets
above 4 GiB, the same date and mode everywhere, no gap between members. The reader rebuilds every
header from its fields and compares bytes, so that each byte of a file is either known beforehand or
covered by a checksum. Links, encrypted or overlapping members, and data between members are refused
in this way.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from emoact.errors import EmoactError
from emoact.store.protocol import Written
from emoact.store.read.limits import Refused

AGAIN = "Copy the file again, or extract the unit again."

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_EXTRA64 = struct.Struct("<2HQ")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_DATE = 0x21
"""1980-01-01, the first day that a zip can say."""
_MADE_BY = 3 << 8 | 45
_MODE = 0o100644 << 16
_FEWEST_BYTES = _LOCAL.size + _CENTRAL.size + 2
_USUAL_MEMBERS = 20_000


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file in the archive.

    Attributes:
        offset: First byte of its header.
        start: First byte of its content.
        size: Bytes of its content.
        crc: CRC-32 of its content.
    """

    offset: int
    start: int
    size: int
    crc: int


class ArchiveWriter:
    """The bytes of an archive, one after the other.

    Args:
        write: Takes the next bytes.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._digest = hashlib.sha256()
        self._position = 0
        self._members: dict[str, Member] = {}

    def add(self, name: str, content: bytes, crc: int | None = None) -> None:
        """Add a member; `crc` is the CRC-32 of its content, where it is known.

        Raises:
            EmoactError: It is larger than a zip member can be.
        """
        if len(content) >= _FULL32:
            raise EmoactError(f"{name} has {len(content):,} bytes; 4 GiB are too many for one part")
        header_size = _LOCAL.size + len(name.encode())
        member = Member(
            offset=self._position,
            start=self._position + header_size,
            size=len(content),
            crc=zlib.crc32(content) if crc is None else crc,
        )
        self._members[name] = member
        self._put(_local(name, member))
        self._put(content)

    def finish(self) -> Written:
        """Write the directory of members; nothing can be added afterwards."""
        start = self._position
        for name, member in self._members.items():
            self._put(_central(name, member))
        self._put(_end(len(self._members), start=start, size=self._position - start))
        return Written(sha256=self._digest.hexdigest(), size=self._position)

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._digest.update(data)
        self._position += len(data)


def read_members(data: memoryview) -> dict[str, Member]:
    """The members of an archive that `ArchiveWriter` has written; reads no content.

    Raises:
        Refused: A byte outside the contents is not what the writer writes.
    """
    count, start, size = _directory(data)
    members: dict[str, Member] = {}
    at, expected = start, 0
    for _ in range(count):
        name, member, at = _entry(data, at, start + size)
        if name in members:
            raise Refused(f"two members are called {name!r:.80}", remedy=AGAIN, offset=at)
        if member.offset != expected:
            raise Refused(
                f"{name!r:.80} begins at byte {member.offset:,}, not {expected:,}: members overlap "
                "or leave a gap",
                remedy=AGAIN,
                offset=member.offset,
            )
        expected = member.start + member.size
        if expected > start or data[member.offset : member.start] != _local(name, member):
            raise Refused(
                f"the header of {name!r:.80} differs from the directory of members",
                remedy=AGAIN,
                offset=member.offset,
            )
        members[name] = member
    if at != start + size or expected != start:
        raise Refused("there are bytes that belong to no member", remedy=AGAIN, offset=expected)
    return members


def content(data: memoryview, member: Member) -> bytes:
    """The content of a member.

    Raises:
        Refused: It is not what was written.
    """
    found = bytes(data[member.start : member.start + member.size])
    if zlib.crc32(found) != member.crc:
        raise Refused(
            "the checksum of a part differs: the file was damaged",
            remedy=AGAIN,
            offset=member.start,
        )
    return found


def _directory(data: memoryview) -> tuple[int, int, int]:
    """Number of members, and first byte and size of their directory."""
    size = data.nbytes
    tail = size - _END.size
    if tail < 0 or bytes(data[tail : tail + 4]) != b"PK\x05\x06":
        raise Refused("it does not end like a zip archive; it may be cut off", remedy=AGAIN)
    _, _, _, _, count, length, start, _ = _END.unpack_from(data, tail)
    if count == _FULL16 or _FULL32 in (start, length):
        at = tail - _LOCATOR.size - _END64.size
        if at < 0:
            raise Refused("its directory of members is missing", remedy=AGAIN)
        *_, count, length, start = _END64.unpack_from(data, at)
    if count > _USUAL_MEMBERS + size // 4096 or count * _FEWEST_BYTES > size:
        raise Refused(f"{count:,} members are too many for {size:,} bytes", remedy=AGAIN)
    if start + length > size or data[start + length :] != _end(count, start=start, size=length):
        raise Refused("the end of the archive is malformed", remedy=AGAIN, offset=tail)
    return count, start, length


def _entry(data: memoryview, at: int, end: int) -> tuple[str, Member, int]:
    """The member that the directory has at a place, and the next place."""
    if at + _CENTRAL.size > end:
        raise Refused("the directory of members is cut off", remedy=AGAIN, offset=at)
    fields = _CENTRAL.unpack_from(data, at)
    method, crc, size, n_name, n_extra = fields[4], fields[7], fields[9], fields[10], fields[11]
    attributes, offset = fields[15], fields[16]
    raw = bytes(data[at + _CENTRAL.size : at + _CENTRAL.size + n_name])
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(f"a member is called {raw!r:.80}", remedy=AGAIN, offset=at) from None
    if offset == _FULL32 and n_extra == _EXTRA64.size and at + n_extra < end:
        _, _, offset = _EXTRA64.unpack_from(data, at + _CENTRAL.size + n_name)
    if name.startswith("/") or ".." in name.split("/") or "\\" in name:
        raise Refused(f"the name {name!r:.80} leads out of the file", remedy=AGAIN, offset=at)
    if attributes != _MODE:
        kind = "a link" if attributes >> 28 == 0o12 else "no ordinary file"
        raise Refused(f"{name!r:.80} is {kind}", remedy=AGAIN, offset=at)
    if method or fields[8] != size:
        raise Refused(f"{name!r:.80} is not stored as it is", remedy=AGAIN, offset=at)
    member = Member(offset=offset, start=offset + _LOCAL.size + n_name, size=size, crc=crc)
    expected = _central(name, member)
    if data[at : at + len(expected)] != expected:
        raise Refused(f"the entry of {name!r:.80} is malformed", remedy=AGAIN, offset=at)
    return name, member, at + len(expected)


def _local(name: str, member: Member) -> bytes:
    raw = name.encode()
    return (
        _LOCAL.pack(
            b"PK\x03\x04", 20, 0, 0, 0, _DATE, member.crc, member.size, member.size, len(raw), 0
        )
        + raw
    )


def _central(name: str, member: Member) -> bytes:
    raw, is_far = name.encode(), member.offset >= _FULL32
    extra = _EXTRA64.pack(1, 8, member.offset) if is_far else b""
    fixed = _CENTRAL.pack(
        b"PK\x01\x02", _MADE_BY, 45 if is_far else 20, 0, 0, 0, _DATE, member.crc, member.size,
        member.size, len(raw), len(extra), 0, 0, 0, _MODE, min(member.offset, _FULL32),
    )  # fmt: skip
    return fixed + raw + extra


def _end(count: int, *, start: int, size: int) -> bytes:
    short = _END.pack(
        b"PK\x05\x06", 0, 0, min(count, _FULL16), min(count, _FULL16),
        min(size, _FULL32), min(start, _FULL32), 0,
    )  # fmt: skip
    if count < _FULL16 and max(start, size) < _FULL32:
        return short
    long = _END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    return long + _LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1) + short
