"""Pooled activations of one unit, and of all units of a model side by side."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32, Int64

from emoact import sites as known_sites
from emoact.errors import RequestError
from emoact.packed import Packed
from emoact.positions import Pooling, pool_layers
from emoact.sites import SiteName
from emoact.stats.comparable import Configuration
from emoact.stats.design import Design, design_of
from emoact.stats.probes.probes import band
from emoact.stats.room import MEMORY, Room, set_down
from emoact.store.unit import Unit

Pooled = Float32[np.ndarray, "prompt layer d_model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptInfo:
    """One prompt of a unit.

    Attributes:
        id: Matches the same prompt of another model, within its emotion.
        scenario_id: None where the prompt shares its scenario with no other.
        subset: Such as `explicit` or `implicit`.
        text: The text; empty where the file does not hold it.
        n_tokens: Content positions.
    """

    id: str
    scenario_id: str | None
    subset: str | None
    text: str
    n_tokens: int


def packed(prompts: Iterable[PromptInfo]) -> Sequence[PromptInfo]:
    """The prompts in little memory."""

    def read(name: str, *others: Any) -> PromptInfo:
        scenario, subset, text, n_tokens = others
        return PromptInfo(
            id=name, scenario_id=scenario, subset=subset, text=text, n_tokens=int(n_tokens)
        )

    def texts_of(each: PromptInfo) -> tuple[str | None, ...]:
        return each.id, each.scenario_id, each.subset, each.text, str(each.n_tokens)

    return Packed(prompts, texts_of, read)


@dataclass(frozen=True, kw_only=True, eq=False)
class Controls:
    """Pooled vectors of the same prompts without context, and without word order.

    Attributes:
        contextless: Mean over the tokens of a prompt, each run through the model alone behind BOS,
            by site; None where they were not extracted.
        shuffled: Each shuffle of the words of every prompt, by site; empty where there is none.
    """

    contextless: Mapping[SiteName, Pooled] | None = None
    shuffled: tuple[Mapping[SiteName, Pooled], ...] = ()

    def rows(self, order: Sequence[int]) -> Controls:
        """The controls of some of the prompts, in this order."""
        chosen = list(order)

        def part(sites: Mapping[SiteName, np.ndarray]) -> Mapping[SiteName, np.ndarray]:
            return {site: pooled[chosen] for site, pooled in sites.items()}

        return Controls(
            contextless=None if self.contextless is None else part(self.contextless),
            shuffled=tuple(part(each) for each in self.shuffled),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitFeatures:
    """Pooled vectors of one (model, emotion).

    Attributes:
        model: Name that tables show, and that all units of the model share.
        random_weights: True for random weights, whose figures do not describe a language model.
    """

    model: str
    emotion: str
    prompts: Sequence[PromptInfo]
    sites: Mapping[SiteName, Pooled]
    configuration: Configuration
    random_weights: bool = False
    controls: Controls | None = None

    def __post_init__(self) -> None:
        if not self.prompts:
            raise RequestError(f"{self.name} has no prompts")
        for site, pooled in self.sites.items():
            if len(pooled) != len(self.prompts):
                raise RequestError(
                    f"{self.name}: {site} holds {len(pooled)} vectors for {len(self.prompts)} "
                    "prompts"
                )

    @property
    def name(self) -> str:
        """Name of the unit in messages."""
        return f"{self.model}/{self.emotion}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelFeatures:
    """Pooled vectors of all units of a model, prompt by prompt.

    Attributes:
        controls: Of all prompts, at the layers of `band`; None where a unit has none.
    """

    model: str
    design: Design
    prompts: Sequence[PromptInfo]
    sites: Mapping[SiteName, Pooled]
    random_weights: bool
    controls: Controls | None = None

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """(emotion, prompt id) of every row: what two models have in common."""
        labels = (self.design.labels[label] for label in self.design.label_of)
        return tuple((label, prompt.id) for label, prompt in zip(labels, self.prompts, strict=True))

    @property
    def n_tokens(self) -> Int64[np.ndarray, " prompt"]:
        """Content positions of every prompt."""
        return np.array([prompt.n_tokens for prompt in self.prompts], dtype=np.int64)

    @property
    def texts(self) -> Sequence[str]:
        """Texts in the order of the rows."""
        return Packed((prompt.text for prompt in self.prompts), lambda text: (text,), str)

    def rows(self, order: Sequence[int], room: Room = MEMORY) -> ModelFeatures:
        """Some of the prompts, in this order; their vectors are copied to `room`."""
        prompts = packed(self.prompts[row] for row in order)
        labels = [self.design.labels[self.design.label_of[row]] for row in order]
        sites = {}
        for site, pooled in self.sites.items():
            sites[site] = room.empty((len(prompts), *pooled.shape[1:]))
            for layer in range(pooled.shape[1]):
                sites[site][:, layer] = pooled[list(order), layer]
                room.rest()
        return ModelFeatures(
            model=self.model,
            design=design_of(
                labels,
                [prompt.scenario_id for prompt in prompts],
                [(rank,) for rank in self.design.rank[list(order)].tolist()],
            ),
            prompts=prompts,
            sites=sites,
            random_weights=self.random_weights,
            controls=None if self.controls is None else self.controls.rows(order),
        )


def features_of(
    unit: Unit,
    *,
    sites: Sequence[SiteName],
    pooling: Pooling = "mean_content",
    model: str | None = None,
    room: Room = MEMORY,
    prompts: Sequence[PromptInfo] | None = None,
) -> UnitFeatures:
    """The pooled vectors of a unit as the store reads it.

    Args:
        unit: One (model, emotion).
        sites: Those to pool; the unit must hold them.
        pooling: How positions become one vector.
        model: Name for tables; the hub id when none is given. Two revisions of one model need two.
        room: Where the vectors are kept.
        prompts: Those of the unit, where it was read without them.
    """
    name = model or unit.model_name
    return UnitFeatures(
        model=name,
        emotion=unit.emotion,
        prompts=prompts or packed(prompts_of(unit, pooling)),
        sites={site: _pooled(unit, site, pooling, room) for site in sites},
        configuration=Configuration.of(unit, model=name, pooling=pooling),
        random_weights=unit.random_weights,
    )


def _pooled(unit: Unit, site: SiteName, pooling: Pooling, room: Room) -> Pooled:
    """The vectors that the file keeps, or else those of its positions."""
    kept = unit.pooled.get((site, pooling))
    if kept is not None:
        layers = range(len(known_sites.site(site).layer_range(unit.n_layers)))
        first = kept(0)
        pooled = room.empty((len(first), len(layers), first.shape[2]))
        for layer in layers:
            pooled[:, layer] = kept(layer)[:, 0]
            room.rest()
        return pooled
    return pool_layers(
        unit.site(site),
        pooling=pooling,
        content=unit.content,
        responses=unit.response_spans,
        empty=room.empty,
    )


def join_units(given: Iterable[UnitFeatures], room: Room = MEMORY) -> ModelFeatures:
    """All units of one model, one after the other.

    Units of an iterator that nothing else holds are let go as soon as they are copied.

    Raises:
        RequestError: An emotion occurs twice, or the shapes of the units differ.
    """
    units = list(given)
    first = units[0]
    seen: set[str] = set()
    for unit in units:
        if unit.emotion in seen:
            raise RequestError(f"{unit.name} was given twice; each (model, emotion) counts once")
        seen.add(unit.emotion)
        for site, pooled in first.sites.items():
            if unit.sites[site].shape[1:] != pooled.shape[1:]:
                raise RequestError(
                    f"{unit.name}: {site} has the shape {unit.sites[site].shape[1:]} (layer, "
                    f"d_model), but {first.name} has {pooled.shape[1:]}",
                    remedy="These files are not of one model; extract them again.",
                )
    prompts = packed(prompt for unit in units for prompt in unit.prompts)
    model, n_layers = first.model, next(iter(first.sites.values())).shape[1]
    design = design_of(
        [unit.emotion for unit in units for _ in unit.prompts],
        [prompt.scenario_id for prompt in prompts],
        [name for unit in units for name in _names(unit)],
    )
    random_weights = any(unit.random_weights for unit in units)
    controls = _join_controls(units, band(n_layers))
    sites = {
        site: room.empty((len(prompts), *pooled.shape[1:])) for site, pooled in first.sites.items()
    }
    del first, unit
    start = 0
    for unit in let_go(units):
        for site, joined in sites.items():
            for layer in range(joined.shape[1]):
                joined[start : start + len(unit.prompts), layer] = unit.sites[site][:, layer]
                room.rest()
        start += len(unit.prompts)
    return ModelFeatures(
        model=model,
        design=design,
        prompts=prompts,
        sites=sites,
        random_weights=random_weights,
        controls=controls,
    )


Kept = TypeVar("Kept")


def let_go(units: list[Kept]) -> Iterator[Kept]:
    """The units one by one, taken out of the list, so that it keeps no vectors in memory."""
    while units:
        yield units.pop(0)


def _names(unit: UnitFeatures) -> list[tuple[str, str, int]]:
    """Keys that order the prompts of a unit: ids, texts, and vectors where files hold neither."""
    vectors = next(iter(unit.sites.values()))[:, -1]
    names = [
        (prompt.id, prompt.text, zlib.crc32(vector.tobytes()))
        for prompt, vector in zip(unit.prompts, vectors, strict=True)
    ]
    set_down(vectors)
    return names


def _join_controls(units: Sequence[UnitFeatures], layers: range) -> Controls | None:
    """Controls that all units have, at some layers; of the shuffles the smallest number."""
    found = [unit.controls for unit in units if unit.controls is not None]
    if len(found) < len(units):
        return None
    sites = tuple(units[0].sites)
    contextless = [each.contextless for each in found if each.contextless is not None]
    return Controls(
        contextless={site: _join(contextless, site, layers) for site in sites}
        if len(contextless) == len(units)
        else None,
        shuffled=tuple(
            {site: _join(shuffle, site, layers) for site in sites}
            for shuffle in zip(*(each.shuffled for each in found), strict=False)
        ),
    )


def _join(
    parts: Sequence[Mapping[SiteName, np.ndarray]], site: SiteName, layers: range
) -> np.ndarray:
    return np.concatenate([part[site][:, layers.start : layers.stop] for part in parts])


def prompts_of(unit: Unit, pooling: Pooling, *, first: int = 0) -> Iterator[PromptInfo]:
    """The prompts of a unit, or of a part before which there are `first` others."""
    known: Sequence[Mapping[str, Any]] = unit.prompts or [{}] * len(unit.lengths)
    spans, behind = unit.content, [""] * len(known)
    if pooling == "mean_response":
        # The word baselines read what the vectors may have read: the prompt, and what follows it.
        spans = unit.response_spans or spans
        behind = [f" {text}" for text in unit.responses or behind]
    for index, (prompt, (start, stop)) in enumerate(zip(known, spans, strict=True)):
        yield PromptInfo(
            # Without ids the order is all there is to match the prompts of two models by.
            id=str(prompt.get("id", first + index)),
            scenario_id=_optional(prompt.get("scenario_id")),
            subset=_optional(prompt.get("subset")),
            text=str(prompt.get("text", "")) + behind[index],
            n_tokens=stop - start,
        )


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
