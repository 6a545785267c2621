"""One (model, emotion) as it is read from disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from emoact.errors import RequestError
from emoact.schema import Finding
from emoact.sites import SiteName, site_names
from emoact.store.layers import Layers
from emoact.store.provenance import configuration_of, prompts_of


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Unit:
    """A file that keeps the contract; arrays are read-only views of the mapped file.

    Attributes:
        path: Path of the file.
        by_site: `[layer][sample]` of every site; empty where it was not saved.
        tokens: One int64 array [pos] per sample.
        token_strings: One tuple per sample.
        labels: One per sample.
        metadata: As in the file, unknown keys included.
        notes: Findings of the contract check that do not refuse the file.
    """

    path: Path
    by_site: Mapping[SiteName, Layers]
    tokens: tuple[Int64[np.ndarray, "..."], ...]
    token_strings: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    metadata: Mapping[str, Any]
    notes: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        """One line: a file of 50 samples has thousands of arrays."""
        return (
            f"Unit({self.folder}/{self.emotion}: {self.n_samples} samples, {self.n_layers} layers, "
            f"d_model {self.d_model}, {', '.join(self.sites)}, path={str(self.path)!r})"
        )

    @property
    def residual_stream(self) -> Layers:
        """Input of every layer, `[layer][sample]`, float32 `[pos, d_model]`."""
        return self.by_site["resid_pre"]

    @property
    def mlp_output(self) -> Layers:
        """Output of every layer's MLP, `[layer][sample]`, float32 `[pos, d_model]`."""
        return self.by_site["mlp_out"]

    @property
    def attn_output(self) -> Layers:
        """Output of every layer's attention, `[layer][sample]`, float32 `[pos, d_model]`."""
        return self.by_site["attn_out"]

    @property
    def residual_post(self) -> Layers:
        """The residual stream after the last layer, as one layer: `[0][sample]`."""
        return self.by_site["resid_post"]

    @property
    def attention_pattern(self) -> Layers:
        """Attention weights, `[layer][sample]`, float32 `[head, pos, pos]`."""
        return self.by_site["pattern"]

    @property
    def sites(self) -> tuple[SiteName, ...]:
        """The sites that the file has."""
        return tuple(name for name in site_names() if len(self.by_site.get(name, ())))

    def site(self, site: SiteName) -> Layers:
        """`[layer][sample]` of a site that the file has.

        Raises:
            RequestError: The file does not have it.
        """
        if site not in self.sites:
            raise RequestError(
                f"{self.path}: {site} was not saved; the file has {', '.join(self.sites)}",
                remedy=f"Extract again with --site {site}.",
            )
        return self.by_site[site]

    @property
    def folder(self) -> str:
        """Name of the folder that holds the file: the model's short name or encoded id."""
        return self.path.parent.name

    @property
    def model_name(self) -> str:
        """The hub id."""
        return str(self.metadata["model_name"])

    @property
    def emotion(self) -> str:
        """The label of every sample in the file."""
        return str(self.metadata["emotion_label"])

    @property
    def n_layers(self) -> int:
        """Layers of the model."""
        return int(self.metadata["n_layers"])

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.metadata["d_model"])

    @property
    def n_samples(self) -> int:
        """Prompts in the file."""
        return len(self.labels)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Positions of every sample."""
        return tuple(len(tokens) for tokens in self.tokens)

    @property
    def content_start(self) -> int:
        """First position that belongs to the prompt; 1 where the file does not say."""
        return int(self.metadata.get("content_start", 1))

    @property
    def prompts(self) -> tuple[Mapping[str, Any], ...] | None:
        """One mapping per sample (id, scenario_id, subset, text, lang), or None without any."""
        return prompts_of(self.metadata, self.n_samples)

    @property
    def provenance(self) -> Mapping[str, Any] | None:
        """Provenance of the file, or None."""
        found = self.metadata.get("provenance")
        return found if isinstance(found, Mapping) else None

    @property
    def configuration(self) -> Mapping[str, Any] | None:
        """Fields that must match before two files are compared, or None where they are unknown."""
        return configuration_of(self.provenance)

    @property
    def random_weights(self) -> bool:
        """True when the model's weights are random."""
        return bool((self.provenance or {}).get("random_weights", False))
