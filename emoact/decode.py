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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from emoact.errors import RequestError
from emoact.files import open_regular

T = TypeVar("T")

_LARGEST = 2**63
_DEEPEST = 60
_NESTING = (dict, list)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_SEAL = "sha256"

OPTIONAL: Mapping[str, bool] = {"optional": True}
"""Metadata of a field that is left out where it is None, as in documents from before it."""


def decode(cls: type[T], fields: Any, *, where: str = "", ignore_unknown: bool = False) -> T:
    """Build an instance of a dataclass from what `json.loads` gave.

    Tuples are read from lists, nested dataclasses from objects, whole numbers count as floats.
    Fields with a default may be missing.

    Args:
        cls: A dataclass.
        fields: The JSON value.
        where: Name of the value in messages.
        ignore_unknown: Pass over fields that the class does not have, instead of refusing them.

    Raises:
        RequestError: A field is missing, unknown or of another type; says which.
    """
    if not isinstance(fields, Mapping):
        raise RequestError(f"{where or cls.__name__}: an object is expected, found {_said(fields)}")
    hints = _hints(typing.cast("type", cls))
    unknown = sorted(set(fields) - set(hints))
    if unknown and not ignore_unknown:
        raise RequestError(f"{_at(where, unknown[0])}: this field is unknown")
    values = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        at = _at(where, field.name)
        if field.name in fields:
            values[field.name] = _value(hints[field.name], fields[field.name], at)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RequestError(f"{at}: this field is missing")
    return cls(**values)


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
        ValueError: It is no JSON, is nested deeper than any document of emoact, or holds half of a
            character, which `json` accepts and no page and no terminal can show.
    """
    try:
        value = json.loads(data.decode())
        check_nesting(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _HALF.search(data):
        json.dumps(value, ensure_ascii=False).encode()
    return value


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


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    return {name: hint for name, hint in hints.items() if name in names}


def _value(hint: Any, value: Any, at: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _either(arguments, value, at)
    if origin is Literal:
        if type(value) is str and value in arguments:
            return value
        raise RequestError(f"{at} is {value!r:.80}; allowed are {', '.join(arguments)}")
    if origin is tuple and isinstance(value, list):
        return _items(arguments, value, at)
    if origin is not None and isinstance(value, dict) and issubclass(origin, Mapping):
        return {key: _value(arguments[1], item, _at(at, key)) for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, value, where=at)
    # `bool` is an `int` in Python, not in JSON.
    if hint in (int, float) and type(value) in (int, hint):
        return _number(hint, value, at)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise RequestError(f"{at} is {_said(value)}; {_named(hint)} is expected")


def _number(hint: Any, value: Any, at: str) -> Any:
    """A number that every computation can take: 64 bits, and finite."""
    if not abs(value) < _LARGEST:
        raise RequestError(f"{at} is {value!r:.40}; no such number is expected")
    return float(value) if hint is float else value


def _either(arguments: tuple[Any, ...], value: Any, at: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    *others, last = (argument for argument in arguments if argument is not type(None))
    for hint in others:
        with contextlib.suppress(RequestError):
            return _value(hint, value, at)
    return _value(last, value, at)


def _items(arguments: tuple[Any, ...], value: list[Any], at: str) -> tuple[Any, ...]:
    if arguments[-1] is Ellipsis:
        arguments = arguments[:1] * len(value)
    if len(arguments) != len(value):
        raise RequestError(f"{at} has {len(value)} items; {len(arguments)} are expected")
    return tuple(
        _value(hint, item, f"{at}[{index}]")
        for index, (hint, item) in enumerate(zip(arguments, value, strict=True))
    )


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _said(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.40}"


def _named(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint))


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
