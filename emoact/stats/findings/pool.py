"""The tokens of one site of one model, all classes together, for checks that look across them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from emoact.schema import Site
from emoact.stats.norms.norms import prompt_medians, prompt_ratios
from emoact.store.summaries.measures import SiteMeasures, UnitMeasures

ENOUGH_TOKENS = 20
"""With fewer content tokens a median says too little to call anything unusual."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SitePool:
    """One site of the units of one model.

    Attributes:
        site: Hook point.
        units: Those that have the site.
    """

    site: Site
    units: tuple[UnitMeasures, ...]

    @property
    def folder(self) -> str:
        """Folder of the model."""
        return self.units[0].folder

    @property
    def n_layers(self) -> int:
        """Layers that every unit has of the site."""
        return min(unit.sites[self.site].n_layers for unit in self.units)

    @functools.cached_property
    def parts(self) -> tuple[SiteMeasures, ...]:
        """The measures of the site, unit by unit."""
        return tuple(unit.sites[self.site] for unit in self.units)

    @functools.cached_property
    def l2(self) -> Float64[np.ndarray, "layer token"]:
        """Norms of all tokens, unit after unit."""
        return np.concatenate([part.l2[: self.n_layers] for part in self.parts], axis=1)

    @functools.cached_property
    def is_content(self) -> Bool[np.ndarray, " token"]:
        """Content tokens, position 0 never among them: it is looked at by itself."""
        return np.concatenate(
            [unit.is_content & (self._positions(unit) > 0) for unit in self.units]
        )

    @functools.cached_property
    def places(self) -> tuple[tuple[int, int, int], ...]:
        """Unit, prompt and position of every token."""
        return tuple(
            (number, prompt, position)
            for number, unit in enumerate(self.units)
            for prompt, length in enumerate(unit.lengths)
            for position in range(length)
        )

    @functools.cached_property
    def content_medians(self) -> Float64[np.ndarray, " layer"]:
        """Median norm over the finite content tokens of each layer; NaN where there are too few."""
        found = np.full(len(self.l2), np.nan)
        for layer, norms in enumerate(self.l2):
            finite = norms[self.is_content & np.isfinite(norms)]
            if len(finite) >= ENOUGH_TOKENS:
                found[layer] = np.median(finite)
        return found

    @functools.cached_property
    def class_medians(self) -> Float64[np.ndarray, "layer token"]:
        """For every token, the median norm of the content of its own class at each layer.

        NaN where there is too little of it. A class of another scale is no crowd of giants.
        """
        found, at = np.full(self.l2.shape, np.nan), 0
        for unit in self.units:
            end = at + sum(unit.lengths)
            own, content = self.l2[:, at:end], self.is_content[at:end]
            for layer, norms in enumerate(own):
                finite = norms[content & np.isfinite(norms)]
                if len(finite) >= ENOUGH_TOKENS:
                    found[layer, at:end] = np.median(finite)
            at = end
        return found

    @functools.cached_property
    def prompt_medians(self) -> Float64[np.ndarray, "layer prompt"]:
        """Median norm over the content of each prompt, unit after unit."""
        return np.concatenate(
            [
                prompt_medians(part.l2[: self.n_layers], unit.lengths, unit.content_start)
                for unit, part in zip(self.units, self.parts, strict=True)
            ],
            axis=1,
        )

    @functools.cached_property
    def sink_ratios(self) -> Float64[np.ndarray, "layer prompt"]:
        """Position 0 over the median of the later content of each prompt that has any."""
        return np.concatenate(
            [
                prompt_ratios(part.l2[: self.n_layers], unit.lengths, unit.content_start)
                for unit, part in zip(self.units, self.parts, strict=True)
            ],
            axis=1,
        )

    @functools.cached_property
    def prompts(self) -> tuple[tuple[int, int], ...]:
        """Unit and number of every prompt."""
        return tuple(
            (number, prompt)
            for number, unit in enumerate(self.units)
            for prompt in range(unit.n_samples)
        )

    @staticmethod
    def _positions(unit: UnitMeasures) -> Int64[np.ndarray, " token"]:
        if not unit.lengths:
            return np.zeros(0, dtype=np.int64)
        return np.concatenate([np.arange(length) for length in unit.lengths])


def site_pools(units: Sequence[UnitMeasures]) -> list[SitePool]:
    """One pool for each site that has norms by position; the units are of one model."""
    sites = dict.fromkeys(site for unit in units for site in unit.sites)
    return [
        SitePool(site=site, units=tuple(unit for unit in units if site in unit.sites))
        for site in sites
    ]
