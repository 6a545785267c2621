"""One prompt at a time through the model, and how far rounding alone moves that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64

from emoact import sites
from emoact.extraction.forward import hook_names
from emoact.sites import SiteName

_NOISY_PASSES = 4

Reference = Mapping[tuple[SiteName, int], np.ndarray]


def single_prompt(bridge: Any, ids: np.ndarray, sites: Sequence[SiteName]) -> Reference:
    """Activations of one prompt through TransformerLens' own `run_with_cache`.

    Returns:
        (site, layer) -> float64, in the shape that the site's record says.
    """
    wanted = hook_names(sites, bridge.cfg.n_layers)
    read = set(wanted.values())
    tokens = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(bridge.cfg.device)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name in read)
    # Copied, so that nothing of the pass stays alive.
    return {
        key: cache[name][0].detach().to(device="cpu", dtype=torch.float64).numpy().copy()
        for key, name in wanted.items()
    }


def relative_differences(
    ours: Float[np.ndarray, "*row width"], reference: Float[np.ndarray, "*row width"]
) -> Float64[np.ndarray, "*row"]:
    """‖a − b‖₂ / ‖b‖₂ of each position, or head of one; 0 where both are zero."""
    # Half precision may have overflowed: the difference is then infinite or NaN, not a warning.
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.linalg.norm(ours.astype(np.float64) - reference, axis=-1)
        size = np.linalg.norm(reference, axis=-1)
        return np.asarray(np.where(gap == 0, 0.0, gap / size), dtype=np.float64)


def relative_difference(
    ours: Float[np.ndarray, "*row width"], reference: Float[np.ndarray, "*row width"]
) -> float:
    """Largest over positions of ‖a − b‖₂ / ‖b‖₂; 0 where both are zero."""
    return float(np.max(relative_differences(ours, reference), initial=0.0))


def own_error(
    bridge: Any,
    ids: Sequence[np.ndarray] | Mapping[int, np.ndarray],
    checked: Sequence[int],
    references: Mapping[int, Reference],
    sites: Sequence[SiteName],
) -> float:
    """Rounding error to expect of the model on these prompts, relative, per position.

    The larger of two differences to the same weights in float64: that of the given activations,
    and in float32 that of float64 passes with normal noise of twice the float32 epsilon added to
    the stream before each layer. One rounding can be lucky: at an ill-conditioned position of
    SmolLM2 other orders of summation, such as those of a GPU, err 30 times as much.

    Widening the weights and narrowing them again gives back the same bits.
    """
    model = bridge.original_model
    dtype = next(model.parameters()).dtype
    if bridge.cfg.device == "mps":
        return 0.0
    noisy = list[tuple[int, Reference]]()
    model.to(torch.float64)
    try:
        exact = {sample: single_prompt(bridge, ids[sample], sites) for sample in checked}
        if dtype == torch.float32:
            with bridge.hooks(fwd_hooks=_noise(bridge.cfg.n_layers)):
                noisy = [
                    (sample, single_prompt(bridge, ids[sample], sites))
                    for sample in checked
                    for _ in range(_NOISY_PASSES)
                ]
    except RuntimeError:
        # Some layers work in float32 only; without an exact result the tolerance stays PARITY.
        return 0.0
    finally:
        model.to(dtype)
    found = [(sample, references[sample]) for sample in checked] + noisy
    return max(
        relative_difference(activations[key], exact[sample][key])
        for sample, activations in found
        for key in exact[sample]
    )


def _noise(n_layers: int) -> list[tuple[str, Callable[..., torch.Tensor]]]:
    """Hooks that add noise of the size of float32 rounding to the residual stream."""
    generator = torch.Generator().manual_seed(0)
    size = 2 * torch.finfo(torch.float32).eps

    def add(stream: torch.Tensor, hook: Any) -> torch.Tensor:  # noqa: ARG001
        drawn = torch.randn(stream.shape, generator=generator, dtype=stream.dtype)
        scale = size * stream.norm(dim=-1, keepdim=True) / stream.shape[-1] ** 0.5
        noisy: torch.Tensor = stream + scale * drawn.to(stream.device)
        return noisy

    return [(sites.site("resid_pre").hook_at(layer), add) for layer in range(n_layers)]
