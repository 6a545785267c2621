"""Projections on a direction, of saved prompts and of a text file: requests and results."""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.asked import option
from emoact.causes.chosen import DirectionRequest, direction_units
from emoact.causes.contributions import Target
from emoact.causes.direction import N_TOP, Projected, SavedDirection, direction_of, projected
from emoact.causes.prepared import Kind, time_of
from emoact.causes.saved import SavedCause
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.files import open_regular
from emoact.models.alike import ModelRequest
from emoact.store.layout import ResultsRoot
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 1_000
"""Most characters of a passage; longer lines are cut at white space."""

_BLOCK = 1 << 20
_MOST_TOP = 1_000
_CHARACTERS_A_TOKEN = 4.0
"""Of English text; for the cost alone."""
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class ProjectRequest(DirectionRequest):
    """A request from the command line. `file`: UTF-8 text, a passage a line; `sha256`: its hash."""

    neutral: str = option("--neutral", "neutral")
    file: str = option("--file", names=False)
    n_top: int = option("--top", N_TOP, least=1, most=_MOST_TOP)
    sha256: str = ""


def _check(
    request: ProjectRequest, units: Sequence[Unit]
) -> tuple[ProjectRequest, ModelRequest, str]:
    direction_of(units[0], units[1], request.target)
    model = request.model_of(units, request.target.site)
    size, sha256 = _hashed(Path(request.file))
    file, n_tokens = os.path.realpath(request.file), size / _CHARACTERS_A_TOKEN
    cost = f"One pass over {numbers.size(size)} of text, about {n_tokens:,.0f} tokens"
    asked = dataclasses.replace(request, file=file, sha256=sha256)
    return asked, model, f"{cost}{time_of(n_tokens, model)}."


def _hashed(path: Path) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK):
                size += len(block)
                digest.update(block)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error
    if not size:
        raise RequestError(f"{path} is empty", remedy="Name a file with text in it.")
    return size, digest.hexdigest()


def passages_of(path: Path, sha256: str) -> Iterator[tuple[str, str, int]]:
    """Passages of a text: their line, the text, and the bytes that were read so far.

    A passage is a line; a longer one than `LONGEST` is cut at white space. Memory does not grow
    with the file, also where it is one line.

    Raises:
        RequestError: It is not UTF-8, says where; or, in the end, it is another text.
    """
    line, read, rest, digest = 1, 0, "", hashlib.sha256()
    lines = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder("utf-8-sig")(), translate=True
    )
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK // 16):
                read += len(block)
                digest.update(block)
                *whole, rest = (rest + lines.decode(block)).split("\n")
                for text in whole:
                    yield from ((str(line), piece, read) for piece in _pieces(text))
                    line += 1
                while len(rest) > LONGEST:
                    piece, rest = _cut(rest)
                    yield str(line), piece, read
            rest += lines.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{path} is not UTF-8 near line {line}: {error.reason}",
            remedy="Save it as UTF-8.",
        ) from error
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error
    yield from ((str(line), piece, read) for piece in _pieces(rest))
    if digest.hexdigest() != sha256:
        raise RequestError(
            f"{path} has changed since the run was asked for", remedy="Ask for it again."
        )


def _pieces(text: str) -> Iterator[str]:
    text = text.strip()
    while text:
        piece, text = _cut(text)
        yield piece


def _cut(text: str) -> tuple[str, str]:
    """The first passage of a text, and the rest."""
    at = len(text) if len(text) <= LONGEST else text.rfind(" ", 1, LONGEST)
    at = LONGEST if at < 0 else at
    return text[:at].strip(), text[at:].lstrip()


@dataclass(frozen=True, kw_only=True, eq=False)
class Along:
    """A direction with the saved prompts along it."""

    folder: str
    emotion: str
    neutral: str
    target: Target
    direction: SavedDirection
    saved: Projected
    configuration: Mapping[str, Any] | None
    random_weights: bool

    @property
    def document(self) -> dict[str, Any]:
        """The tokens and prompts at both ends, in plain JSON."""
        return {
            "model": self.folder,
            "emotion": self.emotion,
            "neutral": self.neutral,
            "target": encode(self.target),
            "direction_norm": self.direction.norm,
            "random_weights": self.random_weights,
            **self.saved.found,
        }


def along_saved(
    root: ResultsRoot,
    model: str,
    emotion: str,
    neutral: str,
    target: Target,
    *,
    n_top: int = N_TOP,
) -> Along:
    """Project the saved prompts of an emotion and of neutral on their direction.

    Raises:
        RequestError: A name is unknown, or the files do not hold the direction.
    """
    units = direction_units(root, model, emotion, neutral, target)
    if not 1 <= n_top <= _MOST_TOP:
        raise RequestError(f"n_top is {n_top}; allowed are 1 to {_MOST_TOP}")
    direction = direction_of(units[0], units[1], target)
    return Along(
        folder=units[0].folder,
        emotion=emotion,
        neutral=neutral,
        target=target,
        direction=direction,
        saved=projected(units, direction, target, n_top=n_top),
        configuration=units[0].configuration,
        random_weights=units[0].random_weights,
    )


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Its tokens: those that project most, then those that project least."""
    return table_by(saved.found, "token")


def table_by(found: Mapping[str, Any], by: str) -> pd.DataFrame:
    """Rows of `Extremes.found` by `token` or `passage`."""
    import pandas as pd

    return pd.DataFrame(found[f"{by}s"])


def sentences_of(saved: SavedCause) -> list[str]:
    """Answer of a result in sentences, each with its figures."""
    found = saved.found
    said = [said_of(found)]
    if found["n_cut"]:
        said.append(
            f"{numbers.plural(found['n_cut'], 'passage')} had more tokens than the context; the "
            "rest of them was left out."
        )
    return said + saved.cautions


def said_of(found: Mapping[str, Any]) -> str:
    """The tokens at both ends, in one sentence."""
    by = "token" if found["tokens"] else "passage"
    ends = {}
    for side in ("most", "least"):
        named = dict.fromkeys(repr(row[by]) for row in found[f"{by}s"] if row["side"] == side)
        ends[side] = numbers.listed(list(named)[:_NAMED])
    counts = f"{numbers.plural(found['n_passages'], 'passage')}"
    if by == "token":
        counts = f"{numbers.plural(found['n_tokens'], 'token')} in {counts}"
    return (
        f"Of {counts}, {ends['most']} project most on the direction of {found['emotion']} and "
        f"{ends['least']} least, in model units, where 0 is the mean of {found['neutral']} prompts "
        f"and {numbers.significant(found['direction_norm'])} that of {found['emotion']}."
    )


PROJECT = Kind(
    name="project",
    version=1,
    request=ProjectRequest,
    check=_check,
    table=table_of,
    sentences=sentences_of,
)
