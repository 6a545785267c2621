"""Units of seeded numbers, as arrays and as the payload that the contract says they become."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoact.sites import SiteName, site_names
from emoact.sites import site as site_of
from emoact.store.manifest import ManifestEntry
from emoact.store.shard import ShardLayout
from emoact.store.write import write_unit

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

    def rows(self, site: SiteName, layer: int, sample: int) -> Array:
        """One sample's array."""
        return self.activations[site, layer][sample]

    def parts(self) -> dict[str, Any]:
        """The keyword arguments beside the arrays."""
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


def contract_metadata(
    model: str,
    emotion: str,
    *,
    n_layers: int,
    d_model: int,
    n_samples: int,
    sites: Sequence[SiteName] = ("resid_pre", "mlp_out"),
    d_vocab: int = 50257,
) -> dict[str, Any]:
    """The metadata that every file of the contract has."""
    return {
        "model_name": model,
        "n_layers": n_layers,
        "d_model": d_model,
        "d_vocab": d_vocab,
        "n_samples": n_samples,
        "emotion_label": emotion,
        "save_residual_stream": "resid_pre" in sites,
        "save_mlp_output": "mlp_out" in sites,
        "save_attention": False,
    }


def write_rows(
    target: Path,
    layout: ShardLayout,
    rows: Callable[[SiteName, int, int], Array],
    *,
    emotion: str,
    tokens: Sequence[str],
    metadata: dict[str, Any],
) -> Path:
    """Write a unit by emoact's own writer; `tokens` are the words of its first positions."""
    unit = SampleUnit(
        layout=layout,
        activations={
            (site, layer): [
                rows(site, layer, sample).astype(np.float32) for sample in range(layout.n_samples)
            ]
            for site in layout.sites
            for layer in layout.layers(site)
        },
        tokens=[np.arange(length, dtype=np.int64) for length in layout.lengths],
        token_strings=[list(tokens[:length]) for length in layout.lengths],
        labels=[emotion] * layout.n_samples,
        metadata=metadata,
    )
    write_unit(target, shard=unit, **unit.parts())
    return target


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
        sites=sites,
        n_layers=n_layers,
        d_model=d_model,
        lengths=lengths,
        n_heads=n_heads,
        d_head=max(1, d_model // n_heads),
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


def manifest_entry(
    folder: str = "gpt2", emotion: str = "joy", content: bytes | None = None, **changes: Any
) -> ManifestEntry:
    """The record of a unit, with size and hash of `content` where that is given."""
    fields: dict[str, Any] = {
        "sha256": "b" * 64 if content is None else hashlib.sha256(content).hexdigest(),
        "size": 7 if content is None else len(content),
        "key": "a" * 64,
        "model": "gpt2",
        "run_id": "r1",
        "written_at": "2026-01-01T00:00:00+00:00",
        "configuration": {"processing": "raw"},
    }
    return ManifestEntry(folder=folder, emotion=emotion, **(fields | changes))
