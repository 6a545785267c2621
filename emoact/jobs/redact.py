"""Secrets of the environment, kept out of everything that is written."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from emoact.files import open_regular

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 6
"""Shorter values, such as the `true` of TOKENIZERS_PARALLELISM, are words and not secrets."""


def secrets() -> tuple[str, ...]:
    """Values that must not be written, longest first: from the environment and the hub's store."""
    values = {
        value
        for name, value in os.environ.items()
        if _SECRET.search(name) and name not in ("TOKENIZERS_PARALLELISM", "HF_TOKEN_PATH")
    }
    values.add(_stored_hub_token())
    return tuple(sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True))


def redact(text: str, hidden: Sequence[str] | None = None) -> str:
    """The text with `***` in place of every secret, or of these."""
    for secret in secrets() if hidden is None else hidden:
        text = text.replace(secret, "***")
    return text


class RedactedStream:
    """A text stream that passes everything on but secrets; put in place of stdout and stderr.

    What a secret is gets looked up once: a worker's environment does not change.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._secrets = secrets()

    def write(self, text: str) -> int:
        """Write the text without its secrets; a full disk must not end a run by its log."""
        with suppress(OSError):
            self._stream.write(redact(text, self._secrets))
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _stored_hub_token() -> str:
    named = os.environ.get("HF_TOKEN_PATH")
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    path = Path(named) if named else home / "token"
    try:
        with open_regular(path) as file:
            return file.read(10_000).decode(errors="replace").strip()
    except (OSError, RuntimeError):
        return ""
