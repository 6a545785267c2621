"""JSON that is not trusted into values, and back: the one way of every file and message.

A file may be torn, foreign or from a newer emoact. What passes here has the types that its class
says. pydantic does the same; it is not used because its import would lengthen the start of every
command by half (docs/decisions.md).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from emoact.errors import RequestError
from emoact.files import open_regular

T = TypeVar("T")

_LARGEST = 2**63
_DEEPEST = 60
_MOST_VALUES = 4_000_000
_NESTING = (dict, list)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SEAL = "sha256"

OPTIONAL: Mapping[str, bool] = {"optional": True}
"""Metadata of a field that is left out where it is None, as in documents from before it."""


def decode(cls: type[T], fields: Any, *, where: str = "", ignore_unknown: bool = False) -> T:
    """Build an instance of a dataclass from what `json.loads` gave.

    Tuples are read from lists, nested dataclasses from objects, whole numbers count as floats.
    Fields with a default may be missing. `where` names the value in messages; `ignore_unknown`
    passes over fields that the class does not have, instead of refusing them.

    Raises:
        RequestError: A field is missing, unknown or of another type; says which.
    """
    try:
        # A class is hashable, which mypy does not know of a type variable.
        return typing.cast("T", _object(typing.cast("type", cls), ignore_unknown)(fields))
    except _MisfitError as misfit:
        raise RequestError(misfit.said(where, cls.__name__)) from None


def encode(value: Any) -> Any:
    """Plain JSON of a value: objects for dataclasses and mappings, lists for tuples."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = [(item, getattr(value, item.name)) for item in dataclasses.fields(value)]
        return {
            item.name: encode(each)
            for item, each in held
            if each is not None or "optional" not in item.metadata
        }
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def finite(value: Any) -> Any:
    """The value in JSON types; NaN and infinities become None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def versioned(fields: Any, *, version: int, what: str) -> dict[str, Any]:
    """Fields of a document without their `schema_version`, which is checked.

    Raises:
        RequestError: It is of a newer emoact, or is no such document.
    """
    if not isinstance(fields, Mapping):
        raise RequestError(f"expected a JSON object, found {type(fields).__name__}")
    found = fields.get("schema_version")
    if type(found) is int and found > version:
        raise RequestError(
            f"written by a newer emoact (schema version {found}, this one reads up to {version})",
            remedy=f"Update emoact to open this {what}.",
        )
    if found != version:
        raise RequestError(f"no {what} that this emoact knows (schema_version {found!r:.40})")
    return {key: item for key, item in fields.items() if key != "schema_version"}


def sealed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A document with the hash of its fields, by which a change is found."""
    return {**fields, _SEAL: sha256_of(fields)}


def unsealed(fields: Any) -> tuple[Any, bool]:
    """A document without its hash, and False where that is of other fields.

    Documents from before there were hashes have none.
    """
    if not isinstance(fields, Mapping) or _SEAL not in fields:
        return fields, True
    others = {name: value for name, value in fields.items() if name != _SEAL}
    return others, sha256_of(others) == fields[_SEAL]


def unchanged(fields: Any, *, version: int, what: str) -> dict[str, Any]:
    """Fields of a document without its version and its hash, which are checked; see `versioned`.

    Raises:
        RequestError: It is of a newer emoact, is no such document, or was changed.
    """
    stated, whole = unsealed(fields)
    found = versioned(stated, version=version, what=what)
    if not whole:
        raise RequestError("its content is not what was written")
    return found


def read_json(path: Path, *, limit: int, follow: bool = False) -> Any:
    """The JSON value in a regular file of at most `limit` bytes; see `read_regular` and `parsed`.

    Raises:
        RequestError: It is missing, cannot be read, is larger, or is no JSON; names the file.
    """
    data = read_regular(path, limit=limit, follow=follow, whole=True)
    try:
        return parsed(data)
    except ValueError as error:
        raise RequestError(f"{path.name} is not JSON ({error})") from None


def parsed(data: bytes) -> Any:
    """The JSON value in UTF-8 bytes, such that readers, pages and terminals can take all of it.

    Raises:
        ValueError: It is no JSON, has more values or is nested deeper than any document of emoact,
            or holds half of a character, which `json` accepts and no page and no terminal can show.
    """
    # Two characters of JSON (`[]`) can take 64 bytes of memory.
    if sum(map(data.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise ValueError(f"it has more than {_MOST_VALUES:,} values")
    try:
        value = json.loads(data.decode())
        check_nesting(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _HALF.search(data):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def is_text(name: str) -> bool:
    """True for the name of a file that a page and a document can show: one that is UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def straight(text: str) -> str:
    """Text without the characters that turn the direction of what follows them."""
    return _TURNS.sub("\ufffd", text)


def check_nesting(value: Any) -> None:
    """Return for a value of few levels; `json` reads values that no other function can walk.

    Raises:
        ValueError: It has more levels than any document of emoact.
    """
    level = [value] if type(value) in _NESTING else []
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            for inner in (each.values() if type(each) is dict else each)
            if type(inner) in _NESTING
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


class _MisfitError(Exception):
    """A value of another type than its field; names of fields and items from the inside out."""

    def __init__(self, reason: str, *place: str) -> None:
        self.reason, self.place = reason, list(place)

    def said(self, where: str, name: str) -> str:
        place = "".join(reversed(self.place))
        return (f"{where}{place}" if where else place.lstrip(".") or name) + self.reason


@functools.cache
def _object(cls: type, ignore_unknown: bool) -> Callable[[Any], Any]:
    """Reader of a dataclass; made once, as one file can hold 100,000 of them."""
    hints, fields = typing.get_type_hints(cls), dataclasses.fields(cls)
    known = {field.name for field in fields}
    readers = [(field.name, f".{field.name}", _reader(hints[field.name])) for field in fields]
    missing = (dataclasses.MISSING, dataclasses.MISSING)
    needed = [f.name for f in fields if (f.default, f.default_factory) == missing]

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _MisfitError(f": an object is expected, found {_said(value)}")
        if not (ignore_unknown or known.issuperset(value)):
            raise _MisfitError(": this field is unknown", f".{min(set(value) - known):.80}")
        for name in needed:
            if name not in value:
                raise _MisfitError(": this field is missing", f".{name}")
        given = ((name, at, one, value[name]) for name, at, one in readers if name in value)
        return cls(**_each(given))

    return read


def _each(parts: Iterable[tuple[Any, str, Callable[[Any], Any], Any]]) -> dict[Any, Any]:
    """Values by name, each by its own reader; a misfit says where it was."""
    found = {}
    for name, at, read, value in parts:
        try:
            found[name] = read(value)
        except _MisfitError as misfit:
            misfit.place.append(at)
            raise
    return found


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda value: value
    if origin in (typing.Union, types.UnionType):
        return _either(arguments)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object(hint, False)
    expected = f"; {getattr(hint, '__name__', str(hint))} is expected"
    each = [_reader(argument) for argument in arguments if argument is not Ellipsis]
    endless = origin is tuple and arguments[-1] is Ellipsis

    def read(value: Any) -> Any:
        kind = type(value)
        if kind is hint or (hint is float and kind is int):
            # A number that every computation can take: 64 bits, and finite.
            if kind in (int, float) and not abs(value) < _LARGEST:
                raise _MisfitError(f" is {value!r:.40}; no such number is expected")
            return float(value) if hint is float else value
        if origin is tuple and kind is list:
            if not endless and len(each) != len(value):
                raise _MisfitError(f" has {len(value)} items; {len(each)} are expected")
            readers = each * len(value) if endless else each
            parts = zip(range(len(value)), readers, value, strict=True)
            return tuple(_each((at, f"[{at}]", one, item) for at, one, item in parts).values())
        if kind is dict and origin is not None and issubclass(origin, Mapping):
            return _each((key, f".{key:.80}", each[1], item) for key, item in value.items())
        raise _MisfitError(f" is {_said(value)}{expected}")

    def choose(value: Any) -> Any:
        if type(value) is str and value in arguments:
            return value
        raise _MisfitError(f" is {value!r:.80}; allowed are {', '.join(arguments)}")

    return choose if origin is Literal else read


def _either(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    *others, last = (_reader(each) for each in arguments if each is not type(None))
    optional = type(None) in arguments

    def read(value: Any) -> Any:
        if value is None and optional:
            return None
        for one in others:
            with contextlib.suppress(_MisfitError):
                return one(value)
        return last(value)

    return read


def _said(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.40}"


def read_regular(
    path: Path, *, limit: int, after: int = 0, follow: bool = False, whole: bool = False
) -> bytes:
    """At most `limit` bytes of a regular file from byte `after` on.

    Raises:
        RequestError: It is missing, cannot be read, or is a link, a pipe or another odd thing; or
            it is larger.
    """
    try:
        with open_regular(path, follow=follow) as file:
            if not whole or os.fstat(file.fileno()).st_size <= limit:
                file.seek(after)
                return file.read(limit)
    except OSError as error:
        said = "is missing" if isinstance(error, FileNotFoundError) else f"({error.strerror})"
        raise RequestError(f"{path.name} {said}") from error
    raise RequestError(f"{path.name} is larger than {limit:,} bytes")


def sha256_of(value: Any) -> str:
    """SHA-256 of JSON; the order of the fields of a mapping does not matter."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
