"""Ablation: components replaced in a pass, and what changes further up; imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from emoact.causes.contributions import check_layer
from emoact.causes.passes import Edited, Text, UpperLayers
from emoact.causes.settings import PartKind
from emoact.errors import RequestError

Z, ATTENTION, MLP, INPUT = (
    "blocks.{l}.attn.hook_z",
    "blocks.{l}.hook_attn_out",
    "blocks.{l}.hook_mlp_out",
    "blocks.{l}.hook_in",
)


Hook = tuple[str, Callable[..., Any]]
"""Name of a hook, and the function to attach."""
_Noted = dict[str, dict[int, np.ndarray]]
"""Means over the content of each text, by the name of a hook."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the model that is ablated.

    Attributes:
        kind: `head`, `group` of heads that share keys and values, `mlp`, `layer` (attention and
            MLP), the `direction` at the input of a layer, or `directions`: at those of several.
        layer: Its layer; the first one of several.
        layers: Of `directions`, all of them.
    """

    kind: PartKind
    layer: int
    heads: tuple[int, ...] = ()
    layers: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Means:
    """Mean over the content of a prompt of what the parts of each layer give.

    Attributes:
        z: Before the output projection.
        attention: What attention adds to the stream.
        mlp: What the MLP adds.
    """

    z: Float[np.ndarray, "prompt layer head d_head"]
    attention: Float[np.ndarray, "prompt layer d_model"]
    mlp: Float[np.ndarray, "prompt layer d_model"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Readout:
    """Values of one text.

    Attributes:
        projection: Mean over the content of the stream at the read layer, on the direction.
        direct: The same of what the ablated part itself adds; 0 without an ablation.
        log_prob: Sum over the scored tokens, in nats.
        log_odds: Of the words, taken together, as the next token; NaN where a text names none.
    """

    projection: float
    direct: float
    log_prob: float
    log_odds: float


class Ablations:
    """Read-outs of texts while one part after the other is ablated at all positions after BOS.

    Args:
        read: Layer whose input is projected on the direction.
        directions: Direction at the input of every layer up to `read`.
        direct: Bypass the bridge's components; right where its weights are as they were loaded.
        on_pass: Called after each pass; may raise to stop.

    Raises:
        RequestError: The model has no such layer, or lacks a hook at one below.
    """

    def __init__(
        self,
        bridge: Any,
        texts: Sequence[Text],
        *,
        read: int,
        directions: Float[np.ndarray, "layer d_model"],
        direct: bool,
        on_pass: Callable[[], None] = lambda: None,
    ) -> None:
        check_layer(read, int(bridge.cfg.n_layers))
        names = [name.format(l=layer) for layer in range(read) for name in (Z, ATTENTION, MLP)]
        lacking = [name for name in names if name not in bridge.hook_dict]
        if lacking:
            raise RequestError(
                f"the model has no hook {lacking[0]}, so that its heads and MLPs cannot be taken "
                "out one by one",
                remedy="Choose a model with attention and an MLP in every layer.",
            )
        self._bridge, self._texts, self._read, self._direct = bridge, texts, read, direct
        self._on_pass = on_pass
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        self._units = directions / np.where(lengths > 0, lengths, 1.0)
        self._upper: tuple[tuple[int, ...], UpperLayers, list[Edited], _Noted] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every single part below the read layer."""
        config = self._bridge.cfg
        n_heads = int(config.n_heads)
        n_groups = int(getattr(config, "n_key_value_heads", None) or n_heads)
        size = n_heads // n_groups
        found = []
        for layer in range(self._read):
            found += [Part(kind="direction", layer=layer), Part(kind="layer", layer=layer)]
            found += [Part(kind="mlp", layer=layer)]
            found += [Part(kind="head", layer=layer, heads=(head,)) for head in range(n_heads)]
            if size > 1:
                found += [
                    Part(kind="group", layer=layer, heads=tuple(range(at, at + size)))
                    for at in range(0, n_heads, size)
                ]
        return tuple(found)

    def without(self, layer: int) -> list[Readout]:
        """Read-outs without an ablation, from passes that begin at a layer."""
        _, before, _ = self._from((layer,))
        return [self._readout(at, each, 0.0) for at, each in enumerate(before)]

    def ablated(self, part: Part, replacement: Means | None) -> list[Readout]:
        """Read-outs while a part is ablated.

        None replaces by zero; a direction has no replacement.
        """
        layers = part.layers or (part.layer,)
        if not max(layers) < self._read:
            raise RequestError(f"layer {max(layers)} does not come before layer {self._read}")
        upper, _, added = self._from(layers)
        after, removed = _added(part.layer), dict.fromkeys(range(len(self._texts)), 0.0)

        def edit(rows: Sequence[int]) -> list[Hook]:
            own = self._hooks(part, replacement, removed, rows)
            return [*own, *_readers(self._texts, after, rows)]

        found = upper.edited(edit, self._read, self._on_pass)
        return [
            self._readout(
                at,
                each,
                self._added(part, after, at) - self._added(part, added, at) - removed[at],
            )
            for at, each in enumerate(found)
        ]

    def _from(self, layers: tuple[int, ...]) -> tuple[UpperLayers, list[Edited], _Noted]:
        """Passes from the first layer on, what they give unchanged, and what it adds then."""
        if self._upper is None or self._upper[0] != layers:
            layer = layers[0]
            names = [name.format(l=layer) for name in (Z, ATTENTION, MLP)]
            names += [INPUT.format(l=each) for each in layers]
            upper = UpperLayers(
                self._bridge,
                self._texts,
                layer=layer,
                direct=self._direct,
                names=names,
                whole=True,
            )
            added = _added(layer)
            before = upper.edited(
                lambda rows: _readers(self._texts, added, rows), self._read, self._on_pass
            )
            self._upper = layers, upper, before, added
        return self._upper[1:]

    def _hooks(
        self,
        part: Part,
        replacement: Means | None,
        removed: dict[int, float],
        rows: Sequence[int],
    ) -> list[Hook]:
        """Hooks that ablate a part of these texts; `removed` is filled by those of directions."""
        layer, texts = part.layer, self._texts
        z_of, attention_of, mlp_of = (name.format(l=layer) for name in (Z, ATTENTION, MLP))

        def put(values: np.ndarray | None, heads: Sequence[int] | None) -> Callable[..., Any]:
            def replace(value: torch.Tensor, hook: Any) -> torch.Tensor:  # noqa: ARG001
                value = value.clone()
                for place, text in enumerate(rows):
                    start = texts[text].changed_from
                    new = 0.0 if values is None else torch.tensor(values[text]).to(value)
                    if heads is None:
                        value[place, start:] = new
                    else:
                        value[place, start:, list(heads)] = new
                return value

            return replace

        if part.kind in ("direction", "directions"):
            return [
                (INPUT.format(l=each), self._projecting(each, removed, rows))
                for each in part.layers or (layer,)
            ]
        if part.kind in ("head", "group"):
            heads = part.heads
            z = None if replacement is None else replacement.z[:, layer, list(heads)]
            return [(z_of, put(z, heads))]
        attention = None if replacement is None else replacement.attention[:, layer]
        mlp = None if replacement is None else replacement.mlp[:, layer]
        if part.kind == "mlp":
            return [(mlp_of, put(mlp, None))]
        return [(attention_of, put(attention, None)), (mlp_of, put(mlp, None))]

    def _projecting(
        self, layer: int, removed: dict[int, float], rows: Sequence[int]
    ) -> Callable[..., Any]:
        """Take the direction of a layer out of its input, and note what that is on the read one."""
        unit, texts = self._units[layer], self._texts
        share = float(unit @ self._units[self._read])

        def project(value: torch.Tensor, hook: Any) -> torch.Tensor:  # noqa: ARG001
            along = torch.tensor(unit).to(value)
            value = value.clone()
            for place, text in enumerate(rows):
                start = texts[text].changed_from
                sizes = value[place, start:] @ along
                value[place, start:] -= sizes[:, None] * along
                first, stop = (at - start for at in texts[text].scored)
                removed[text] += share * float(sizes[first:stop].double().mean())
            return value

        return project

    def _added(self, part: Part, added: _Noted, text: int) -> float:
        """Mean of a part's output over the content of a text, on the read direction."""
        unit = self._units[self._read]
        kinds = {
            "head": (ATTENTION,),
            "group": (ATTENTION,),
            "mlp": (MLP,),
            "layer": (ATTENTION, MLP),
        }.get(part.kind, ())
        return float(sum(added[name.format(l=part.layer)][text] @ unit for name in kinds))

    def _readout(self, text: int, edited: Edited, direct: float) -> Readout:
        own = self._texts[text]
        content = edited.stream[own.scored[0] : own.scored[1]].astype(np.float64)
        unit = self._units[self._read]
        return Readout(
            projection=float((content @ unit).mean()),
            direct=direct,
            log_prob=float(edited.log_probs[: own.n_scored].sum()),
            log_odds=log_odds(edited.log_probs[own.n_scored :]),
        )


def _added(layer: int) -> _Noted:
    """What attention and MLP of a layer add, not noted yet."""
    return {name.format(l=layer): {} for name in (ATTENTION, MLP)}


def log_odds(log_probs: Float[np.ndarray, " token"]) -> float:
    """Log-odds of one of several tokens, from their log-probabilities; NaN of no token."""
    if not len(log_probs):
        return math.nan
    # Rounding can make a probability of 1 a little larger.
    whole = min(float(np.logaddexp.reduce(log_probs)), -1e-12)
    return whole - math.log(-math.expm1(whole))


def part_means(bridge: Any, texts: Sequence[Text], *, n_layers: int, direct: bool) -> Means:
    """Outputs of the parts of the first layers, as means over the content of each text."""
    kinds = (Z, ATTENTION, MLP)
    found: _Noted = {name.format(l=layer): {} for layer in range(n_layers) for name in kinds}
    upper = UpperLayers(bridge, texts, layer=0, direct=direct, names=list(found), whole=True)
    upper.edited(lambda rows: _readers(texts, found, rows), 0)

    def gathered(kind: str) -> np.ndarray:
        layers = [found[kind.format(l=layer)] for layer in range(n_layers)]
        rows = [[layer[text] for layer in layers] for text in range(len(texts))]
        return np.array(rows, dtype=np.float32)

    return Means(z=gathered(Z), attention=gathered(ATTENTION), mlp=gathered(MLP))


def _readers(texts: Sequence[Text], found: _Noted, rows: Sequence[int]) -> list[Hook]:
    """Hooks that note means over the content and change nothing."""

    def reader(own: dict[int, np.ndarray]) -> Callable[..., Any]:
        def read(value: torch.Tensor, hook: Any) -> None:  # noqa: ARG001
            for place, text in enumerate(rows):
                start, stop = texts[text].scored
                own[text] = value[place, start:stop].double().mean(dim=0).cpu().numpy()

        return read

    return [(name, reader(own)) for name, own in found.items()]
