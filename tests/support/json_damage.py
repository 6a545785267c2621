"""Damage of JSON documents and of files that hold one: values that no honest writer writes."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emoact.decode import sealed, unsealed

_VALUES = (
    b"null",
    b"true",
    b"-5",
    b"1e999",
    b"-1e999",
    b"NaN",
    b"0.5",
    b"1" + b"0" * 400,
    b"1" + b"0" * 5_000,
    b"9223372036854775808",
    b"4294967295",
    b"[]",
    b"{}",
    b'""',
    b'"\\u0000"',
    b'"\\ud800"',
    b'"../../../etc/passwd"',
    b"[" * 5_000 + b"]" * 5_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"[" * 300_000,
    b'"' + b"x" * 100_000 + b'"',
)
_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\[\]|\{\}')


def damage_json(random_: random.Random, text: bytes) -> bytes:
    """A document with one to three of its values exchanged, or cut short."""
    for _ in range(random_.choice((1, 1, 2, 3))):
        places = list(_VALUE.finditer(text))
        if not places or random_.random() < 0.05:
            return text[: random_.randrange(len(text) + 1)]
        place = random_.choice(places)
        text = text[: place.start()] + random_.choice(_VALUES) + text[place.end() :]
    return text


def damage_sealed(random_: random.Random, text: bytes) -> bytes:
    """A damaged document, mostly with the hash of its new content, so that its fields are read."""
    damaged = damage_json(random_, text)
    if random_.random() < 0.1:
        return damaged
    try:
        fields, _ = unsealed(json.loads(damaged))
        return json.dumps(sealed(fields)).encode() if isinstance(fields, dict) else damaged
    except (ValueError, RecursionError):
        return damaged


def damage_line(random_: random.Random, text: bytes) -> bytes:
    """A file of documents, one a line, with a damaged one."""
    lines = text.splitlines()
    at = random_.randrange(len(lines))
    lines[at] = damage_sealed(random_, lines[at])
    return b"\n".join(lines) + b"\n"


def damage_words(random_: random.Random, data: bytes) -> bytes:
    """A safetensors file with damage in the JSON that its metadata hold."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    ((name, words),) = header["__metadata__"].items()
    damaged = damage_json(random_, words.encode()).decode(errors="replace")
    text = json.dumps({**header, "__metadata__": {name: damaged}}).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def damage_bytes(random_: random.Random, data: bytes) -> bytes:
    """A file with a few bytes changed, removed or added, or cut short."""
    found = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 4))):
        at = random_.randrange(len(found) + 1)
        kind = random_.randrange(4)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << random_.randrange(8)
        elif kind == 1:
            found[at : at + 8] = random_.choice((b"\xff" * 8, b"\0" * 8, b"\0" * 7 + b"\x40"))
        elif kind == 2:
            del found[at : at + random_.randrange(1, 9)]
        else:
            found[at:at] = random_.randbytes(random_.randrange(1, 9))
    return bytes(found[: random_.randrange(len(found) + 1)] if random_.random() < 0.1 else found)


def damage_safetensors(random_: random.Random, data: bytes) -> bytes:
    """A safetensors file with damage in its header, or anywhere."""
    if random_.random() < 0.3:
        return damage_bytes(random_, data)
    size = int.from_bytes(data[:8], "little")
    header = damage_json(random_, data[8 : 8 + size])
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def change_document(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a document and give it the hash of its new content, as a stranger can."""
    fields, _ = unsealed(json.loads(path.read_text()))
    change(fields)
    path.write_text(json.dumps(sealed(fields)))
