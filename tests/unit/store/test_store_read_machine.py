"""Refusals of the machine name the opcode and its byte."""

from pathlib import Path

import pytest

from emoact.errors import FileRefusedError
from emoact.store.read.closed import interpret

P = b"\x80\x04"


def interpreted(data: bytes) -> object:
    return interpret(memoryview(data), Path("a.pkl"))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (P + b"N.", None),
        (P + b"\x95\x02\0\0\0\0\0\0\0N.", None),
        (P + b"](K\x01M\x00\x01J\xff\xff\xff\xffe.", [1, 256, -1]),
        (P + b"\x8a\x00.", 0),
        (P + b"\x8a\x02\xff\x00.", 255),
        (P + b"\x8a\x01\xff.", -1),
        (P + b"\x8b\x01\0\0\0\x07.", 7),
        (P + b"G\x3f\xf8\0\0\0\0\0\0.", 1.5),
        (P + b"}(K\x01NK\x01\x88u.", {1: True}),
        (P + b"}K\x01\x89s.", {1: False}),
        (P + b"Nq\x00h\x00\x86.", (None, None)),
        (P + b"Nr\x07\0\0\0j\x07\0\0\0\x86.", (None, None)),
        (P + b"C\x02ab.", b"ab"),
        (P + b"\x8e\x02\0\0\0\0\0\0\0ab.", b"ab"),
        (P + b"\x8d\x02\0\0\0\0\0\0\0ab.", "ab"),
        (P + b"(t.", ()),
        (P + b"].", []),
    ],
)
def test_streams_mean_what_pickletools_says(data: bytes, value: object) -> None:
    assert interpreted(data) == value


@pytest.mark.parametrize(
    ("data", "offset", "said"),
    [
        (P + b"Nr\xff\xff\xff\x7f.", 3, "memo number 2,147,483,647 in a file of 9 bytes"),
        (P + b"h\x05.", 2, "memo number 5 is used before it is set"),
        (P + b"N2\x86.", 3, "opcode DUP"),
        (P + b"N0N.", 3, "opcode POP"),
        (P + b"(N1N.", 4, "opcode POP_MARK"),
        (P + b"\x97.", 2, "opcode NEXT_BUFFER"),
        (P + b"N\x98.", 3, "opcode READONLY_BUFFER"),
        (P + b"\x82\x01.", 2, "opcode EXT1"),
        (P + b"\x83\x01\0.", 2, "opcode EXT2"),
        (P + b"\x84\x01\0\0\0.", 2, "opcode EXT4"),
        (P + b"Pid\n.", 2, "opcode PERSID"),
        (P + b"NQ.", 3, "opcode BINPERSID"),
        (P + b"(iposix\nsystem\n.", 3, "opcode INST"),
        (P + b"(No.", 4, "opcode OBJ"),
        (P + b"N)\x81.", 4, "opcode NEWOBJ"),
        (P + b"N)}\x92.", 5, "opcode NEWOBJ_EX"),
        (P + b"\x8f.", 2, "opcode EMPTY_SET"),
        (P + b"(\x91.", 3, "opcode FROZENSET"),
        (P + b"\x00.", 2, "opcode 0x00"),
        (P + b"I1\n.", 2, "INT of pickle protocol 0 or 1"),
        (P + b"U\x01a.", 2, "SHORT_BINSTRING of pickle protocol 0 or 1, or of Python 2"),
        (P + b"a.", 2, "opcode APPEND needs values"),
        (P + b"e.", 2, "needs a mark, and there is none"),
        (P + b"](Na.", 5, "not a list|needs values"),
        (P + b"N\x86.", 3, "needs values"),
        (P + b"NNe.", 4, "needs a mark"),
        (P + b"N(Ne.", 5, "not a list"),
        (P + b"N(NNu.", 6, "not a dict"),
        (P + b"}(Nu.", 5, "a key that has no value"),
        (P + b"}(]Nu.", 6, "a dict key that is not a text"),
        (P + b"}(\x8a\x09" + b"\x7f" * 9 + b"Nu.", 16, "beyond 64 bits"),
        (P + b"(N.", 5, "unfinished values"),
        (P + b"NN.", 5, "unfinished values"),
        (P + b".", 3, "unfinished values"),
        (P + b"N.N", 4, "1 bytes follow the end"),
        (P + P + b"N.", 2, "pickle protocol 4 at byte 2"),
        (P + b"X\x02\0\0\0\xff\xfe.", 2, "not UTF-8"),
        (P + b"X\x03\0\0\0\xed\xa0\x80.", 2, "not UTF-8"),
        (P + b"X\xff\0\0\0a.", 2, "the file is cut short"),
        (P + b"J\0.", 2, "the file is cut short"),
        (P + b"K", 2, "cut short"),
        (P + b"N", 3, "cut short"),
        (P + b"cnumpy\nndarray\n.", None, "a class, a function"),
        (P + b"cnumpy\nndarray\n)R.", 18, "unknown constructor"),
        (P + b"cos\nsystem\n.", 2, "os.system"),
        (P + b"\x8c\x02os\x8c\x06system\x93.", 14, "os.system"),
        (P + b"NN\x93.", 4, "not a short text"),
    ],
)  # fmt: skip
def test_a_refusal_names_opcode_and_byte(data: bytes, offset: int | None, said: str) -> None:
    with pytest.raises(FileRefusedError, match=said) as caught:
        interpreted(data)
    assert caught.value.offset == offset
    assert caught.value.remedy
