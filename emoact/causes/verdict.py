"""Verdicts on changes: beside controls, corrected over everything that is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

Verdict = Literal["causal", "nothing", "not tested", "not finite"]
_DIFFERENCES = ("specificity", "specificity_directions")
"""Own minus other sentences, and own minus the directions of the other emotions."""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """One effect among those that are compared.

    Attributes:
        p: Corrected over all of them; NaN where the effect or a control is not finite.
        bound: The 95th percentile of its own controls, not corrected; on the side of the dose's
            sign.
    """

    p: float
    bound: float


def largest_of_all(
    effects: Float[np.ndarray, " cell"],
    controls: Float[np.ndarray, "cell draw"],
    signs: Float[np.ndarray, " cell"],
) -> list[Tested]:
    """Tests of effects against controls, by the largest over all cells.

    Each cell is put in units of the scatter of its controls and itself; then the effect is compared
    with the largest over the cells of every draw. The effect counts as one draw more, so that the
    p-value is exact where the direction is one of the controls, and is never below 1 / (draws + 1).
    Draw r of the controls is the same experiment in every cell; `signs` are 1 where a larger effect
    is expected, -1 where a smaller one is.

    Source: Westfall and Young (1993), single-step maxT; Phipson and Smyth (2010) for the + 1.
    """
    if not controls.size:
        return [Tested(p=float("nan"), bound=float("nan"))] * len(effects)
    together = signs[:, None] * np.concatenate([effects[:, None], controls], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scatter = together.std(axis=1, keepdims=True)
        units = np.where(scatter > 0, (together - together.mean(axis=1, keepdims=True)), 0.0)
        units = units / np.where(scatter > 0, scatter, 1.0)
        finite = np.isfinite(together).all(axis=1)
        largest = np.where(finite[:, None], units[:, 1:], -np.inf).max(axis=0)
    n_draws = controls.shape[1]
    return [
        Tested(
            p=float((1 + np.sum(largest >= units[cell, 0] - 1e-12)) / (1 + n_draws))
            if finite[cell]
            else float("nan"),
            bound=float(signs[cell] * np.quantile(together[cell, 1:], 0.95, method="higher"))
            if finite[cell]
            else float("nan"),
        )
        for cell in range(len(effects))
    ]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Changes of the log-probability per token, in nats, in one cell of a sweep.

    Attributes:
        emotion: Class whose direction is added.
        by_class: Change of the sentences of every class.
        other_directions: Change of the emotion's sentences under the other emotions' directions.
        random: Changes of the emotion and of neutral under random directions.
        shuffled: The same under directions of shuffled labels.
        exchanged: The two differences of specificity under directions of exchanged emotions; empty
            where not computed.
        prompt_only: Change of the emotion's sentences behind a sentence that names it.
        prompt_neutral: The same behind neutral sentences, on average.
        intervals: Of `own` and `delta`, over test scenarios.
        splits: `own` under other splits of the scenarios; empty where not computed.
    """

    emotion: str
    layer: int
    dose: float
    by_class: Mapping[str, float]
    other_directions: float
    random: Float64[np.ndarray, "random_draw 2"]
    shuffled: Float64[np.ndarray, "shuffled_draw 2"]
    exchanged: Float64[np.ndarray, "exchanged_draw 2"]
    prompt_only: float
    prompt_neutral: float
    intervals: Mapping[str, tuple[float, float]]
    splits: Float64[np.ndarray, " split"]

    def own(self) -> float:
        """Change of the sentences of the emotion."""
        return self.by_class[self.emotion]

    def others(self, neutral: str) -> float:
        """Mean change of the sentences of the other emotions; NaN where there are none."""
        found = [v for k, v in self.by_class.items() if k not in (self.emotion, neutral)]
        return float(np.mean(found)) if found else float("nan")

    def differences(self, neutral: str) -> tuple[float, float]:
        """Own minus other sentences, and own minus the other emotions' directions."""
        return self.own() - self.others(neutral), self.own() - self.other_directions


def effects_of(
    cells: Sequence[Cell], *, neutral: str, control_doses: Sequence[float], alpha: float
) -> list[dict[str, object]]:
    """One row for each cell, with its controls and its verdict.

    An effect is called causal where the change has the sign of the dose, and both the change of
    the emotion's sentences and its difference to neutral are beyond the random and the shuffled
    controls, corrected over all cells with controls, and where the intervals of both over test
    scenarios exclude 0. It is called specific where in addition it
    raises its own sentences above those of the other emotions, and above what the directions of the
    other emotions do, both beyond directions of exchanged emotions, and where no other emotion's
    sentences are raised as much.
    """
    tested = [cell for cell in cells if cell.dose in control_doses]
    signs = np.array([np.sign(cell.dose) for cell in tested])
    own = np.array([cell.own() for cell in tested])
    delta = own - np.array([cell.by_class[neutral] for cell in tested])
    results: dict[str, list[Tested]] = {}
    for name in ("random", "shuffled") if tested else ():
        drawn = np.array([getattr(cell, name) for cell in tested])
        results[name] = largest_of_all(own, drawn[..., 0], signs)
        results[f"delta_{name}"] = largest_of_all(delta, drawn[..., 0] - drawn[..., 1], signs)
    place = {(cell.emotion, cell.layer, cell.dose): at for at, cell in enumerate(tested)}
    rows = [
        _row(cell, neutral, {k: v[place[key]] for k, v in results.items()} if key in place else {})
        for cell in cells
        for key in [(cell.emotion, cell.layer, cell.dose)]
    ]
    for row in rows:
        row["verdict"] = _verdict(row, alpha, tested=row["dose"] in control_doses)
    _specific(rows, cells, neutral, alpha)
    return rows


def _row(cell: Cell, neutral: str, tested: Mapping[str, Tested]) -> dict[str, object]:
    own, of_neutral = cell.own(), cell.by_class[neutral]
    nothing = Tested(p=float("nan"), bound=float("nan"))
    found = {
        name: tested.get(name, nothing)
        for name in ("random", "shuffled", "delta_random", "delta_shuffled")
    }
    drawn = cell.random[:, 0]
    return {
        "emotion": cell.emotion,
        "layer": cell.layer,
        "dose": cell.dose,
        "own": own,
        "others": cell.others(neutral),
        "neutral": of_neutral,
        "delta": own - of_neutral,
        **{
            f"{name}_{end}": value
            for name, interval in cell.intervals.items()
            for end, value in zip(("low", "high"), interval, strict=True)
        },
        "own_splits_low": float(cell.splits.min()) if cell.splits.size else float("nan"),
        "own_splits_high": float(cell.splits.max()) if cell.splits.size else float("nan"),
        "other_directions": cell.other_directions,
        "prompt_only": cell.prompt_only,
        "prompt_neutral": cell.prompt_neutral,
        "random_95": found["random"].bound,
        "shuffled_95": found["shuffled"].bound,
        "delta_random_95": found["delta_random"].bound,
        "delta_shuffled_95": found["delta_shuffled"].bound,
        "random_low": float(drawn.min()) if drawn.size else float("nan"),
        "random_high": float(drawn.max()) if drawn.size else float("nan"),
        "n_random": len(cell.random),
        "n_shuffled": len(cell.shuffled),
        "p": float(np.max([each.p for each in found.values()])),
        **dict(zip(_DIFFERENCES, cell.differences(neutral), strict=True)),
        **{f"{name}_95": float("nan") for name in _DIFFERENCES},
        "specificity_p": float("nan"),
        "by_class": dict(cell.by_class),
    }


def _verdict(row: Mapping[str, object], alpha: float, *, tested: bool) -> Verdict:
    own, p, dose = (float(str(row[name])) for name in ("own", "p", "dose"))
    # A control or neutral may be infinite where the effect is not.
    if not np.isfinite(own) or (tested and not np.isfinite(p)):
        return "not finite"
    if not tested:
        return "not tested"
    within = [
        float(str(row[f"{name}_low"])) <= 0 <= float(str(row[f"{name}_high"]))
        for name in ("own", "delta")
        if f"{name}_low" in row
    ]
    return "causal" if p <= alpha and own * dose > 0 and not any(within) else "nothing"


def _specific(
    rows: list[dict[str, object]], cells: Sequence[Cell], neutral: str, alpha: float
) -> None:
    """Fill in the columns about specificity, corrected over the cells that have its controls."""
    places = [at for at, cell in enumerate(cells) if cell.exchanged.size]
    for row in rows:
        row["specific"] = "not tested"
    if not places:
        return
    chosen = [cells[at] for at in places]
    signs = np.array([np.sign(cell.dose) for cell in chosen])
    effects = np.array([cell.differences(neutral) for cell in chosen])
    drawn = np.array([cell.exchanged for cell in chosen])
    both = [largest_of_all(effects[:, at], drawn[..., at], signs) for at in (0, 1)]
    for at, found in zip(places, zip(*both, strict=True), strict=True):
        row, cell = rows[at], cells[at]
        row |= {f"{name}_95": one.bound for name, one in zip(_DIFFERENCES, found, strict=True)}
        p = row["specificity_p"] = float(np.max([one.p for one in found]))
        if np.isfinite(p):
            changes = {k: v * cell.dose for k, v in cell.by_class.items() if k != neutral}
            most = max(changes, key=changes.__getitem__) == cell.emotion
            row["specific"] = "specific" if p <= alpha and most else "not specific"
