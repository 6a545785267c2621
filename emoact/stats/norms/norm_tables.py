"""Selection of a table of norms: what a page draws and what `emoact norms` writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from emoact.errors import RequestError
from emoact.positions import NormKind
from emoact.sites import SiteName, in_order
from emoact.stats.norms import tables
from emoact.store.summaries.measures import UnitMeasures

TableKind = Literal["layer", "position", "prompt", "token", "length", "growth", "dimension"]

TOGETHER = "every emotion"
"""Label of all prompts of a model taken together."""

_GO_WITH: Mapping[str, tuple[TableKind, ...]] = {
    "relative": ("layer",),
    "together": ("position",),
    "prompt": ("prompt", "token", "length"),
    "layer": ("layer", "position", "prompt", "token", "growth", "dimension"),
    "sites": ("layer", "position", "prompt", "token", "dimension"),
}


@dataclass(frozen=True, kw_only=True)
class NormTable:
    """A table of norms and the rows that are wanted of it; all where nothing is named.

    Attributes:
        relative: Divide by each model's own scale (`own_scale`).
        content: Leave out the position of a BOS.
        together: All prompts of a model as one class.
    """

    by: TableKind = "layer"
    norm: NormKind = "l2"
    relative: bool = False
    models: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    sites: tuple[SiteName, ...] = ()
    layer: int | None = None
    prompt: str | None = None
    content: bool = False
    together: bool = False

    def __post_init__(self) -> None:
        if self.layer is not None and self.layer < 0:
            raise RequestError(f"--layer is {self.layer}; layers are counted from 0")
        for name, allowed in _GO_WITH.items():
            if getattr(self, name) not in (None, False, ()) and self.by not in allowed:
                raise RequestError(
                    f"--{name.removesuffix('s')} does not go with --by {self.by}",
                    remedy=f"Leave it out, or choose --by {' or '.join(allowed)}.",
                )

    def words(self) -> list[str]:
        """Words of the shell command after `emoact norms`."""
        named: list[tuple[str, Sequence[str]]] = [
            ("--model", self.models),
            ("--emotion", self.emotions),
            ("--site", self.sites),
        ]
        return [
            *(["--by", self.by] if self.by != "layer" else []),
            *(["--norm", self.norm] if self.norm != "l2" else []),
            *(["--relative"] if self.relative else []),
            *(word for option, values in named for value in values for word in (option, value)),
            *([] if self.layer is None else ["--layer", str(self.layer)]),
            *([] if self.prompt is None else ["--prompt", self.prompt]),
            *(["--content"] if self.content else []),
            *(["--together"] if self.together else []),
        ]

    def frame(self, units: Iterable[UnitMeasures]) -> pd.DataFrame:
        """The rows, unit after unit in the order given.

        Raises:
            RequestError: A model, emotion, site, layer or prompt is wanted that no unit has.
        """
        every = tuple(units)
        chosen = self._units(every)
        if self.by == "growth":
            return self._rows([tables.growth_table(unit) for unit in chosen])
        if self.by == "length":
            return self._rows([tables.length_table(unit) for unit in chosen])
        if self.together:
            chosen = tuple(
                tables.joined([unit for unit in chosen if unit.folder == folder], TOGETHER)
                for folder in dict.fromkeys(unit.folder for unit in chosen)
            )
        pairs = [
            (unit, site)
            for unit in chosen
            for site in unit.sites
            if not self.sites or site in self.sites
        ]
        if self.layer is not None:
            pairs = [(unit, site) for unit, site in pairs if self.layer < unit.sites[site].n_layers]
            if not pairs:
                raise RequestError(f"there is no layer {self.layer}")
        found = self._rows([self._of(unit, site) for unit, site in pairs])
        if self.relative:
            scales = {
                model: own_scale([unit for unit in every if unit.folder == model], self.norm)
                for model in dict.fromkeys(unit.folder for unit in chosen)
            }
            columns, divisor = ["mean", "median", "q25", "q75"], found["model"].map(scales)
            return found.assign(**found[columns].div(divisor, axis=0))
        return found

    def _units(self, units: Sequence[UnitMeasures]) -> tuple[UnitMeasures, ...]:
        _check("model", self.models, [unit.folder for unit in units])
        own = [unit for unit in units if not self.models or unit.folder in self.models]
        _check("emotion", self.emotions, [unit.emotion for unit in own])
        own = [unit for unit in own if not self.emotions or unit.emotion in self.emotions]
        _check("site", self.sites, [site for unit in own for site in unit.sites])
        if self.prompt is not None and not any(
            unit.prompt_id(sample) == self.prompt
            for unit in own
            for sample in range(unit.n_samples)
        ):
            raise RequestError(
                f"there is no prompt {self.prompt!r} among these files",
                remedy="`emoact norms --by length` lists every prompt.",
            )
        return tuple(own)

    def _of(self, unit: UnitMeasures, site: SiteName) -> pd.DataFrame:
        if self.by == "dimension":
            return tables.dimension_table(unit, site, self.layer)
        if self.by == "prompt":
            return tables.prompt_table(unit, site, self.norm, self.layer)
        if self.by == "token":
            return tables.token_table(
                unit, site, self.norm, prompt=self.prompt, layer=self.layer, content=self.content
            )
        if self.by == "position":
            found = tables.position_table(unit, site, self.norm)
            own = [span for span in unit.content if span[0] < span[1]]
            low, high = min((a for a, _ in own), default=1), max((b for _, b in own), default=1)
            return found[found["position"].between(low, high - 1)] if self.content else found
        found = tables.layer_table(unit, site, self.norm)
        return found[found["position"] == "content"] if self.content else found

    def _rows(self, found: Sequence[pd.DataFrame]) -> pd.DataFrame:
        if not found:
            return pd.DataFrame()
        rows = pd.concat(found, ignore_index=True)
        for column, wanted in (("layer", self.layer), ("prompt", self.prompt)):
            if wanted is not None and column in rows:
                rows = rows[rows[column] == wanted]
        return rows.reset_index(drop=True)


def own_scale(units: Sequence[UnitMeasures], kind: NormKind) -> float:
    """Scale of one model: the median over layers and emotions of the median residual norm.

    Where no file has the residual stream, the first site that was saved stands in for it. NaN where
    no median is a positive number.
    """
    site = next(iter(in_order(site for unit in units for site in unit.sites)), None)
    if site is None:
        return math.nan
    rows = pd.concat([tables.layer_table(unit, site, kind) for unit in units if site in unit.sites])
    medians = rows.loc[rows["position"] == "content", "median"]
    usable = medians[np.isfinite(medians) & (medians > 0)]
    return float(usable.median()) if len(usable) else math.nan


def _check(option: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise RequestError(
            f"--{option} is {unknown[0]!r}; there are {', '.join(dict.fromkeys(there)) or 'none'}"
        )
