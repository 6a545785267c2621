"""Outlines: what Home says of a file, remembered so that its prompts are not read for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emoact.decode import decode, encode, read_json
from emoact.errors import RequestError
from emoact.store.summaries.measures import UnitMeasures
from emoact.version import __version__

_MOST_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Outline:
    """Sizes and configuration of one file.

    Attributes:
        configuration: None where it is unknown.
        random_weights: True where the weights are random.
        emoact: Version that found the file good.
    """

    n_samples: int
    n_layers: int
    d_model: int
    configuration: Mapping[str, Any] | None
    random_weights: bool
    emoact: str = __version__


def outline_of(place: Callable[[], Path], read: Callable[[], UnitMeasures]) -> Outline:
    """The outline of a file; it is read where none is remembered.

    Args:
        place: Where the outline of the file in its present state is remembered, if anywhere.
        read: Reads the file, or its summary.

    Raises:
        EmoactError: As `read` raises it.
    """
    with suppress(OSError, ValueError, RequestError):
        said = read_json(place(), limit=_MOST_BYTES)
        known = decode(Outline, said, where="the outline")
        if known.emoact == __version__:
            return known
    before = None
    with suppress(OSError):
        before = place()
    unit = read()
    found = Outline(
        n_samples=unit.n_samples,
        n_layers=unit.n_layers,
        d_model=unit.d_model,
        configuration=unit.configuration,
        random_weights=unit.random_weights,
    )
    # Without the cache the file is read again next time; so is one that changed meanwhile.
    with suppress(OSError):
        if before is not None and place() == before:
            before.parent.mkdir(parents=True, exist_ok=True)
            before.write_text(json.dumps(encode(found)), encoding="utf-8")
    return found


def join_outlines(outlines: Sequence[Outline]) -> Outline:
    """The outline of all parts of an emotion."""
    return replace(outlines[0], n_samples=sum(each.n_samples for each in outlines))
