"""Tokens of one site of one model, all classes together, for checks across classes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from emoact.schema import Severity
from emoact.sites import SiteName, words
from emoact.stats.findings.finding import ActivationFinding, Figure, FindingKind
from emoact.stats.norms.tables import prompt_medians, prompt_ratios
from emoact.store.summaries.measures import SiteMeasures, UnitMeasures

ENOUGH_TOKENS = 20
"""With fewer content tokens a median is too uncertain to call a value unusual."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SitePool:
    """One site of the units of one model. `units`: those that have the site."""

    site: SiteName
    units: tuple[UnitMeasures, ...]

    @property
    def folder(self) -> str:
        """Folder of the model."""
        return self.units[0].folder

    @property
    def words(self) -> str:
        """The site within a sentence."""
        return words(self.site)

    @property
    def n_layers(self) -> int:
        """Layers of the site that every unit has."""
        return min(unit.sites[self.site].n_layers for unit in self.units)

    @functools.cached_property
    def parts(self) -> tuple[SiteMeasures, ...]:
        """Measures of the site, unit by unit."""
        return tuple(unit.sites[self.site] for unit in self.units)

    @functools.cached_property
    def l2(self) -> Float64[np.ndarray, "layer token"]:
        """Norms of all tokens, unit after unit."""
        return np.concatenate([part.l2[: self.n_layers] for part in self.parts], axis=1)

    @functools.cached_property
    def is_content(self) -> Bool[np.ndarray, " token"]:
        """Content tokens without position 0, which has a check of its own."""
        positions = np.array([position for _, _, position in self.places], dtype=np.int64)
        return np.concatenate([unit.is_content for unit in self.units]) & (positions > 0)

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
        return _medians(self.l2[:, self.is_content])

    @functools.cached_property
    def class_medians(self) -> Float64[np.ndarray, "layer token"]:
        """Median norm of the content of each token's own class, by layer; NaN with too few tokens.

        The median of all classes would call every token of a class with larger norms massive.
        """
        found, at = np.full(self.l2.shape, np.nan), 0
        for unit in self.units:
            own = slice(at, at := at + sum(unit.lengths))
            found[:, own] = _medians(self.l2[:, own][:, self.is_content[own]])[:, None]
        return found

    @functools.cached_property
    def prompt_medians(self) -> Float64[np.ndarray, "layer prompt"]:
        """Median norm over the content of each prompt, unit after unit."""
        return self._by_prompt(prompt_medians)

    @functools.cached_property
    def sink_ratios(self) -> Float64[np.ndarray, "layer prompt"]:
        """Position 0 over the median of the later content of each prompt that has any."""
        return self._by_prompt(prompt_ratios)

    @functools.cached_property
    def prompts(self) -> tuple[tuple[int, int], ...]:
        """Unit and number of every prompt."""
        return tuple(
            (number, prompt)
            for number, unit in enumerate(self.units)
            for prompt in range(unit.n_samples)
        )

    def finding(
        self,
        kind: FindingKind,
        severity: Severity,
        *,
        layers: tuple[int, ...],
        figures: Mapping[str, Figure],
        view: Mapping[str, str],
        **words: Any,
    ) -> list[ActivationFinding]:
        """One finding on this site; `view` is completed by the model and the site."""
        return [
            ActivationFinding(
                kind=kind,
                severity=severity,
                model=self.folder,
                site=self.site,
                layers=layers,
                figures=figures,
                view={"model": self.folder, "site": self.site, **view},
                **words,
            )
        ]

    def prompt_view(self, number: int, prompt: int) -> dict[str, str]:
        """Parameters of the view of one prompt."""
        unit = self.units[number]
        return {"view": "prompt", "emotion": unit.emotion, "prompt": unit.prompt_id(prompt)}

    def _by_prompt(self, of: Callable[..., np.ndarray]) -> np.ndarray:
        return np.concatenate(
            [
                of(part.l2[: self.n_layers], unit.lengths, unit.content)
                for unit, part in zip(self.units, self.parts, strict=True)
            ],
            axis=1,
        )


def site_pools(units: Sequence[UnitMeasures]) -> list[SitePool]:
    """One pool for each site that has norms by position; the units are of one model."""
    sites = dict.fromkeys(site for unit in units for site in unit.sites)
    return [
        SitePool(site=site, units=tuple(unit for unit in units if site in unit.sites))
        for site in sites
    ]


def where(found: Bool[np.ndarray, "layer any"]) -> tuple[int, ...]:
    """Layers with at least one True."""
    return tuple(int(layer) for layer in np.flatnonzero(found.any(axis=1)))


def _medians(norms: Float64[np.ndarray, "layer token"]) -> Float64[np.ndarray, " layer"]:
    finite = [row[np.isfinite(row)] for row in norms]
    return np.array([np.median(own) if len(own) >= ENOUGH_TOKENS else np.nan for own in finite])
