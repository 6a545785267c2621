"""Choices that a run makes once: `plan.json`, written at the first start and obeyed ever after.

Which plan, kernel and thread count computes an activation decides its last bits. A resumed run
reads them here instead of measuring again, so that its files are those of an undisturbed run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoact.errors import EmoactError, RequestError
from emoact.runs.regular import read_regular
from emoact.schema import SCHEMA_VERSION
from emoact.store.atomic import write_json

_MAX_BYTES = 10_000_000


class FrozenChoices:
    """The choices of one run, by model folder.

    Args:
        path: `plan.json` of the run directory; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, folder: str) -> Mapping[str, Any] | None:
        """The choices for a model, or None before they are made.

        Raises:
            EmoactError: The file is damaged.
        """
        found = self._read().get(folder)
        return None if found is None else dict(found)

    def freeze(self, folder: str, choices: Mapping[str, Any]) -> None:
        """Keep the choices for a model; those of an earlier start stay as they are.

        Raises:
            EmoactError: The file is damaged or cannot be written.
        """
        models = self._read()
        if folder not in models:
            content = {"schema_version": SCHEMA_VERSION, "models": {**models, folder: choices}}
            write_json(self._path, content)

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        try:
            content = json.loads(read_regular(self._path, limit=_MAX_BYTES))
            models = content["models"] if content["schema_version"] == SCHEMA_VERSION else None
        except (RequestError, ValueError, KeyError, TypeError, RecursionError):
            models = None
        if not isinstance(models, dict) or not all(isinstance(m, dict) for m in models.values()):
            raise EmoactError(
                f"{self._path} is damaged, and the run cannot go on as it began without it",
                remedy="Start a new run.",
            )
        return models
