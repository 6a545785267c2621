"""Folder names for models: injective, reversible for hub models, safe on every file system.

A folder of the registry is its short name. Any other hub model is `<id>@<revision>` with `/`
written as `~`; a local directory is `local~<name>~<hash>`, a GGUF file `gguf~<name>~<hash>`. The
three kinds cannot meet: registry names hold neither `@` nor `~`, and `@` is escaped in the others.
"""

from __future__ import annotations

import re
from typing import Literal

from emoact.models.registry import REGISTRY

_PLAIN = re.compile(r"[A-Za-z0-9._-]")


def _escape(text: str, *, slash: str) -> str:
    escaped = []
    for position, character in enumerate(text):
        if character == "/" and slash:
            escaped.append(slash)
        # At an end, a dot hides the folder or gets lost, and a dash looks like an option.
        elif _PLAIN.match(character) and not (character in ".-" and position in (0, len(text) - 1)):
            escaped.append(character)
        else:
            escaped.extend(f"={byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    return "".join(escaped)


def _unescape(text: str) -> str:
    raw = re.sub(
        rb"=([0-9A-F]{2})",
        lambda match: bytes([int(match.group(1), 16)]),
        text.replace("~", "/").encode(),
    )
    return raw.decode("utf-8", "surrogatepass")


def hub_folder(hub_id: str, revision: str | None = None) -> str:
    """Folder of a hub model; `None` and `main` are the default revision."""
    default = revision in (None, "main")
    for spec in REGISTRY:
        if spec.hub_id == hub_id and default and spec.wheel is None:
            return spec.name
    return f"{_escape(hub_id, slash='~')}@{_escape(revision or 'main', slash='~')}"


def parse_hub_folder(folder: str) -> tuple[str, str] | None:
    """The (hub id, revision) that `hub_folder` was given, or None for another kind of folder."""
    for spec in REGISTRY:
        if folder == spec.name:
            return spec.hub_id, "main"
    if "@" not in folder:
        return None
    hub_id, _, revision = folder.partition("@")
    return _unescape(hub_id), _unescape(revision)


def content_folder(kind: Literal["local", "gguf"], name: str, sha256: str) -> str:
    """Folder of a local directory or GGUF file, from its name and the hash of its content."""
    return f"{kind}~{_escape(name, slash='')[:80]}~{sha256[:12]}"
