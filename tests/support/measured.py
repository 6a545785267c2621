"""Units of Gaussian activations for checks that should find nothing, until something is planted."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emoact.positions import spans_from
from emoact.sites import SiteName
from emoact.store.summaries.measures import UnitMeasures, measure_site, measure_steps

Arrays = dict[SiteName, list[list[np.ndarray]]]
Plant = Callable[[Arrays], None]


def gaussian_unit(
    emotion: str = "anger",
    *,
    seed: int = 0,
    n_samples: int = 12,
    n_layers: int = 4,
    d_model: int = 32,
    lengths: Sequence[int] | None = None,
    content_start: int = 1,
    folder: str = "gpt2",
    bos: str | None = "<|endoftext|>",
    plant: Plant | None = None,
    **configuration: Any,
) -> UnitMeasures:
    """Independent normal values that grow with depth, changed by `plant`."""
    rng = np.random.default_rng([seed, *emotion.encode()])
    held = tuple(lengths or (int(n) for n in rng.integers(6, 18, n_samples)))
    scales: dict[SiteName, float] = {"resid_pre": 1.0, "mlp_out": 0.3}
    arrays: Arrays = {
        site: [
            [(scale * (1 + layer) * rng.normal(size=(n, d_model))).astype(np.float32) for n in held]
            for layer in range(n_layers)
        ]
        for site, scale in scales.items()
    }
    if plant is not None:
        plant(arrays)
    return measured_unit(
        arrays,
        emotion=emotion,
        folder=folder,
        content_start=content_start,
        configuration={
            "processing": "raw",
            "dtype": "float32",
            "bos": {"policy": "prepend", "prepended": bos is not None, "token": bos},
            "dataset": "d" * 64,
            "model_name": folder,
            "revision": "main",
            "weight_source": "hub",
            **configuration,
        },
    )


def measured_unit(
    arrays: Arrays,
    *,
    emotion: str = "anger",
    folder: str = "gpt2",
    content_start: int = 1,
    configuration: dict[str, Any] | None = None,
) -> UnitMeasures:
    """The summary of these activations, `[site][layer][sample]` of `[pos, d_model]`."""
    layers = next(iter(arrays.values()))
    held = tuple(len(sample) for sample in layers[0])
    both = len(arrays) > 1 and len(layers) > 1
    return UnitMeasures(
        folder=folder,
        emotion=emotion,
        model_name=folder,
        n_layers=len(layers),
        d_model=layers[0][0].shape[1] if held else 0,
        content_start=content_start,
        lengths=held,
        token_strings=tuple(tuple(f"Ġt{at}" for at in range(n)) for n in held),
        prompts=tuple({"id": f"{emotion}-{i}", "text": f"prompt {i}"} for i in range(len(held))),
        configuration=configuration,
        provenance=None,
        random_weights=False,
        notes=(),
        saved_sites=tuple(arrays),
        sites={
            site: measure_site(own, lengths=held, content=spans_from(held, content_start))
            for site, own in arrays.items()
        },
        steps=measure_steps(arrays["resid_pre"], arrays["mlp_out"]) if both else {},
    )
