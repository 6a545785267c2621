"""Forms of results about causes: the fields that pages, reports and commands read.

A result comes from a results folder, so from a stranger. Its hash says that it is what was written,
and not that its fields are those of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from emoact.causes.contributions import Target
from emoact.decode import decode
from emoact.errors import RequestError
from emoact.positions import Pooling
from emoact.sites import SiteName

Number = float | None
"""None where it was not finite."""
_MOST_PARTS = 1000
"""Layers, and heads of a layer, that a map of them is drawn of."""
MOST_CLASSES = 200
"""Classes, each of which has a panel."""
MOST_ROWS = 20_000
"""Rows of a table: heads, or parts, of the largest published models are 17,515."""


def _check_places(what: str, *places: int | None) -> None:
    for place in places:
        if place is not None and not 0 <= place < _MOST_PARTS:
            raise RequestError(f"{what} names layer or head {place}, which no model has")


@dataclass(frozen=True, kw_only=True)
class _Named:
    model: str
    random_weights: bool


@dataclass(frozen=True, kw_only=True)
class _OfDirection(_Named):
    emotion: str
    neutral: str
    direction_norm: float


@dataclass(frozen=True, kw_only=True)
class _ByPrompt:
    emotion: tuple[str, ...]
    prompt: tuple[str, ...]
    projection: tuple[float, ...]
    contributions: Mapping[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        columns = (self.emotion, self.prompt, self.projection, *self.contributions.values())
        if len(set(map(len, columns))) > 1:
            raise RequestError("found.by_prompt has columns of several lengths")
        if max(len(set(self.emotion)), len(self.contributions)) > MOST_CLASSES:
            raise RequestError("found.by_prompt has more classes or components than are drawn")


@dataclass(frozen=True, kw_only=True)
class _OfLayer:
    component: Literal["embedding", "head", "bias", "mlp"]
    layer: int | None

    def __post_init__(self) -> None:
        _check_places("found", self.layer)
        if (self.layer is None) != (self.component == "embedding"):
            raise RequestError(f"a component {self.component} has no such layer")


@dataclass(frozen=True, kw_only=True)
class _LayerSum(_OfLayer):
    sum: float
    low: Number
    high: Number


@dataclass(frozen=True, kw_only=True)
class _Heads(_OfDirection):
    n_prompts: int
    n_permutations: int
    gap: float
    total: float
    by_layer: tuple[_LayerSum, ...] = ()
    by_prompt: _ByPrompt | None = None

    def __post_init__(self) -> None:
        if self.total == 0:
            raise RequestError("total is 0, of which nothing is a share")


@dataclass(frozen=True, kw_only=True)
class _HeadsSettings:
    neutral: str
    n_permutations: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class _Component(_OfLayer):
    head: int | None
    kv_group: int | None
    contrast: float
    low: Number
    high: Number
    chance: Number
    p: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_places("found.components", self.head)
        if (self.head is None) == (self.component == "head"):
            raise RequestError(f"a component {self.component} has no such head")


@dataclass(frozen=True, kw_only=True)
class _Lens(_OfDirection):
    n_random: int
    p_raised: float
    p_lowered: float
    tokens: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        sides = [row.get("side") for row in self.tokens]
        if not ("raised" in sides and "lowered" in sides) or len(sides) > _MOST_PARTS:
            raise RequestError("tokens are not those of both ends, or more than are drawn")


@dataclass(frozen=True, kw_only=True)
class _Above:
    raised: bool
    lowered: bool


@dataclass(frozen=True, kw_only=True)
class _Place(Target):
    """The place of a saved direction, which has no defaults."""

    site: SiteName = field()
    pooling: Pooling = field()


@dataclass(frozen=True, kw_only=True)
class _LensToken:
    side: Literal["raised", "lowered"]
    rank: int
    token: str
    token_id: int
    logit: float
    random_95: float


@dataclass(frozen=True, kw_only=True)
class _Projected(_OfDirection):
    n_passages: int
    n_tokens: int
    n_cut: int
    tokens: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        for row in self.tokens:
            decode(_Token, row, where="found.tokens", ignore_unknown=True)


@dataclass(frozen=True, kw_only=True)
class _Token:
    side: Literal["most", "least"]
    token: str


@dataclass(frozen=True, kw_only=True)
class _Passage:
    side: Literal["most", "least"]
    passage: str


@dataclass(frozen=True, kw_only=True)
class _Patterns(_Named):
    emotion: str
    form: Literal["triangles", "reduced"]
    n_prompts: int
    n_layers: int
    n_heads: int
    size: int
    names: tuple[str, ...]
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class _PatternHead:
    layer: int
    head: int
    entropy: Number
    first_mass: Number
    previous_mass: Number


@dataclass(frozen=True, kw_only=True)
class _Steer(_Named):
    train_scenarios: tuple[str, ...]
    test_scenarios: tuple[str, ...]
    prefixes: Mapping[str, str]
    neutral_prefixes: tuple[str, ...] = ()
    n_splits: int = 0


@dataclass(frozen=True, kw_only=True)
class _SteerSettings:
    emotions: tuple[str, ...]
    layers: tuple[int, ...]
    doses: tuple[float, ...]
    control_doses: tuple[float, ...]
    neutral: str
    pooling: str
    n_random: int
    n_shuffled: int
    n_sentences: int | None
    seed: int
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.emotions and self.layers and self.control_doses):
            raise RequestError("found.settings names no emotion, no layer or no control dose")
        if len(self.emotions) > MOST_CLASSES:
            raise RequestError(f"found.settings has {len(self.emotions):,} emotions")
        if min(self.n_random, self.n_shuffled) < 1:
            raise RequestError("found.settings has no random or no shuffled direction")


@dataclass(frozen=True, kw_only=True)
class _Effect:
    emotion: str
    layer: int
    dose: float
    own: Number
    others: Number
    neutral: Number
    delta: Number
    prompt_only: Number
    random_95: Number
    shuffled_95: Number
    random_low: Number
    random_high: Number
    n_random: int
    n_shuffled: int
    p: Number
    verdict: str
    specific: str
    by_class: Mapping[str, Number]
    own_low: Number = None
    own_high: Number = None
    own_splits_low: Number = None
    own_splits_high: Number = None
    delta_low: Number = None
    delta_high: Number = None
    other_directions: Number = None
    prompt_neutral: Number = None
    specificity: Number = None
    specificity_95: Number = None
    specificity_directions: Number = None
    specificity_directions_95: Number = None
    specificity_p: Number = None

    def __post_init__(self) -> None:
        _check_places("found.effects", self.layer)


ADDED_TO_EFFECTS = tuple(each.name for each in fields(_Effect) if each.default is None)
"""Columns that results of earlier versions may lack."""


@dataclass(frozen=True, kw_only=True)
class _Ablate(_Named):
    train_scenarios: tuple[str, ...]
    test_scenarios: tuple[str, ...]
    contrast: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _AblateSettings:
    emotion: str
    layer: int
    by: str
    neutral: str
    parts: tuple[str, ...]
    at: tuple[int, ...]
    n_sentences: int | None
    seed: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Ablation:
    part: Literal["mlp", "layer", "direction", "directions", "head", "group"]
    layer: int
    heads: str
    total: float
    low: Number
    high: Number
    direct: float
    repair: float
    tied: bool
    layers: str = ""
    log_prob_neutral: Number = None
    log_odds: Number = None
    log_odds_neutral: Number = None


_Parts = Mapping[str, type]
_FORMS: Mapping[str, tuple[type, _Parts]] = {
    "heads": (_Heads, {"target": _Place, "components": _Component}),
    "lens": (_Lens, {"target": _Place, "above_random": _Above, "tokens": _LensToken}),
    "project": (_Projected, {"target": _Place, "passages": _Passage}),
    "attention": (_Patterns, {"heads": _PatternHead}),
    "steer": (_Steer, {"settings": _SteerSettings, "effects": _Effect}),
    "ablate": (_Ablate, {"settings": _AblateSettings, "ablations": _Ablation}),
}
"""By kind: the fields of a result, and what holds fields of its own: one of them, or rows."""


def check_form(kind: str, found: Any, rests_on: Mapping[str, Any]) -> None:
    """Check that a result has what is read of its kind; fields that are not read may differ.

    Raises:
        RequestError: A field is missing or of another type, a table has no or too many rows, or
            rows that are none of the result; says which.
    """
    if kind not in _FORMS:
        return
    whole, parts = _FORMS[kind]
    decode(whole, found, where="found", ignore_unknown=True)
    for name, form in parts.items():
        held = found.get(name)
        rows = held if isinstance(held, list | tuple) else [held]
        if not rows:
            raise RequestError(f"found.{name} has no rows")
        if len(rows) > MOST_ROWS:
            raise RequestError(
                f"found.{name} has {len(rows):,} rows; a result has at most {MOST_ROWS:,}"
            )
        for row in rows:
            decode(form, row, where=f"found.{name}", ignore_unknown=True)
    if kind == "heads":
        decode(_HeadsSettings, rests_on.get("settings"), where="settings", ignore_unknown=True)
        heads = (row for row in found["components"] if row["head"] is not None)
        named = [(row["layer"], row["head"]) for row in heads]
        if len(set(named)) < len(named):
            raise RequestError("found.components has a head twice")
    elif kind == "steer":
        asked = [set(found["settings"][name]) for name in ("emotions", "layers")]
        for row in found["effects"]:
            if row["emotion"] not in asked[0] or row["layer"] not in asked[1]:
                raise RequestError("found.effects has an emotion or a layer that was not asked for")
