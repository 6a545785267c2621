"""Units of seeded numbers, in a shard and as the payload that the contract says they become."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoact.sites import SiteName, site_names
from emoact.sites import site as site_of
from emoact.store.shard import ShardLayout, UnitShard

Array = np.ndarray[Any, np.dtype[Any]]
Activations = dict[tuple[SiteName, int], list[Array]]


@dataclass(frozen=True, kw_only=True)
class SampleUnit:
    """Everything that `write_unit` is given, and the arrays by site and layer."""

    layout: ShardLayout
    activations: Activations
    tokens: list[Array]
    token_strings: list[list[str]]
    labels: list[str]
    metadata: dict[str, Any]

    def shard(self, path: Path) -> UnitShard:
        """A shard with every array put."""
        shard = UnitShard.create(path, layout=self.layout)
        for (site, layer), samples in self.activations.items():
            for sample, array in enumerate(samples):
                shard.put(site, layer, sample, array)
        return shard

    def parts(self) -> dict[str, Any]:
        """The keyword arguments beside the shard."""
        return {
            "tokens": self.tokens,
            "token_strings": self.token_strings,
            "labels": self.labels,
            "metadata": self.metadata,
        }

    def payload(self) -> dict[str, Any]:
        """The contract's dictionary, tokens as arrays."""
        layers: dict[str, Any] = {
            site_of(site).key: [
                self.activations[site, layer]
                for layer in self.layout.layers(site)
                if site in self.layout.sites
            ]
            for site in site_names()
            if site in self.layout.sites or site in ("resid_pre", "mlp_out")
        }
        if "resid_post" in self.layout.sites:
            (layers["residual_post"],) = layers["residual_post"]
        return {**layers, **self.parts()}


def sample_unit(
    *,
    sites: tuple[SiteName, ...] = ("resid_pre", "mlp_out"),
    n_layers: int = 3,
    d_model: int = 6,
    lengths: tuple[int, ...] = (4, 1, 7),
    n_heads: int = 2,
    seed: int = 0,
    metadata: dict[str, Any] | None = None,
) -> SampleUnit:
    """A unit whose every number is drawn from a seeded generator."""
    rng = np.random.default_rng(seed)
    layout = ShardLayout(
        sites=sites, n_layers=n_layers, d_model=d_model, lengths=lengths, n_heads=n_heads
    )
    return SampleUnit(
        layout=layout,
        activations={
            (site, layer): [
                rng.standard_normal(layout.shape(site, sample)).astype(np.float32)
                for sample in range(len(lengths))
            ]
            for site in sites
            for layer in layout.layers(site)
        },
        tokens=[rng.integers(0, 50257, length) for length in lengths],
        token_strings=[[f"Ġt{at}" for at in range(length)] for length in lengths],
        labels=["joy"] * len(lengths),
        metadata={"model_name": "gpt2", "n_samples": len(lengths)}
        if metadata is None
        else metadata,
    )
