"""What renders a chat template: a sandboxed Jinja, in a process with limits of time and memory.

A template comes with a model and is a program. Its process imports the standard library and jinja2
only. Its clock stands still, so that a run can be repeated.
"""

import datetime as dt
import json
from typing import Any

CPU_S = 3
MEMORY = 512 << 20
MOST_CHARACTERS = 1_000_000
"""Limits of one process: seconds of computing, bytes of memory, characters of a prompt."""


CLOCK = dt.datetime(2024, 7, 26, 12, tzinfo=dt.UTC)
"""Time that every template is told; 26 Jul 2024 is what templates of Llama 3.2 take without one."""


def environment() -> Any:
    """The Jinja environment of a chat template.

    Source: `_cached_compile_jinja_template` of transformers 5.23, with a clock that stands still.
    """
    from jinja2 import nodes
    from jinja2.exceptions import SecurityError, TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Generation(Extension):
        """`{% generation %}` marks what the assistant wrote; it is rendered as it is."""

        tags = frozenset({"generation"})  # type: ignore[assignment]

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    class OpenNamespace(Namespace):
        """A namespace without the names that lead to Python's own objects."""

        def __init__(*args: Any, **kwargs: Any) -> None:
            fields = dict(*args[1:], **kwargs)
            for name in fields:
                _check_name(name)
            Namespace.__init__(args[0], fields)

        def __setitem__(self, name: str, value: Any) -> None:
            _check_name(name)
            super().__setitem__(name, value)

    def _check_name(name: object) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise SecurityError(f"{name!r} is no name of a field")

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **how)

    def plain_dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    found = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    found.filters["tojson"] = tojson
    found.globals |= {
        "raise_exception": refuse,
        "strftime_now": CLOCK.strftime,
        "namespace": OpenNamespace,
        "dict": plain_dict,
    }
    return found


def render(asked: dict[str, Any]) -> dict[str, Any]:
    """The `texts` of the conversations, or the `error`; called in a process with limits."""
    try:
        template = environment().from_string(asked["template"])
        return {
            "texts": [_text(template, each, asked["tokens"]) for each in asked["conversations"]]
        }
    except MemoryError:
        return {"error": "it makes more text than a prompt can be, or needs too much memory"}
    except RecursionError:
        return {"error": "it calls itself without end"}


def _text(template: Any, messages: list[dict[str, str]], tokens: dict[str, str]) -> str:
    parts, size = [], 0
    for part in template.generate(
        messages=messages, tools=None, documents=None, add_generation_prompt=True, **tokens
    ):
        size += len(part)
        if size > MOST_CHARACTERS:
            raise MemoryError
        parts.append(part)
    return "".join(parts)
