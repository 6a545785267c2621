"""Prompts in the chat format of a model: its own template around the text, as the user's turn."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.child import ask
from emoact.decode import read_json, read_regular
from emoact.errors import RequestError
from emoact.models import chat_sandbox
from emoact.models.tokenizer_file import open_tokenizer, refusing
from emoact.positions import Span
from emoact.schema import ChatFormat, normal

_LIMIT = 20_000_000
_AT_ONCE = 2000
"""Prompts that one process renders within its limit of time."""
_PROBE = "\ue000probe\ue001"
"""A text that no template holds; shows where a template puts the user's text."""
_WITHOUT = "Extract with --chat none, or choose a model that was tuned on conversations."


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """The chat template of a model; `tokens`: special ones that it may write, as `bos_token`."""

    model: str
    text: str
    tokens: tuple[tuple[str, str], ...]

    @property
    def sha256(self) -> str:
        """Hash of the template's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def clock(self) -> str | None:
        """Time that the template is told where it asks for one, ISO 8601, or None."""
        return chat_sandbox.CLOCK.isoformat() if "strftime_now" in self.text else None

    @classmethod
    def of(cls, model: str, template: Any, tokens: Mapping[str, Any]) -> ChatTemplate:
        """The template that transformers takes, of several the default; `RequestError` if none."""
        if isinstance(template, list):
            pairs = [each for each in template if isinstance(each, Mapping)]
            template = {str(each.get("name")): each.get("template") for each in pairs}
        if isinstance(template, Mapping):
            template = template.get("default")
        if not isinstance(template, str) or not template:
            raise RequestError(f"the tokenizer of {model} has no chat template", remedy=_WITHOUT)
        tokens = tokens if isinstance(tokens, Mapping) else {}
        named = {
            name: value.get("content") if isinstance(value, Mapping) else value
            for name, value in tokens.items()
            if name.endswith("_token")
        }
        strings = {name: value for name, value in named.items() if isinstance(value, str)}
        return cls(model=model, text=template, tokens=tuple(sorted(strings.items())))


@dataclass(frozen=True, kw_only=True)
class Formatted:
    """One prompt in its chat format."""

    text: str
    start: int
    stop: int

    def content(self, offsets: Sequence[tuple[int, int]]) -> Span:
        """Positions of the tokens, given by first and end character, that hold the user's text."""
        own = [
            position
            for position, (first, end) in enumerate(offsets)
            if max(first, self.start) < min(end, self.stop)
        ]
        return (own[0], own[-1] + 1) if own else (0, 0)


def read_template(directory: Path, model: str) -> ChatTemplate:
    """The template in a model's folder; imports neither torch nor transformers.

    Raises:
        RequestError: There is none, or the configuration of the tokenizer cannot be read.
    """
    # Files of the hub's cache are links.
    path = Path(directory, "tokenizer_config.json").resolve()
    config = read_json(path, limit=_LIMIT) if path.is_file() else {}
    file = directory / "chat_template.jinja"
    template = config.get("chat_template") if isinstance(config, Mapping) else None
    if file.is_file():
        template = read_regular(file, limit=_LIMIT, follow=True).decode(errors="replace")
    return ChatTemplate.of(model, template, config)


def check_chat(directory: Path, model: str, chat: ChatFormat, texts: Sequence[str]) -> list[str]:
    """Check a model's chat format on the prompts of a run; returns them in their format.

    Raises:
        RequestError: There is no template, the template refuses or changes a prompt or runs too
            long, or the tokenizer changes a prompt, so that its text is not found again.
        EmoactError: The tokenizer cannot be read.
    """
    prompts = formatted(read_template(directory, model), chat, tuple(texts))
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise RequestError(
            f"the tokenizer of {model} does not say which characters a token stands for "
            "(tokenizer.json), so that the text cannot be told from the template",
            remedy=_WITHOUT,
        )
    tokenizer = open_tokenizer(path)
    with refusing(path):
        encoded = tokenizer.encode_batch([each.text for each in prompts], add_special_tokens=False)
    for text, prompt, tokens in zip(texts, prompts, encoded, strict=True):
        start, stop = prompt.content(tokens.offsets)
        with refusing(path):
            again = tokenizer.decode(tokens.ids[start:stop], skip_special_tokens=False)
        check_kept(model, text, again)
    return [each.text for each in prompts]


def check_kept(model: str, text: str, again: str) -> None:
    """Raise `RequestError` for a prompt that the tokenizer reads as another text."""
    if normal("NFC", text.strip()) not in normal("NFC", again):
        raise RequestError(
            f"the tokenizer of {model} changes a prompt: {text!r:.80} is read as {again!r:.80}",
            remedy=_WITHOUT,
        )


@functools.lru_cache(maxsize=32)
def formatted(
    template: ChatTemplate, chat: ChatFormat, texts: tuple[str, ...]
) -> tuple[Formatted, ...]:
    """The texts as the user's turn, followed by the beginning of the response.

    White space around a text may be trimmed by a template; the rest of it must stay.

    Raises:
        RequestError: The template refuses a prompt, changes it, leaves the system prompt out, or
            needs too much time or memory.
    """
    probe, *rendered = _rendered(template, chat, (_PROBE, *texts))
    before, *after = probe.split(_PROBE)
    if len(after) != 1:
        raise _refused(template, f"it writes the user's text {len(after)} times, not once")
    if chat.system and chat.system.strip() not in before:
        raise _refused(template, "it leaves the system prompt out", "Extract without --system.")
    prefix = chat.assistant or ""
    found = []
    for text, whole in zip(texts, rendered, strict=True):
        stop = len(whole) - len(after[0])
        own = whole[len(before) : stop]
        if whole != before + own + after[0] or own not in (text, text.strip()):
            raise _refused(template, f"it changes the prompt {text!r:.80}")
        found.append(Formatted(text=whole + prefix, start=len(before), stop=stop))
    return tuple(found)


def _rendered(template: ChatTemplate, chat: ChatFormat, texts: Sequence[str]) -> list[str]:
    system = [{"role": "system", "content": chat.system}] if chat.system else []
    found: list[str] = []
    for first in range(0, len(texts), _AT_ONCE):
        asked = {
            "template": template.text,
            "tokens": dict(template.tokens),
            "conversations": [
                [*system, {"role": "user", "content": text}]
                for text in texts[first : first + _AT_ONCE]
            ],
        }
        try:
            answer = ask(
                "emoact.models.chat_sandbox:render",
                asked,
                memory=chat_sandbox.MEMORY,
                seconds=chat_sandbox.CPU_S,
            )
        except RequestError as error:
            answer = {"error": error.message}
        if "error" in answer:
            said: str = answer["error"]
            without = "Extract without --system." if "system" in said.lower() else _WITHOUT
            raise _refused(template, said, without)
        found += answer["texts"]
    return found


def _refused(template: ChatTemplate, why: str, remedy: str = _WITHOUT) -> RequestError:
    return RequestError(
        f"the chat template of {template.model} cannot be used: {why}", remedy=remedy
    )
