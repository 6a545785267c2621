"""Request for ablations: its checks, its cost, its run, its result in words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.chosen import CauseRequest
from emoact.causes.contributions import check_layer
from emoact.causes.prepared import Kind, multiplied, result_of, time_of_passes
from emoact.causes.saved import SavedCause, largest_first
from emoact.causes.settings import AblateSettings
from emoact.causes.steer import SITE
from emoact.models.alike import ModelRequest, installed_source
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

BREAKING = 0.5
"""Loss of neutral sentences, in nats a token, from which the model is broken without a part."""


@dataclass(frozen=True, kw_only=True)
class AblateRequest(CauseRequest):
    """A request from the command line or a page."""

    settings: AblateSettings

    @property
    def labels(self) -> tuple[str, str]:
        """The emotion, and the class that its direction is measured from."""
        return self.settings.emotion, self.settings.neutral


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
    return table_of(result_of(ABLATE.prepare(request)))


def _check(
    request: AblateRequest, units: Sequence[Unit]
) -> tuple[AblateRequest, ModelRequest, str]:
    for unit in units:
        # Refuses a file that does not hold it, or keeps pooled vectors only.
        unit.site(SITE)
    check_layer(request.settings.layer, units[0].n_layers)
    model = request.raw_model_of(units, SITE)
    return request, model, _cost(units, request.settings, model)


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


ABLATE = Kind(
    name="ablate",
    version=2,
    request=AblateRequest,
    check=_check,
    table=table_of,
    sentences=sentences_of,
)
"""Version 2: intervals have the width that few scenarios need."""
