"""Which rows of which table of norms: what a page draws and what a shell writes."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoact.errors import RequestError
from emoact.positions import NormKind
from emoact.schema import Site
from emoact.stats.norms import activation_tables as tables
from emoact.stats.norms.activation_tables import TableKind
from emoact.stats.norms.joining import join_norms
from emoact.stats.norms.norms import NormRow
from emoact.store.summaries.measures import UnitMeasures

TOGETHER = "every emotion"
"""What stands for the emotion where all prompts of a model are taken together."""

_GO_WITH: Mapping[str, tuple[TableKind, ...]] = {
    "relative": ("layer",),
    "together": ("position",),
    "prompt": ("prompt", "token", "length"),
    "layer": ("layer", "position", "prompt", "token", "growth", "dimension"),
    "sites": ("layer", "position", "prompt", "token", "dimension"),
}


@dataclass(frozen=True, kw_only=True)
class NormTable:
    """A table of norms and which of its rows are wanted; everything that is not said is all.

    Attributes:
        by: What a row is.
        norm: Which norm.
        relative: Divide by each model's own scale, the median over layers and emotions of its
            median residual norm.
        models: Folders.
        emotions: Class labels.
        sites: Hook points.
        layer: One layer.
        prompt: Id of one prompt.
        content: Leave out the position of a BOS.
        together: All prompts of a model as one class.
    """

    by: TableKind = "layer"
    norm: NormKind = "l2"
    relative: bool = False
    models: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()
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
        """What follows `emoact norms` in a shell."""
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

    def rows(self, units: Iterable[UnitMeasures]) -> list[dict[str, Any]]:
        """The rows, unit after unit in the order given.

        Raises:
            RequestError: A model, emotion, site, layer or prompt is wanted that no unit has.
        """
        every = tuple(units)
        chosen = self._units(every)
        if self.by == "growth":
            found = [row for unit in chosen for row in tables.growth_rows(unit)]
            return [row for row in found if self.layer in (None, row["layer"])]
        if self.by == "length":
            return self._wanted([row for unit in chosen for row in tables.length_rows(unit)])
        if self.together:
            chosen = _together(chosen)
        pairs = [(unit, site) for unit in chosen for site in unit.sites if self._takes(site)]
        if self.layer is not None:
            pairs = [(unit, site) for unit, site in pairs if self.layer < unit.sites[site].n_layers]
            if not pairs:
                raise RequestError(f"there is no layer {self.layer}")
        found = [row for unit, site in pairs for row in self._of(unit, site)]
        if self.relative:
            scales = {
                model: own_scale([unit for unit in every if unit.folder == model], self.norm)
                for model in dict.fromkeys(unit.folder for unit in chosen)
            }
            found = [relative_row(row, scales[row["model"]]) for row in found]
        return self._wanted(found)

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

    def _takes(self, site: Site) -> bool:
        return not self.sites or site in self.sites

    def _of(self, unit: UnitMeasures, site: Site) -> Iterable[dict[str, Any]]:
        makers: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
            "layer": lambda: tables.layer_rows(unit, site, self.norm),
            "position": lambda: tables.position_rows(unit, site, self.norm),
            "prompt": lambda: tables.prompt_rows(unit, site, self.norm, self.layer),
            "token": lambda: self._tokens(unit, site),
            "dimension": lambda: tables.dimension_rows(unit, site, self.layer),
        }
        return (
            row
            for row in makers[self.by]()
            if self.layer in (None, row["layer"])
            and not (self.content and _is_before(row, unit.content_start))
        )

    def _tokens(self, unit: UnitMeasures, site: Site) -> Iterable[dict[str, Any]]:
        samples: Iterable[int | None] = [None]
        if self.prompt is not None:
            samples = [n for n in range(unit.n_samples) if unit.prompt_id(n) == self.prompt]
        for sample in samples:
            yield from tables.token_rows(unit, site, self.norm, sample=sample, layer=self.layer)

    def _wanted(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.prompt is None:
            return rows
        return [row for row in rows if row["prompt"] == self.prompt]


def own_scale(units: Sequence[UnitMeasures], kind: NormKind) -> float:
    """A model's own scale: the median over its layers and emotions of the median residual norm.

    Where no file has the residual stream, the first site that was saved stands in for it.
    """
    site = scale_site([tuple(unit.sites) for unit in units])
    if site is None:
        return math.nan
    return scale_of(
        row for unit in units if site in unit.sites for row in tables.layer_rows(unit, site, kind)
    )


def scale_site(saved: Sequence[Collection[Site]]) -> Site | None:
    """The site that a model's own scale is taken from; None where nothing was saved."""
    sites = [site for own in saved for site in own if site != "pattern"]
    return "resid_pre" if "resid_pre" in sites else next(iter(sites), None)


def scale_of(rows: Iterable[Mapping[str, Any]]) -> float:
    """The scale from rows of one site by layer; NaN where none of them is a positive number."""
    medians = [row["median"] for row in rows if row["position"] == "content"]
    finite = [value for value in medians if math.isfinite(value) and value > 0]
    return statistics.median(finite) if finite else math.nan


def relative_row(row: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """A row by layer in units of its model's own scale."""
    return {**row, **{name: row[name] / scale for name in ("mean", "median", "q25", "q75")}}


def relative_norms(rows: Iterable[NormRow], scales: Mapping[str, float]) -> tuple[NormRow, ...]:
    """The same for rows of `norm_rows`, by the name of their model."""
    return tuple(NormRow(**relative_row(row.to_row(), scales[row.model])) for row in rows)


def _is_before(row: Mapping[str, Any], content_start: int) -> bool:
    position = row.get("position")
    return position == "first" or (isinstance(position, int) and position < content_start)


def _together(units: Sequence[UnitMeasures]) -> tuple[UnitMeasures, ...]:
    joined = []
    for folder in dict.fromkeys(unit.folder for unit in units):
        own = [unit for unit in units if unit.folder == folder]
        joined.append(dataclasses.replace(join_norms(own), emotion=TOGETHER))
    return tuple(joined)


def _check(option: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise RequestError(
            f"--{option} is {unknown[0]!r}; there are {', '.join(dict.fromkeys(there)) or 'none'}"
        )
