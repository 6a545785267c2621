"""One pass through the model: hooks out, nothing computed that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from emoact.errors import EmoactError
from emoact.extraction.engine import Put
from emoact.extraction.plan import Pass
from emoact.schema import Site

HOOKS: dict[Site, str] = {
    "resid_pre": "hook_resid_pre",
    "mlp_out": "hook_mlp_out",
    "resid_post": "hook_resid_post",
    "attn_out": "hook_attn_out",
    "pattern": "attn.hook_pattern",
}
"""TransformerLens' name of each site within a block."""


def hook_names(sites: Sequence[Site], n_layers: int) -> dict[str, tuple[Site, int]]:
    """Full hook name -> (site, layer); `resid_post` is taken after the last layer only."""
    names: dict[str, tuple[Site, int]] = {}
    for site in sites:
        layers = range(n_layers - 1, n_layers) if site == "resid_post" else range(n_layers)
        for layer in layers:
            names[f"blocks.{layer}.{HOOKS[site]}"] = (site, layer)
    return names


class HookReader:
    """Runs passes through one bridge and hands each sample's activations to `put`.

    Args:
        bridge: The TransformerLens bridge.
        sites: What to take.
        device: Where the weights are.
    """

    def __init__(self, bridge: Any, sites: Sequence[Site], device: torch.device) -> None:
        self._bridge = bridge
        self._device = device
        self._names = hook_names(sites, bridge.cfg.n_layers)
        # The unembedding is a third of the work at 50,000 tokens of vocabulary; the base model
        # stops before it, and the bridge's hooks sit in its blocks all the same.
        self._body = getattr(bridge.original_model, "base_model", bridge.original_model)

    @torch.inference_mode()
    def run(self, one_pass: Pass, put: Put) -> None:
        """Compute one pass.

        Raises:
            EmoactError: A hook did not fire, or an activation is not finite in half precision.
        """
        flat = np.concatenate(one_pass.rows)
        rows = torch.from_numpy(flat).to(self._device)
        whole = len(flat) == one_pass.ids.size and bool(np.all(flat == np.arange(len(flat))))
        fired: set[tuple[Site, int]] = set()

        def reader(site: Site, layer: int) -> Callable[[torch.Tensor, Any], None]:
            def read(activation: torch.Tensor, hook: Any) -> None:  # noqa: ARG001
                fired.add((site, layer))
                if site == "pattern":
                    self._put_patterns(activation, one_pass, layer, put)
                    return
                taken = activation.reshape(-1, activation.shape[-1])
                if not whole:
                    taken = taken.index_select(0, rows)
                array = _to_numpy(taken, site, layer)
                start = 0
                for sample, indices in zip(one_pass.samples, one_pass.rows, strict=True):
                    put(site, layer, sample, array[start : start + len(indices)])
                    start += len(indices)

            return read

        hooks = [(name, reader(site, layer)) for name, (site, layer) in self._names.items()]
        with self._bridge.hooks(fwd_hooks=hooks):
            self._body(**self._inputs(one_pass), use_cache=False)
        missing = set(self._names.values()) - fired
        if missing:
            site, layer = sorted(missing)[0]
            raise EmoactError(
                f"hook {HOOKS[site]} of layer {layer} did not fire; this model does not have it",
                remedy="Leave that site out, or choose a model that has it.",
            )

    def _inputs(self, one_pass: Pass) -> dict[str, torch.Tensor]:
        inputs = {"input_ids": torch.from_numpy(one_pass.ids).to(self._device)}
        if one_pass.depths is not None:
            inputs["position_ids"] = torch.from_numpy(one_pass.depths).to(self._device)
        if one_pass.visible is not None:
            seen = torch.from_numpy(one_pass.visible).to(self._device)
            dtype = next(self._body.parameters()).dtype
            mask = torch.zeros(seen.shape, dtype=dtype, device=self._device)
            mask.masked_fill_(~seen, torch.finfo(dtype).min)
            inputs["attention_mask"] = mask[None, None]
        return inputs

    def _put_patterns(self, pattern: torch.Tensor, one_pass: Pass, layer: int, put: Put) -> None:
        width = one_pass.ids.shape[1]
        for sample, indices in zip(one_pass.samples, one_pass.rows, strict=True):
            row = int(indices[0]) // width
            columns = torch.from_numpy(indices - row * width).to(self._device)
            heads = pattern[row].index_select(1, columns).index_select(2, columns)
            put("pattern", layer, sample, _to_numpy(heads, "pattern", layer))


def _to_numpy(activation: torch.Tensor, site: Site, layer: int) -> np.ndarray:
    array: np.ndarray = activation.detach().to(device="cpu", dtype=torch.float32).numpy()
    if activation.dtype == torch.float16 and not np.isfinite(array).all():
        raise EmoactError(
            f"{site} of layer {layer} overflows float16 (largest finite value 65,504)",
            remedy="Use --dtype bfloat16 or float32.",
        )
    return np.ascontiguousarray(array)
