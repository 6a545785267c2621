"""Passes through the model with hooks; each pass stops after the last hook that is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
import torch

from emoact.errors import EmoactError
from emoact.extraction.by_prompt import by_prompt, is_cheaper
from emoact.extraction.engine import Put
from emoact.extraction.plan import Pass
from emoact.extraction.shortcut import shortcut
from emoact.sites import SiteName, site

OnDone = Callable[[Pass], None]
_Key = tuple[SiteName, int]


def hook_names(sites: Sequence[SiteName], n_layers: int) -> dict[_Key, str]:
    """(site, layer) -> full hook name; two sites may read one hook."""
    return {
        (name, layer): site(name).hook_at(layer)
        for name in sites
        for layer in site(name).layer_range(n_layers)
    }


class HookReader:
    """Runs passes through one bridge and hands each sample's activations to `put`.

    Args:
        direct: Bypass components whose hooks are not read.
        by_prompt: Let prompts of a prefix tree attend one by one where that is cheaper and the
            model can.
        staged: Copy activations to the host at the end of each pass instead of at each hook. The
            default is True except on a CPU.
    """

    def __init__(
        self,
        bridge: Any,
        sites: Sequence[SiteName],
        device: torch.device,
        *,
        direct: bool = False,
        by_prompt: bool = False,
        staged: bool | None = None,
    ) -> None:
        self._bridge = bridge
        self._direct = direct
        self._by_prompt = by_prompt
        self._device = device
        self._staged = device.type != "cpu" if staged is None else staged
        self._names = hook_names(sites, bridge.cfg.n_layers)
        # The base model leaves out the unembedding, a third of the work at a vocabulary of 50,000.
        self._body = getattr(bridge.original_model, "base_model", bridge.original_model)

    @torch.inference_mode()
    def run_all(self, passes: Iterable[Pass], put: Put, on_done: OnDone = lambda _: None) -> None:
        """Compute passes one after the other; `on_done` is called after each and may raise to stop.

        Raises:
            EmoactError: A hook did not fire, or an activation is not finite in half precision.
        """
        taker = _Taker(self._device, put, n_expected=len(self._names), staged=self._staged)
        hooks = [(name, taker.hook(*key)) for key, name in self._names.items()]
        route = (
            shortcut(self._bridge, set(self._names.values()))
            if self._direct
            else nullcontext(False)
        )
        # Attached once for all passes: resolving the names costs as much as a small pass.
        with self._bridge.hooks(fwd_hooks=hooks), route as is_free:
            for one_pass in passes:
                taker.begin(one_pass)
                alone = is_free and self._by_prompt and is_cheaper(one_pass)
                attention = (
                    by_prompt(self._body, one_pass, self._device) if alone else nullcontext()
                )
                with attention, suppress(_NothingLeftError):
                    self._body(**self._inputs(one_pass), use_cache=False)
                taker.end()
                missing = set(self._names) - taker.fired
                if missing:
                    hook = self._names[min(missing)]
                    raise EmoactError(
                        f"hook {hook} did not fire; this model does not have it",
                        remedy="Leave that site out, or choose a model that has it.",
                    )
                on_done(one_pass)

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


class _NothingLeftError(Exception):
    """Raised after the last hook that is read, to skip the rest of the pass."""


class _Taker:
    """Functions of the hooks, which hand the activations of the current pass over."""

    def __init__(self, device: torch.device, put: Put, *, n_expected: int, staged: bool) -> None:
        self.fired: set[_Key] = set()
        self._device = device
        self._put = put
        self._n_expected = n_expected
        self._staging = Staging(device) if staged else None
        self._pass: Pass
        self._rows: torch.Tensor | None = None

    def begin(self, one_pass: Pass) -> None:
        """Set the pass that the next activations belong to."""
        self.fired.clear()
        self._pass = one_pass
        flat = np.concatenate(one_pass.rows)
        whole = np.array_equal(flat, np.arange(one_pass.ids.size))
        self._rows = None if whole else torch.from_numpy(flat).to(self._device)

    def end(self) -> None:
        """Hand over the activations that were staged during the pass."""
        if self._staging is not None:
            for (site, layer), rows in self._staging.take():
                self._hand_over(rows, site, layer)

    def hook(self, name: SiteName, layer: int) -> Callable[[torch.Tensor, Any], None]:
        """The function to attach at a hook point."""

        def read(activation: torch.Tensor, hook: Any) -> None:  # noqa: ARG001
            if not site(name).has_vectors:
                self._hand_over_patterns(activation, name, layer)
            else:
                rows = activation.flatten(0, 1)
                if self._rows is not None:
                    rows = rows.index_select(0, self._rows)
                if self._staging is not None:
                    self._staging.add((name, layer), rows)
                else:
                    self._hand_over(rows, name, layer)
            self.fired.add((name, layer))
            if len(self.fired) == self._n_expected:
                raise _NothingLeftError

        return read

    def _hand_over(self, rows: torch.Tensor, name: SiteName, layer: int) -> None:
        array = _to_numpy(rows, name, layer)
        start = 0
        for sample, indices in zip(self._pass.samples, self._pass.rows, strict=True):
            self._put(name, layer, sample, array[start : start + len(indices)])
            start += len(indices)

    def _hand_over_patterns(self, pattern: torch.Tensor, name: SiteName, layer: int) -> None:
        width = self._pass.ids.shape[1]
        for sample, indices in zip(self._pass.samples, self._pass.rows, strict=True):
            row = int(indices[0]) // width
            columns = torch.from_numpy(indices - row * width).to(self._device)
            heads = pattern[row].index_select(1, columns).index_select(2, columns)
            self._put(name, layer, sample, _to_numpy(heads, name, layer))


class Staging:
    """Copies that run while the device goes on computing.

    Each activation is copied into page-locked memory without waiting for it; `take` waits once for
    all of them. The buffers are used again by the next pass, so there is one pass of them.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned = device.type == "cuda"
        self._buffers: dict[_Key, torch.Tensor] = {}
        self._waiting: list[tuple[_Key, torch.Tensor]] = []

    def add(self, key: _Key, rows: torch.Tensor) -> None:
        """Begin to copy the rows of one site of one layer."""
        target = self._room(key, rows)
        target.copy_(rows.detach(), non_blocking=self._pinned)
        self._waiting.append((key, target))

    def take(self) -> Iterator[tuple[_Key, torch.Tensor]]:
        """Wait for the copies, then give each; valid until the next `add`."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        waiting, self._waiting = self._waiting, []
        yield from waiting

    def _room(self, key: _Key, rows: torch.Tensor) -> torch.Tensor:
        buffer = self._buffers.get(key)
        fits = buffer is not None and buffer.dtype == rows.dtype and len(buffer) >= len(rows)
        if buffer is None or not fits:
            buffer = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=self._pinned)
            self._buffers[key] = buffer
        return buffer[: len(rows)]


def _to_numpy(activation: torch.Tensor, name: SiteName, layer: int) -> np.ndarray:
    array: np.ndarray = activation.detach().to(device="cpu", dtype=torch.float32).numpy()
    if activation.dtype == torch.float16 and not np.isfinite(array).all():
        raise EmoactError(
            f"{name} of layer {layer} overflows float16 (largest finite value 65,504)",
            remedy="Use --dtype bfloat16 or float32.",
        )
    return np.ascontiguousarray(array)
