"""Request for the logit lens of a direction: its checks, and its result in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from emoact import numbers
from emoact.causes.asked import Checked, option
from emoact.causes.chosen import DirectionRequest
from emoact.causes.direction import direction_of
from emoact.causes.prepared import Kind
from emoact.causes.saved import SavedCause
from emoact.data.controls import MOST_DRAWS
from emoact.models.alike import ModelRequest
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
"""Largest chance that a random direction counts as above random, over both ends."""

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class LensSettings(Checked):
    """Settings of a logit lens. `n_tokens`: tokens at each end."""

    neutral: str = option("--neutral", "neutral")
    n_random: int = option("--random", 100, least=20, most=MOST_DRAWS)
    n_tokens: int = option("--top", 10, least=1, most=200)
    seed: int = option("--seed", 0, least=0)


@dataclass(frozen=True, kw_only=True)
class LensRequest(DirectionRequest):
    """A request from the command line or a page."""

    settings: LensSettings = field(default_factory=LensSettings)


def _check(request: LensRequest, units: Sequence[Unit]) -> tuple[LensRequest, ModelRequest, str]:
    direction_of(units[0], units[1], request.target)
    model = request.raw_model_of(units, request.target.site)
    n = numbers.plural(request.settings.n_random, "random direction")
    cost = f"One product of the direction and {n} with the unembedding; no prompt is read again."
    return request, model, cost


@dataclass(frozen=True, eq=False)
class Ends:
    """Largest and smallest logits of some directions, each less its mean over the vocabulary."""

    raised: Float[np.ndarray, "direction rank"]
    lowered: Float[np.ndarray, "direction rank"]
    raised_ids: Int[np.ndarray, "direction rank"]
    lowered_ids: Int[np.ndarray, "direction rank"]


def found_of(ends: Ends, strings: Mapping[int, str]) -> dict[str, Any]:
    """Tokens of the direction, beside the logits of the same rank in random directions.

    `ends` are those of the direction first, then those of the random ones.

    Returns:
        `tokens`: rows of `side`, `rank`, `token`, `token_id`, `logit`, `random_95`. `p_raised` and
        `p_lowered`: the share of directions, the own one included, whose first logit is at least as
        far out. `above_random`: both ends against half of `ALPHA`.
    """
    rows, share = [], {}
    for side, values, ids, sign in (
        ("raised", ends.raised, ends.raised_ids, 1.0),
        ("lowered", ends.lowered, ends.lowered_ids, -1.0),
    ):
        outward = sign * values
        share[side] = float(np.mean(outward[:, 0] >= outward[0, 0]))
        limit = sign * np.quantile(outward[1:].astype(np.float64), 0.95, axis=0)
        rows += [
            {
                "side": side,
                "rank": rank + 1,
                "token": strings[int(ids[0, rank])],
                "token_id": int(ids[0, rank]),
                "logit": float(values[0, rank]),
                "random_95": float(limit[rank]),
            }
            for rank in range(values.shape[1])
        ]
    return {
        "tokens": rows,
        "p_raised": share["raised"],
        "p_lowered": share["lowered"],
        "above_random": {side: p <= ALPHA / 2 for side, p in share.items()},
    }


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Its tokens: those that the direction raises most, then those that it lowers most."""
    import pandas as pd

    return pd.DataFrame(saved.found["tokens"])


def sentences_of(saved: SavedCause) -> list[str]:
    """Answer of a result in sentences, each with its figures."""
    found = saved.found
    target, said = found["target"], []
    place = f"{target['site']}, layer {target['layer']}, {target['pooling']}"
    for side in ("raised", "lowered"):
        rows = [row for row in found["tokens"] if row["side"] == side]
        named = numbers.listed([repr(row["token"]) for row in rows[:_NAMED]])
        first, p = rows[0], numbers.significant(found[f"p_{side}"], 2)
        verdict = "above random" if found["above_random"][side] else "not above random"
        verb = "raises" if side == "raised" else "lowers"
        said.append(
            f"Through the final norm and the unembedding, the direction of {found['emotion']} "
            f"({place}) {verb} {named} most: {verdict} (logit of the first "
            f"{numbers.signed(first['logit'], '.3g')}, 95 % of {found['n_random']} random "
            "directions with the covariance of neutral prompts end at "
            f"{numbers.signed(first['random_95'], '.3g')}, p = {p})."
        )
    return said + saved.cautions


LENS = Kind(
    name="lens",
    version=1,
    request=LensRequest,
    check=_check,
    table=table_of,
    sentences=sentences_of,
)
