"""Forms of results about causes: the fields that pages, reports and commands read.

A result comes from a results folder, so from a stranger. Its hash says that it is what was written,
and not that its fields are those of its kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from emoact.causes.asked import option
from emoact.causes.contributions import TARGETS, ContrastSettings, Target
from emoact.causes.settings import (
    MOST_CLASSES,
    MOST_ROWS,
    PART_KINDS,
    AblateSettings,
    SteerSettings,
)
from emoact.decode import decode
from emoact.errors import RequestError
from emoact.positions import Pooling
from emoact.sites import SiteName

Number = float | None
"""None where it was not finite."""
_MOST_PARTS = 1000
"""Layers, and heads of a layer, that a map of them is drawn of."""
_Texts = tuple[str, ...]
_End = Literal["most", "least"]
_Component = Literal["embedding", "head", "bias", "mlp"]


def _of(name: str, maybe: Mapping[str, Any] | None = None, /, **fields: Any) -> type:
    """A form: the type of each field; results of earlier versions may lack those in `maybe`."""
    added = [(each, kind, field(default=None)) for each, kind in (maybe or {}).items()]
    return dataclasses.make_dataclass(name, [*fields.items(), *added], frozen=True, kw_only=True)


def _all(kind: Any, *names: str) -> dict[str, Any]:
    """Fields of one type."""
    return dict.fromkeys(names, kind)


_NAMED: dict[str, Any] = {"model": str, "random_weights": bool}
_DIRECTION: dict[str, Any] = {**_NAMED, "emotion": str, "neutral": str, "direction_norm": float}
_SPLIT = {**_NAMED, **_all(_Texts, "train_scenarios", "test_scenarios")}
_INTERVAL = _all(Number, "low", "high")
_PLACED: dict[str, Any] = {**_INTERVAL, "component": _Component, "layer": int | None}


@dataclass(frozen=True, kw_only=True)
class _Place(Target):
    """The place of a saved direction, which has no defaults."""

    site: SiteName = option("--site", choices=TARGETS)
    pooling: Pooling = option("--pooling")


ADDED_TO_EFFECTS = (
    *("own_low", "own_high", "own_splits_low", "own_splits_high", "delta_low", "delta_high"),
    *("other_directions", "prompt_neutral", "specificity", "specificity_95", "specificity_p"),
    *("specificity_directions", "specificity_directions_95"),
)
"""Columns that results of earlier versions may lack."""


# Settings of a question have defaults, and those of a result have none.
_OWN: Mapping[str, type] = {
    "heads": _of("settings", neutral=str, **_all(int, "n_permutations", "seed")),
    "steer": _of(
        "settings",
        **_all(tuple[float, ...], "doses", "control_doses"),
        emotions=_Texts,
        layers=tuple[int, ...],
        **_all(int, "n_random", "n_shuffled", "seed"),
        **_all(str, "neutral", "pooling"),
        n_sentences=int | None,
    ),
    "ablate": _of(
        "settings",
        **_all(int, "layer", "seed"),
        **_all(str, "emotion", "neutral", "by"),
        parts=_Texts,
        at=tuple[int, ...],
        n_sentences=int | None,
    ),
}


def _check_own(kind: str, settings: Any) -> None:
    decode(_OWN[kind], settings, where="settings", ignore_unknown=True)


def _check_heads(found: Mapping[str, Any], rests_on: Mapping[str, Any]) -> None:
    settings = {**rests_on, **found}.get("settings")
    _check_own("heads", settings)
    decode(ContrastSettings, settings, where="settings", ignore_unknown=True)
    if found["total"] == 0:
        raise RequestError("total is 0, of which nothing is a share")
    _check_places(found["by_layer"], "layer")
    _check_places(found["components"], "layer", "head")
    for row in (*found["components"], *found["by_layer"]):
        kind = row["component"]
        if (row["layer"] is None) != (kind == "embedding"):
            raise RequestError(f"a component {kind} has no such layer")
        if "head" in row and (row["head"] is None) == (kind == "head"):
            raise RequestError(f"a component {kind} has no such head")
    heads = (row for row in found["components"] if row["head"] is not None)
    named = [(row["layer"], row["head"]) for row in heads]
    if len(set(named)) < len(named):
        raise RequestError("found.components has a head twice")
    prompts = found["by_prompt"]
    parts = prompts["contributions"]
    columns = (prompts["emotion"], prompts["prompt"], prompts["projection"], *parts.values())
    if len(set(map(len, columns))) > 1:
        raise RequestError("found.by_prompt has columns of several lengths")
    if max(len(set(prompts["emotion"])), len(parts)) > MOST_CLASSES:
        raise RequestError("found.by_prompt has more classes or components than are drawn")


def _check_places(rows: Iterable[Mapping[str, Any]], *names: str) -> None:
    for place in (row[name] for row in rows for name in names):
        if place is not None and not 0 <= place < _MOST_PARTS:
            raise RequestError(f"found names layer or head {place}, which no model has")


def _check_lens(found: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    sides = [row["side"] for row in found["tokens"]]
    if not ("raised" in sides and "lowered" in sides) or len(sides) > _MOST_PARTS:
        raise RequestError("tokens are not those of both ends, or more than are drawn")


def _check_project(found: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    for row in found["tokens"]:
        decode(_TOKEN, row, where="found.tokens", ignore_unknown=True)


def _check_steer(found: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    settings = found["settings"]
    _check_own("steer", settings)
    if not all(settings[name] for name in ("emotions", "layers", "control_doses")):
        raise RequestError("found.settings names no emotion, no layer or no control dose")
    _check_places(found["effects"], "layer")
    for row in found["effects"]:
        if row["emotion"] not in settings["emotions"] or row["layer"] not in settings["layers"]:
            raise RequestError("found.effects has an emotion or a layer that was not asked for")


def _check_ablate(found: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    _check_own("ablate", found["settings"])


_TOKEN = _of("token", side=_End, token=str)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Fields of a result, of what it holds (one thing, or rows), and a check of all of them."""

    whole: type
    parts: Mapping[str, type]
    check: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda _found, _rests_on: None


_FORMS: Mapping[str, _Form] = {
    "heads": _Form(
        whole=_of(
            "heads",
            **_DIRECTION,
            **_all(int, "n_prompts", "n_permutations"),
            **_all(float, "gap", "total"),
        ),
        parts={
            "target": _Place,
            "components": _of(
                "component",
                **_PLACED,
                **_all(int | None, "head", "kv_group"),
                **_all(float, "contrast", "p"),
                chance=Number,
            ),
            "by_layer": _of("by_layer", **_PLACED, sum=float),
            "by_prompt": _of(
                "by_prompt",
                **_all(_Texts, "emotion", "prompt"),
                projection=tuple[float, ...],
                contributions=Mapping[str, tuple[float, ...]],
            ),
        },
        check=_check_heads,
    ),
    "lens": _Form(
        whole=_of("lens", **_DIRECTION, **_all(float, "p_raised", "p_lowered"), n_random=int),
        parts={
            "target": _Place,
            "above_random": _of("above_random", **_all(bool, "raised", "lowered")),
            "tokens": _of(
                "token",
                **_all(int, "rank", "token_id"),
                **_all(float, "logit", "random_95"),
                side=Literal["raised", "lowered"],
                token=str,
            ),
        },
        check=_check_lens,
    ),
    "project": _Form(
        whole=_of(
            "project",
            **_DIRECTION,
            **_all(int, "n_passages", "n_tokens", "n_cut"),
            tokens=tuple[Mapping[str, Any], ...],
        ),
        parts={"target": _Place, "passages": _of("passage", side=_End, passage=str)},
        check=_check_project,
    ),
    "attention": _Form(
        whole=_of(
            "attention",
            {"sha256": str | None},
            **_NAMED,
            **_all(int, "n_prompts", "n_layers", "n_heads", "size"),
            emotion=str,
            form=Literal["triangles", "reduced"],
            names=_Texts,
        ),
        parts={
            "heads": _of(
                "head",
                **_all(int, "layer", "head"),
                **_all(Number, "entropy", "first_mass", "previous_mass"),
            )
        },
    ),
    "steer": _Form(
        whole=_of(
            "steer",
            {"neutral_prefixes": _Texts, "n_splits": int},
            **_SPLIT,
            prefixes=Mapping[str, str],
        ),
        parts={
            "settings": SteerSettings,
            "effects": _of(
                "effect",
                _all(Number, *ADDED_TO_EFFECTS),
                **_all(str, "emotion", "verdict", "specific"),
                **_all(int, "layer", "n_random", "n_shuffled"),
                **_all(Number, "own", "others", "neutral", "delta", "prompt_only", "p"),
                **_all(Number, "random_95", "shuffled_95", "random_low", "random_high"),
                dose=float,
                by_class=Mapping[str, Number],
            ),
        },
        check=_check_steer,
    ),
    "ablate": _Form(
        whole=_of("ablate", {"words": _Texts}, **_SPLIT, contrast=float),
        parts={
            "settings": AblateSettings,
            "ablations": _of(
                "ablation",
                {"layers": str, **_all(Number, "log_prob_neutral", "log_odds", "log_odds_neutral")},
                **_INTERVAL,
                **_all(float, "total", "direct", "repair"),
                part=Literal[PART_KINDS],
                layer=int,
                heads=str,
                tied=bool,
            ),
        },
        check=_check_ablate,
    ),
}
"""By kind of result."""

_SINGLE = ("target", "settings", "above_random", "by_prompt")
"""Parts that are one thing; others have rows."""


def check_form(kind: str, found: Any, rests_on: Mapping[str, Any]) -> None:
    """Check that a result has what is read of its kind; fields that are not read may differ.

    Raises:
        RequestError: A field is missing or of another type, a table has no or too many rows, or
            rows that are none of the result; says which.
    """
    if kind not in _FORMS:
        return
    form = _FORMS[kind]
    decode(form.whole, found, where="found", ignore_unknown=True)
    for name, part in form.parts.items():
        rows = [found.get(name)] if name in _SINGLE else found.get(name)
        if not isinstance(rows, list | tuple) or not rows:
            raise RequestError(f"found.{name} has no rows")
        if len(rows) > MOST_ROWS:
            raise RequestError(
                f"found.{name} has {len(rows):,} rows; a result has at most {MOST_ROWS:,}"
            )
        for row in rows:
            decode(part, row, where=f"found.{name}", ignore_unknown=True)
    form.check(found, rests_on)
