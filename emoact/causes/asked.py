"""Fields of a question about causes: what each allows, and its option of the command line.

One description serves the checks, the shell command of a result and the command that is typed.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeVar

from emoact.decode import decode, encode
from emoact.errors import RequestError


def option(
    flag: str,
    default: Any = dataclasses.MISSING,
    *,
    least: int | None = None,
    most: int | None = None,
    choices: tuple[Any, ...] = (),
    said: bool = True,
    names: bool = True,
) -> Any:
    """A field with its option; of a field without one, `flag` is empty.

    Args:
        flag: Option of the command line.
        default: Its default; none where it has to be given.
        least: Smallest number that is allowed; None checks none.
        most: Largest number that is allowed; None sets none.
        choices: Allowed values, of which a tuple may have several.
        said: The shell command of a result names it.
        names: It decides figures, and so the name of a result.
    """
    facts = {"flag": flag, "least": least, "most": most, "choices": choices}
    facts |= {"said": said, "names": names}
    if default == {}:
        return field(default_factory=dict, metadata=facts)
    return field(default=default, metadata=facts)


class Checked:
    """Base of dataclasses whose fields are checked by what `option` says of them."""

    def __post_init__(self) -> None:
        for name, value, facts in _fields(self):
            least, most = facts.get("least"), facts.get("most")
            if None not in (least, value) and (value < least or (most or value) < value):
                bounds = f"at least {least} is needed"
                if most is not None:
                    bounds = f"allowed are {least} to {most:,}"
                raise RequestError(f"{name} is {value}; {bounds}")
            choices, several = facts.get("choices"), isinstance(value, tuple)
            if choices and not set(value if several else (value,)) <= set(choices):
                raise RequestError(f"{name} is {value!r}; allowed are {', '.join(choices)}")


Asked = TypeVar("Asked", bound=Checked)


def _fields(asked: Any) -> list[tuple[str, Any, Mapping[str, Any]]]:
    """Name, value and facts of every field."""
    return [
        (each.name, getattr(asked, each.name), each.metadata) for each in dataclasses.fields(asked)
    ]


def given(cls: type[Asked], arguments: Any) -> Asked:
    """The question that the options of a command ask; options that were not given have defaults."""
    found, hints = {}, typing.get_type_hints(cls)
    for each in dataclasses.fields(cls):  # type: ignore[arg-type]
        flag = each.metadata.get("flag", "")
        value = getattr(arguments, flag.lstrip("-").replace("-", "_"), None) if flag else None
        if dataclasses.is_dataclass(hints[each.name]):
            found[each.name] = given(hints[each.name], arguments)
        elif isinstance(value, list):
            pairs = [str(item).partition("=")[::2] for item in value]
            found[each.name] = (
                dict(pairs) if each.default_factory is dict else tuple(dict.fromkeys(value))
            )
        elif value is not None:
            found[each.name] = value
    return cls(**found)


def asked_by(cls: type[Asked], held: Mapping[str, Any]) -> Asked:
    """The question of a document that was checked, which may hold more."""
    found, hints = {}, typing.get_type_hints(cls)
    for each in dataclasses.fields(cls):  # type: ignore[arg-type]
        if each.name in held:
            value, hint = held[each.name], hints[each.name]
            nested = dataclasses.is_dataclass(hint)
            found[each.name] = decode(hint, value, ignore_unknown=True) if nested else value
    return cls(**found)


def basis_of(asked: Any) -> dict[str, Any]:
    """What of a question decides figures, in plain JSON; without texts of which none is given."""
    return {
        name: basis_of(value) if dataclasses.is_dataclass(value) else encode(value)
        for name, value, facts in _fields(asked)
        if facts.get("names", True) and value != {}
    }


def words_of(asked: Any) -> list[str]:
    """Words of the shell command that asks the same, without its name."""
    words: list[str] = []
    for _, value, facts in _fields(asked):
        flag = facts.get("flag", "")
        if dataclasses.is_dataclass(value):
            words += words_of(value)
        elif value is None or not (flag and facts["said"]):
            continue
        elif isinstance(value, Mapping):
            words += [f"{flag}={name}={item}" for name, item in value.items()]
        elif isinstance(value, tuple):
            # A negative number must not look like an option.
            words += [f"{flag}={item}" for item in value]
        else:
            words += [flag, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
    return words
