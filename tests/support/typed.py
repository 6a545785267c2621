"""Commands of emoact, typed in the process of the test."""

import json
from typing import Any, NamedTuple

import pytest

from emoact.cli import main


class Said(NamedTuple):
    """What one command wrote."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Typed:
    """`typed("runs", "show", "mine", code=2).err`: what it wrote, where it ends with that code."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> Said:
        self._capsys.readouterr()
        ended = main([str(word) for word in words])
        said = Said(*self._capsys.readouterr())
        assert ended == code, (words, said.err)
        return said
