"""Directions on disk: one safetensors file per model and site, one tensor per emotion and kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from emoact.analysis.key import ANALYSIS_VERSION, InputFile
from emoact.files import check_header
from emoact.sites import SiteName
from emoact.stats.directions.directions import DirectionKind
from emoact.stats.result import AnalysisResult
from emoact.stats.settings import AnalysisSettings
from emoact.version import __version__

SIGN = "positive towards the emotion"
Directions = dict[str, Float32[np.ndarray, "layer d_model"]]


def file_name(folder: str, site: SiteName) -> str:
    """The file of a model's directions at a site."""
    return f"directions_{folder}_{site}.safetensors"


def write_directions(
    folder: Path,
    result: AnalysisResult,
    *,
    analysis: str,
    inputs: Sequence[InputFile],
    badges: Sequence[str],
) -> None:
    """Write every direction of a result, with its contrast and settings in the metadata.

    A tensor has the name of its emotion, and of its kind unless the analysis itself uses it.
    """
    from safetensors.numpy import save_file

    places = dict.fromkeys((key.model, key.site) for key in result.directions)
    for model, site in places:
        tensors = {
            key.emotion if key.main else f"{key.emotion}:{key.kind}": np.ascontiguousarray(
                direction, dtype=np.float32
            )
            for key, direction in result.directions.items()
            if (key.model, key.site) == (model, site)
        }
        own = [each for each in inputs if each.folder == model]
        emotions = [
            key.emotion
            for key in result.directions
            if (key.model, key.site) == (model, site) and key.main
        ]
        save_file(
            tensors,
            folder / file_name(model, site),
            metadata={
                "schema_version": str(ANALYSIS_VERSION),
                "emoact": __version__,
                "analysis": analysis,
                "folder": model,
                "model": own[0].model if own else model,
                "site": site,
                "pooling": result.settings.pooling,
                "contrast": json.dumps({e: contrast_of(e, result.settings) for e in emotions}),
                "sign": SIGN,
                "unit": "the model's own; layer l is the hook at layer l",
                "inputs": json.dumps({each.emotion: each.sha256 for each in own}),
                "badges": json.dumps(list(badges)),
            },
        )


def contrast_of(emotion: str, settings: AnalysisSettings) -> str:
    """The difference that a direction is, in words."""
    if settings.reference == "neutral":
        return f"mean({emotion}) - mean({settings.neutral})"
    return f"mean({emotion}) - mean of the class means"


def read_directions(path: Path, kind: DirectionKind | None = None) -> Directions:
    """The directions by emotion; those that the analysis uses when no kind is named.

    Raises:
        OSError, ValueError: The file is no such file.
    """
    from safetensors import SafetensorError, safe_open

    found: Directions = {}
    try:
        check_header(path, follow=False)
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                emotion, _, own = name.partition(":")
                if own == (kind or ""):
                    found[emotion] = file.get_tensor(name)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return found
