"""Request for the contributions to one direction: its checks, its run and its result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.chosen import DirectionRequest
from emoact.causes.contributions import ContrastSettings, Target
from emoact.causes.prepared import Kind, multiplied, result_of, time_of_passes
from emoact.causes.saved import SavedCause, largest_first
from emoact.models.alike import ModelRequest
from emoact.positions import Pooling
from emoact.sites import SiteName
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

PROMPT_COLUMNS = ("emotion", "prompt", "projection")
"""Columns of the table by prompt before those of its components."""

ALPHA = 0.05
"""Largest chance of any false alarm over all components of a direction."""

N_LARGEST = 10
"""Components that are drawn with intervals, and whose contribution is kept for every prompt."""


@dataclass(frozen=True, kw_only=True)
class HeadsRequest(DirectionRequest):
    """A request from the command line or a page."""

    settings: ContrastSettings = field(default_factory=ContrastSettings)


def contributions(
    model: str,
    emotion: str,
    layer: int,
    *,
    results: str | os.PathLike[str] = "results",
    site: SiteName = "resid_pre",
    pooling: Pooling = "mean_content",
    **settings: Any,
) -> pd.DataFrame:
    """Contributions to a direction, the largest first; a model host computes what is not saved.

    Args:
        model: A folder under `activations`, or the name it was extracted by.
        emotion: The class that the direction points to.
        layer: Layer of the direction.
        results: The results folder.
        site: Stream of the direction: `resid_pre`, `resid_mid` or `resid_post`.
        pooling: How positions become one vector.
        settings: Fields of `ContrastSettings`, such as `n_permutations=5000`.

    Raises:
        RequestError: The request is wrong; nothing was started.
        CancelledError: The run was cancelled.
        EmoactError: The run failed; says why.
    """
    asked = HeadsRequest(
        results=results,
        model=model,
        emotion=emotion,
        target=Target(site=site, layer=layer, pooling=pooling),
        settings=ContrastSettings(**settings),
    )
    return table_of(result_of(HEADS.prepare(asked)))


def _check(request: HeadsRequest, units: Sequence[Unit]) -> tuple[HeadsRequest, ModelRequest, str]:
    request.target.check(units[0].n_layers)
    model = request.raw_model_of(units, *request.target.sites)
    n_tokens = sum(sum(unit.lengths) for unit in units)
    n_prompts = sum(unit.n_samples for unit in units)
    took = time_of_passes(n_tokens * multiplied(units[0], 0), model)
    return request, model, f"One pass over {n_prompts:,} prompts with {n_tokens:,} tokens{took}."


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Its components, the largest contrasts first."""
    import pandas as pd

    table = pd.DataFrame(saved.found["components"])
    types = dict.fromkeys(("layer", "head", "kv_group"), "Int64")
    types |= dict.fromkeys(("low", "high"), "float64")
    return largest_first(table.astype(types), "contrast")


def layers_of(saved: SavedCause) -> pd.DataFrame:
    """Sums over the heads, the MLP and the bias of each layer: `sum`, with `low` and `high`."""
    import pandas as pd

    return pd.DataFrame(saved.found["by_layer"])


def prompts_of(saved: SavedCause) -> pd.DataFrame:
    """A row for each prompt: `emotion`, `prompt`, `projection`, and the largest components."""
    import pandas as pd

    kept = saved.found["by_prompt"]
    own = {name: row for name, row in kept["contributions"].items() if name not in PROMPT_COLUMNS}
    return pd.DataFrame({**{name: kept[name] for name in PROMPT_COLUMNS}, **own})


def sentences_of(saved: SavedCause) -> list[str]:
    """Answer of a result in sentences, each with its figures."""
    found, table = saved.found, table_of(saved)
    target, total = found["target"], found["total"]
    said = [
        f"The direction of {found['emotion']} ({target['site']}, layer {target['layer']}, "
        f"{target['pooling']}) has the norm {numbers.significant(found['direction_norm'])}: "
        f"{sums_words(saved)}."
    ]
    above, below = clear_of(saved)
    corrected = f"(p ≤ {ALPHA:g}, corrected for all {len(table)} components)"
    less = (
        f" {numbers.plural(len(below), 'component adds', 'components add')} less {corrected}."
        if len(below)
        else ""
    )
    if not len(above):
        said.append(f"No component adds more than relabelled prompts {corrected}.{less}")
        return said + saved.cautions
    named = [
        f"{name_of(row)} ({_share(row['contrast'] / total)}{_interval_words(row, total)})"
        for row in above.head(3).to_dict("records")
    ]
    said.append(
        f"{len(above)} of {len(table)} components add more than relabelled prompts (p ≤ "
        f"{ALPHA:g}, corrected for all components), most of all {numbers.listed(named)}.{less}"
    )
    return said + saved.cautions


def _interval_words(row: Mapping[Any, Any], total: float) -> str:
    """The interval of a component as shares; nothing of one scenario, which has none."""
    if row["low"] is None or row["low"] != row["low"]:
        return ""
    return f", 95 % interval {_share(row['low'] / total)} to {_share(row['high'] / total)}"


def clear_of(saved: SavedCause) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Components that add significantly more than relabelled prompts, and those that add less."""
    table = table_of(saved)
    clear = table[table["p"] <= ALPHA]
    more = clear["contrast"] > clear["chance"].astype(float)
    return clear[more], clear[~more]


def sums_of(saved: SavedCause) -> dict[str, tuple[float, float]]:
    """What all heads, all MLPs and the rest add to the norm, and the same of relabelled prompts.

    Noise alone gives a norm; the second figure says how much of the first one it is.
    """
    table = table_of(saved)
    kinds = table["component"].where(table["component"].isin(["head", "mlp"]), "rest")
    sums = table[["contrast", "chance"]].astype(float).groupby(kinds).sum()
    return {
        kind: (float(sums["contrast"].get(kind, 0.0)), float(sums["chance"].get(kind, 0.0)))
        for kind in ("head", "mlp", "rest")
    }


def sums_words(saved: SavedCause) -> str:
    """`heads add 18.5 (relabelled prompts 6.5), MLPs 99.9 (59.2), embedding and biases …`."""
    # Sums of rounding errors are no contribution.
    least = 1e-5 * saved.found["direction_norm"]
    head, mlp, rest = (
        [numbers.significant(value if abs(value) > least else 0.0) for value in pair]
        for pair in sums_of(saved).values()
    )
    return (
        f"heads add {head[0]} (relabelled prompts {head[1]}), MLPs {mlp[0]} ({mlp[1]}), embedding "
        f"and biases {rest[0]} ({rest[1]})"
    )


def name_of(row: Mapping[str, Any]) -> str:
    """Name of a component in a sentence."""
    if row["component"] == "head":
        return f"head {row['layer']}.{row['head']}"
    if row["component"] == "embedding":
        return "the embedding"
    kind = "MLP" if row["component"] == "mlp" else "bias"
    return f"{kind} {row['layer']}"


def _share(value: float) -> str:
    # Without the sign of a negative number that rounds to 0.
    return f"{round(100 * value, 1) + 0.0:.1f} %"


HEADS = Kind(
    name="heads",
    version=3,
    request=HeadsRequest,
    check=_check,
    table=table_of,
    sentences=sentences_of,
    rests_on={"n_largest": N_LARGEST},
)
"""Version 3: intervals have the width that few scenarios need."""
