"""Projections of a text file on a direction, in the process that has the model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emoact.causes.direction import Extremes, Passage, SavedDirection, direction_of
from emoact.causes.loaded import Loaded
from emoact.causes.project import ProjectWork, passages_of
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.extraction.engine import Engine
from emoact.sites import SiteName

_TOGETHER = 64
"""Passages that are tokenised and sorted into passes together."""


def found_projections(asked: Loaded) -> dict[str, Any]:
    """Tokens and passages of a text that project most and least.

    Raises:
        CancelledError: The reporter was asked to stop.
        RequestError: The text is gone, is another one, is not UTF-8, or has no tokens.
    """
    work, reporter = asked.work, asked.reporter
    direction = direction_of(asked.units[0], asked.units[1], work.target)
    try:
        size = max(1, Path(work.file).stat().st_size)
    except OSError as error:
        raise RequestError(f"{work.file} cannot be read: {error.strerror}") from error

    def on_read(n_bytes: int, extremes: Extremes) -> None:
        reporter.check_cancelled()
        reporter.step(
            "extract",
            model=work.folder,
            detail=f"{extremes.n_tokens:,} tokens",
            done=min(n_bytes, size),
            total=size,
            share=min(1.0, n_bytes / size),
        )

    return {
        "emotion": work.emotion,
        "neutral": work.neutral,
        "target": encode(work.target),
        "file": work.file,
        "direction_norm": direction.norm,
        **project_file(asked.engine, direction, work, on_read),
    }


def project_file(
    engine: Engine,
    direction: SavedDirection,
    work: ProjectWork,
    on_read: Any = lambda _n_bytes, _extremes: None,
) -> dict[str, Any]:
    """`Extremes.found` of a text, and the number of passages that were cut to the context.

    Raises:
        RequestError: The text is another one, is not UTF-8, or has no tokens.
    """
    extremes, n_cut = Extremes(work.n_top, work.target.pooling), 0
    for lines, texts, n_bytes in _groups(work):
        prompts = engine.tokenise(texts)
        kept = [at for at, each in enumerate(prompts) if each.content[0] < each.content[1]]
        n_cut += sum(prompts[at].is_truncated for at in kept)
        along: dict[int, np.ndarray] = {}

        def put(
            _site: SiteName,
            layer: int,
            sample: int,
            rows: np.ndarray,
            along: dict[int, np.ndarray] = along,
        ) -> None:
            if layer == work.target.layer:
                along[sample] = direction.project(rows)

        engine.forward([prompts[at] for at in kept], put=put)
        for place, at in enumerate(kept):
            passage = Passage(
                name=lines[at], strings=prompts[at].strings, content=prompts[at].content
            )
            extremes.add(passage, along[place])
        on_read(n_bytes, extremes)
    if not extremes.n_tokens:
        raise RequestError(f"{work.file} has no tokens")
    return {**extremes.found, "n_cut": n_cut}


def _groups(work: ProjectWork) -> Iterator[tuple[list[str], list[str], int]]:
    """Some passages at a time: their lines, their texts, and the bytes that were read so far."""
    passages = passages_of(Path(work.file), work.sha256)
    while group := list(itertools.islice(passages, _TOGETHER)):
        yield [line for line, _, _ in group], [text for _, text, _ in group], group[-1][2]
