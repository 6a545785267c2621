"""Planted data of `compare_versions.py`, what a version says of them, and rows between models."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoact.stats import features
from emoact.stats.comparable import Configuration
from emoact.stats.features import PromptInfo, UnitFeatures
from emoact.stats.full import analyse_grid
from emoact.stats.settings import AnalysisSettings

SITE = "resid_pre"
QUICK = AnalysisSettings(
    sites=(SITE,),
    n_permutations=1000,
    n_bootstrap=20,
    n_splits=4,
    n_shuffles=1,
    probes=("mass_mean",),
)
PROBED = dataclasses.replace(
    QUICK, n_bootstrap=200, n_pairings=9, n_rotations=1, probes=("logistic",)
)
HAS_CONTROLS = "controls" in {field.name for field in dataclasses.fields(UnitFeatures)}

N, LAYERS, WIDTH = 40, 4, 24
"""Scenarios, layers and width of data with words and controls."""


def noise(seed: Sequence[int], n: int, *, layers: int = 1, width: int = 40) -> np.ndarray:
    """Normal vectors of one layer or more."""
    return np.random.default_rng(seed).normal(size=(n, layers, width))


def unit(
    model: str,
    emotion: str,
    x: np.ndarray,
    *,
    name: str = "",
    scenarios: bool = True,
    subsets: Sequence[str | None] = (None,),
    texts: Sequence[str] = (),
    lengths: Sequence[int] = (),
    **controls: Any,
) -> UnitFeatures:
    """Prompts of one emotion of a model."""
    return UnitFeatures(
        model=model,
        emotion=emotion,
        prompts=tuple(
            PromptInfo(
                id=f"{name or emotion}-{row}",
                scenario_id=f"s{row}" if scenarios else None,
                subset=subsets[row % len(subsets)],
                text=texts[row] if texts else "the same words",
                n_tokens=lengths[row] if lengths else 8,
            )
            for row in range(len(x))
        ),
        sites={SITE: x.astype(np.float32)},
        configuration=Configuration(
            model=model,
            processing="raw",
            bos="prepend",
            dtype="float32",
            dataset="planted",
            pooling="mean_content",
        ),
        **controls,
    )


def analyse(units: Iterable[UnitFeatures], settings: AnalysisSettings = QUICK) -> Any:
    """What this version makes of the prompts."""
    return analyse_grid(list(units), settings, workers=1)


def classes_of(classes: dict[str, np.ndarray], *, scenarios: bool = True) -> list[UnitFeatures]:
    """Prompts of one model from the vectors of each class."""
    return [
        unit("m", emotion, x, name=str(place), scenarios=scenarios, texts=[""] * len(x))
        for place, (emotion, x) in enumerate(classes.items())
    ]


def probed(
    x: np.ndarray,
    controls: Sequence[np.ndarray] = (),
    *,
    texts: Sequence[str] = (),
    lengths: Sequence[int] = (),
    emotions: Sequence[str] = ("anger", "neutral"),
) -> Any:
    """Analysis with the logistic probe, with controls where the version has them."""
    units = []
    for place, emotion in enumerate(emotions):
        rows, more = slice(place * N, (place + 1) * N), dict[str, Any]()
        if HAS_CONTROLS and controls:
            lone, *shuffled = ({SITE: each[rows].astype(np.float32)} for each in controls)
            more["controls"] = features.Controls(contextless=lone, shuffled=tuple(shuffled))
        units.append(unit("m", emotion, x[rows], texts=texts[rows], lengths=lengths[rows], **more))
    return analyse(units, PROBED)


def headline(result: Any) -> Any:
    """First row of the table `headline`."""
    return result.tables["headline"].iloc[0]


def points(values: Sequence[float]) -> str:
    """Numbers from the least to the largest."""
    ends = [f"{each:.2g}" if abs(each) < 0.1 else f"{each:.2f}" for each in sorted(values)]
    return ends[0] if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}"


def verdicts(found: Sequence[str]) -> str:
    """How often each verdict was said."""
    counts = collections.Counter(found).most_common()
    return ", ".join(f"`{name}` in {count} of {len(found)}" for name, count in counts)


_PROMPTS, _LABELS = 24, ("gratitude", "anger", "apology", "neutral")
_LABEL_OF = np.repeat(np.arange(4), _PROMPTS)
_SHAPE = 1.2 * np.array([[0.0, 0.0], [3.0, 0.0], [3.5, 1.5], [0.0, 4.0]])


def _across(first: np.ndarray, second: np.ndarray) -> str:
    """The headline between two models with the last layer as given and noise before it."""
    units = []
    for model, x in (("a", first), ("b", second)):
        layers = np.stack([noise([len(model)], len(x), width=x.shape[1])[:, 0], x], axis=1)
        units += [
            unit(
                model,
                emotion,
                layers[place == _LABEL_OF],
                subsets=("implicit", "explicit"),
                texts=[f"text {place} {row}" for row in range(_PROMPTS)],
                lengths=[5 + row % 3 for row in range(_PROMPTS)],
            )
            for place, emotion in enumerate(_LABELS)
        ]
    settings = dataclasses.replace(QUICK, n_pairings=99, n_rotations=4)
    table = analyse(units, settings).tables["across"]
    table = table[table.layer_a == 1]
    name, p = "emotion_geometry", "emotion_geometry_p_max"
    if not HAS_CONTROLS:
        # Where the corrected correlation is blank, the raw one was the headline.
        blank = table.score_corr.isna().all()
        name, p = f"score_corr{'_raw' if blank else ''}", "score_corr_p"
    rows = table[table[name].notna()].astype({name: float, p: float})
    if rows.empty:
        return f"`{name}` blank"
    return f"`{name}` {points(rows[name].tolist())}, p {points(rows[p].tolist())}"


def _embedded(rng: np.random.Generator, x: np.ndarray, width: int) -> np.ndarray:
    return np.asarray(x @ np.linalg.qr(rng.normal(size=(width, x.shape[1])))[0].T)


def shared_prompts(_: Path) -> str:
    """Two models share prompts and no emotion."""
    rng = np.random.default_rng([3, 0])
    scenario = np.tile(np.arange(_PROMPTS), 4)
    about = 2 * rng.normal(size=(_PROMPTS, 4))[scenario] + rng.normal(size=(len(scenario), 4))
    first, second = (
        _embedded(rng, about, width) + 0.5 * rng.normal(size=(len(about), width))
        for width in (20, 28)
    )
    return _across(first, second)


def shared_geometry(_: Path) -> str:
    """Two models share the geometry of emotions alone."""
    rng = np.random.default_rng(8)
    first, second = (
        _embedded(rng, _SHAPE[_LABEL_OF], width) + rng.normal(size=(len(_LABEL_OF), width))
        for width in (20, 28)
    )
    return _across(first, second)


def copies(_: Path) -> str:
    """Identical copies of a weak emotion, and of a stronger one."""
    said = []
    for size in (0.2, 0.6):
        rng = np.random.default_rng([11, int(10 * size)])
        x = _embedded(rng, size * _SHAPE[_LABEL_OF], 20) + rng.normal(size=(len(_LABEL_OF), 20))
        said.append(_across(x, x))
    return "; ".join(said)
