"""Choices that a run makes once: `plan.json`, written at the first start and obeyed ever after.

Which plan, kernel and thread count computes an activation decides its last bits. A resumed run
reads them here instead of measuring again, so that its files are those of an undisturbed run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from emoact.errors import EmoactError, RequestError
from emoact.jobs.regular import read_regular
from emoact.schema import SCHEMA_VERSION
from emoact.store.atomic import write_json

_MAX_BYTES = 10_000_000


class FrozenChoices(MutableMapping[str, Mapping[str, Any]]):
    """The choices of one run by model folder, on the disk as soon as they are set.

    Args:
        path: `plan.json` of the run directory; it need not exist yet.

    Raises:
        EmoactError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._models = self._read()

    def __getitem__(self, folder: str) -> Mapping[str, Any]:
        return self._models[folder]

    def __setitem__(self, folder: str, choices: Mapping[str, Any]) -> None:
        if folder in self._models:
            raise KeyError(f"the choices for {folder} are frozen")
        models = {**self._models, folder: dict(choices)}
        write_json(self._path, {"schema_version": SCHEMA_VERSION, "models": models})
        self._models = models

    def __delitem__(self, folder: str) -> None:
        raise KeyError(f"the choices for {folder} are frozen")

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def _read(self) -> dict[str, Mapping[str, Any]]:
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
