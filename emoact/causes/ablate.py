"""Request for ablations: its checks, its cost, its run, its result in words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from emoact import numbers
from emoact.causes.chosen import CauseRequest, cause_words, check_raw, named_by, units_of
from emoact.causes.contributions import check_layer
from emoact.causes.prepared import Prepared, multiplied, prepared, result_of, time_of_passes
from emoact.causes.saved import SavedCause, largest_first
from emoact.causes.steer import SITE
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.models.alike import ModelRequest, installed_source
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

KIND = "ablate"
METHOD_VERSION = 2
"""Raised when a figure changes. 2: intervals have the width that few scenarios need."""

BREAKING = 0.5
"""Loss of neutral sentences, in nats a token, from which the model is broken without a part."""

PartKind = Literal["direction", "directions", "layer", "mlp", "head", "group"]
PART_KINDS: tuple[PartKind, ...] = get_args(PartKind)
By = Literal["zero", "mean", "resample"]
BYS: tuple[By, ...] = get_args(By)


@dataclass(frozen=True, kw_only=True)
class AblateSettings:
    """Settings of ablations; all of them are saved with the result.

    Attributes:
        emotion: Class whose direction is read out.
        layer: Layer at whose input it is read out.
        parts: Kinds of part that are ablated one by one; `directions` takes the direction out at
            all layers at once.
        at: Layers of the parts; empty for all before `layer`.
        by: What stands in place of a part: nothing, the mean over the neutral training prompts, or
            the mean over the neutral prompt of the same scenario.
        neutral: Class that the direction is measured from.
        train_share: Share of the scenarios that the direction comes from.
        n_sentences: Most test scenarios that are read out; None for all.
        n_bootstrap: Draws of scenarios for the intervals.
        seed: Of the split and of the draws.
        words: Class words, whose log-odds as the next token are read out; empty for the label.
    """

    emotion: str
    layer: int
    parts: tuple[PartKind, ...] = ("direction", "layer", "mlp", "head")
    at: tuple[int, ...] = ()
    by: By = "mean"
    neutral: str = "neutral"
    train_share: float = 0.6
    n_sentences: int | None = None
    n_bootstrap: int = 1000
    seed: int = 0
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.emotion == self.neutral:
            raise RequestError(f"{self.emotion!r} cannot be contrasted with itself")
        unknown = [part for part in self.parts if part not in PART_KINDS]
        if unknown or not self.parts or self.by not in BYS:
            raise RequestError(
                f"parts are {', '.join(PART_KINDS)} and what stands in their place is one of "
                f"{', '.join(BYS)}; found {', '.join(self.parts)} and {self.by}"
            )
        if self.layer < 1:
            raise RequestError("no part comes before layer 0; read out at layer 1 or above")
        for layer in self.at:
            if not 0 <= layer < self.layer:
                raise RequestError(f"layer {layer} does not come before layer {self.layer}")
        if self.seed < 0 or self.n_bootstrap < 1 or (self.n_sentences or 1) < 1:
            raise RequestError("seed is at least 0; draws and sentences are at least 1")
        if not all(word.strip() for word in self.words):
            raise RequestError("a class word is empty", remedy="Leave out --word for the label.")

    @property
    def class_words(self) -> tuple[str, ...]:
        """Words whose log-odds are read out."""
        return self.words or (self.emotion,)


@dataclass(frozen=True, kw_only=True)
class AblateRequest(CauseRequest):
    """A request from the command line or a page."""

    settings: AblateSettings


@dataclass(frozen=True, kw_only=True)
class AblateWork:
    """Task of a run. `units`: file names of the emotion and of neutral."""

    folder: str
    units: tuple[str, str]
    settings: AblateSettings

    def rests_on(self, units: Sequence[Unit]) -> dict[str, Any]:
        """Basis of the result, which names it."""
        return named_by(METHOD_VERSION, units, settings=self.settings)


def prepare_ablate(request: AblateRequest) -> Prepared:
    """Check a request; writes nothing and loads no model.

    Raises:
        RequestError: A name is unknown, a layer is out of range, the files hold no `resid_pre` or
            do not say how they were made, or their model is not installed.
    """
    settings = request.settings
    units = units_of(request.root, request.model, (settings.emotion, settings.neutral))
    for unit in units:
        # Refuses a file that does not hold it, or keeps pooled vectors only.
        unit.site(SITE)
    check_layer(settings.layer, units[0].n_layers)
    model = request.model_of(units, SITE)
    check_raw(model, units[0].folder)
    work = AblateWork(
        folder=units[0].folder,
        units=(units[0].path.name, units[1].path.name),
        settings=settings,
    )
    return prepared(
        KIND,
        request,
        units,
        model,
        work=work,
        words=ablate_words(request.results, request.model, encode(settings)),
        cost=_cost(units, settings, model),
    )


def ablate_words(
    results: str | os.PathLike[str], model: str | None, settings: Mapping[str, Any]
) -> list[str]:
    """Words of the shell command of encoded settings."""
    words = cause_words("ablate", results, model)
    words += ["--emotion", settings["emotion"], "--layer", str(settings["layer"])]
    words += [f"--part={part}" for part in settings["parts"]]
    words += [f"--at={layer}" for layer in settings["at"]]
    words += ["--by", settings["by"], "--neutral", settings["neutral"]]
    if settings["n_sentences"] is not None:
        words += ["--sentences", str(settings["n_sentences"])]
    words += [f"--word={word}" for word in settings.get("words", ())]
    return [*words, "--seed", str(settings["seed"])]


def ablate(
    model: str | None = None,
    emotion: str = "",
    layer: int = 1,
    *,
    results: str | os.PathLike[str] = "results",
    **settings: Any,
) -> pd.DataFrame:
    """Effects of taking parts of a model out, one row for each part, the largest first.

    A model host computes what is not saved.

    Args:
        model: A folder under `activations`, or the name it was extracted by.
        emotion: Class whose direction is read out.
        layer: Layer at whose input it is read out.
        results: The results folder.
        settings: Further fields of `AblateSettings`: `parts=("mlp",)`, or `words=("sorry",)` for
            the log-odds of a next token.

    Raises:
        RequestError: The request is wrong; nothing was started.
        CancelledError: The run was cancelled.
        EmoactError: The run failed; says why.
    """
    asked = AblateSettings(emotion=emotion, layer=layer, **settings)
    request = AblateRequest(results=results, model=model, settings=asked)
    return table_of(result_of(prepare_ablate(request)))


def _cost(units: Sequence[Unit], settings: AblateSettings, model: ModelRequest) -> str:
    layers = settings.at or tuple(range(settings.layer))
    shape = installed_source(model).shape if "head" in settings.parts else None
    n_heads = 0 if shape is None else shape.n_heads
    joint = "directions" in settings.parts
    of_layer = len(set(settings.parts) - {"head", "directions"}) + n_heads
    share = 1 - settings.train_share
    n_tokens = sum(sum(unit.lengths) for unit in units) * share
    if settings.n_sentences is not None:
        n_texts = sum(unit.n_samples for unit in units) * share
        n_tokens *= min(1.0, 2 * settings.n_sentences / max(n_texts, 1))
    # The passes without an ablation come on top.
    work = sum((of_layer + 1) * n_tokens * multiplied(units[0], layer) for layer in layers)
    work += 2 * joint * n_tokens * multiplied(units[0], min(layers))
    return (
        f"About {len(layers) * of_layer + joint:,} ablations with {round(n_tokens):,} tokens each"
        f"{time_of_passes(work, model)}."
    )


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Its ablations, the largest effects first."""
    import pandas as pd

    table = pd.DataFrame(saved.found["ablations"]).astype({"low": float, "high": float})
    return largest_first(table, "total")


def sentences_of(saved: SavedCause) -> list[str]:
    """Answer of a result in sentences, each with its figures."""
    found, rows = saved.found, table_of(saved).to_dict("records")
    settings, contrast = found["settings"], found["contrast"]
    said = [
        f"Held-out {settings['emotion']} and {settings['neutral']} sentences are "
        f"{numbers.significant(contrast)} model units apart along the direction of "
        f"{settings['emotion']} at layer {settings['layer']}."
    ]
    shown, broken = shown_of(saved).to_dict("records"), broken_of(saved).to_dict("records")
    asked = (
        f"whose interval (95 %, {numbers.plural(len(found['test_scenarios']), 'test scenario')}, "
        f"not corrected for {numbers.plural(len(rows), 'part')}) excludes 0"
    )
    if shown:
        named = "; ".join(map(_change, shown[:3]))
        said.append(f"Largest changes by ablation ({settings['by']}) {asked}: {named}.")
    else:
        said.append(f"No part is shown to change it by ablation ({settings['by']}): none {asked}.")
    if broken:
        named = ", ".join(f"{name_of(row)} ({_cost_of(row)})" for row in broken[:3])
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        said.append(
            f"Left out of these, as neutral sentences lose more than {BREAKING:g} nats a token "
            f"without them: {named}{more}. The model is broken then, and any read-out changes."
        )
    odds = odds_of(saved)
    if odds is not None:
        said.append(
            f"The log-odds of {odds['words']} as the next token change most without "
            f"{odds['part']}: {odds['odds']} after sentences of {settings['emotion']} and "
            f"{odds['odds_neutral']} after {settings['neutral']} ones."
        )
    n_tied = sum(bool(row["tied"]) for row in rows)
    if n_tied:
        said.append(
            f"{n_tied} of {len(rows)} ablations have exactly the same effect as another one; such "
            "ties usually mean that they change nothing, or that one value decided all."
        )
    return said + saved.cautions


def shown_of(saved: SavedCause) -> pd.DataFrame:
    """Parts that change the read-out and leave the model as it is, the largest effects first.

    Their interval excludes 0, and neutral sentences lose no more than `BREAKING` without them.
    """
    table = sound_of(saved)
    ends = table[["low", "high"]].astype(float)
    return table[ends["low"] * ends["high"] > 0]


def sound_of(saved: SavedCause) -> pd.DataFrame:
    """Parts without which the model is not broken, the largest effects first."""
    table = table_of(saved)
    return table[~_breaks(table)]


def broken_of(saved: SavedCause) -> pd.DataFrame:
    """Parts without which neutral sentences lose more than `BREAKING`, the worst first."""
    table = table_of(saved)
    return table[_breaks(table)].sort_values("log_prob_neutral", kind="stable")


def _breaks(table: pd.DataFrame) -> pd.Series:
    lost = table.reindex(columns=["log_prob_neutral"]).astype(float)["log_prob_neutral"]
    return lost < -BREAKING


def change_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Name of a part, its effect with interval, what of it is direct, and its cost, as text."""
    said = {name: numbers.signed(row[name], ".3g") for name in ("total", "low", "high", "direct")}
    return {"part": name_of(row), **said, "cost": _cost_of(row)}


def _change(row: Mapping[str, Any]) -> str:
    return (
        "{part} {total} [{low}, {high}], of which {direct} is direct (neutral sentences {cost} "
        "nats a token)"
    ).format_map(change_of(row))


def _cost_of(row: Mapping[str, Any]) -> str:
    return numbers.signed(row.get("log_prob_neutral"), ".2g")


def odds_of(saved: SavedCause) -> dict[str, str] | None:
    """Class words, the part that changes their log-odds most, and by how much.

    Parts without which the model is broken are left out. None where the values were not finite, or
    not read out, as in results of earlier versions.
    """
    found, table = saved.found, sound_of(saved)
    odds = table.reindex(columns=["log_odds", "log_odds_neutral"]).astype(float)
    known = odds.notna().all(axis=1)
    if not known.any():
        return None
    at = odds["log_odds"].abs().where(known).idxmax()
    asked = found.get("words") or [found["settings"]["emotion"]]
    return {
        "words": ", ".join(map(repr, asked)),
        "part": name_of(table.loc[at].to_dict()),
        "odds": numbers.signed(odds["log_odds"][at], ".3g"),
        "odds_neutral": numbers.signed(odds["log_odds_neutral"][at], ".3g"),
    }


def name_of(row: Mapping[str, Any]) -> str:
    """Name of a part in a sentence."""
    if row["part"] == "head":
        return f"head {row['layer']}.{row['heads']}"
    if row["part"] == "group":
        return f"heads {row['layer']}.{row['heads']}"
    if row["part"] == "directions":
        n_layers = len(str(row.get("layers", "")).split(", "))
        return f"direction at {numbers.plural(n_layers, 'layer')} together"
    return {"mlp": "MLP", "layer": "layer", "direction": "direction at layer"}[row["part"]] + (
        f" {row['layer']}"
    )
