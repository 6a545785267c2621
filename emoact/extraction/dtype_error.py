"""How far half precision is from float32 on the prompts of the run itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from emoact.extraction.engine import Tokenised
from emoact.extraction.self_check import relative_differences, single_prompt
from emoact.models.load import LoadedModel, load_model
from emoact.models.source import ModelSource
from emoact.schema import ExtractionOptions

_PROMPTS = 4


def dtype_error(
    model: LoadedModel,
    source: ModelSource,
    options: ExtractionOptions,
    prompts: Sequence[Tokenised],
    *,
    allow_pickle_weights: bool = False,
) -> dict[str, Any]:
    """Relative differences per position, layer and site to the same model in float32.

    The model is loaded a second time for it, since widening rounded weights does not bring back
    what rounding took.

    Returns:
        `dtype`, `against`, `n_prompts`, `largest`, `median`; infinite where half precision
        overflows.
    """
    exact = load_model(
        source,
        dataclasses.replace(options, dtype="float32"),
        allow_pickle_weights=allow_pickle_weights,
    )
    chosen = prompts[:: max(1, len(prompts) // _PROMPTS)][:_PROMPTS]
    found = []
    for prompt in chosen:
        expected = single_prompt(exact.bridge, prompt.ids, options.sites)
        ours = single_prompt(model.bridge, prompt.ids, options.sites)
        found += [relative_differences(ours[key], expected[key]).ravel() for key in expected]
    differences = np.nan_to_num(np.concatenate(found), nan=np.inf)
    return {
        "dtype": options.dtype,
        "against": "float32",
        "n_prompts": len(chosen),
        "largest": float(differences.max()),
        "median": float(np.median(differences)),
    }
