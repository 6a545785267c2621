"""Request for steering: its checks, its cost, its run, its result in words."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.chosen import CauseRequest, check_pooling
from emoact.causes.contributions import check_layer
from emoact.causes.prepared import Kind, multiplied, result_of, time_of_passes
from emoact.causes.settings import DOSES, SWEEP_SENTENCES, SteerSettings
from emoact.causes.steer_result import sentences_of, table_of
from emoact.errors import RequestError
from emoact.models.alike import ModelRequest
from emoact.sites import SiteName
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

SITE: SiteName = "resid_pre"
N_LAYERS = 5
"""Layers of a sweep where none is named."""
BAND = 5
"""Random directions at doses without a verdict, for the band of a chart."""
N_SPLITS = 5
"""Other splits of the scenarios, those of the next seeds, of which `own` is measured too."""

_MOST_SHARED = 3
"""Doses of one emotion at one layer that all get controls where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class SteerRequest(CauseRequest):
    """A request from the command line or a page."""

    settings: SteerSettings = field(default_factory=SteerSettings)

    @property
    def about(self) -> tuple[str, ...]:
        """Emotions that are steered."""
        return self.settings.emotions


def _check(request: SteerRequest, units: Sequence[Unit]) -> tuple[SteerRequest, ModelRequest, str]:
    settings = filled(request.settings, units)
    model = request.raw_model_of(units, SITE)
    cost = _cost(units, settings, model)
    return dataclasses.replace(request, settings=settings), model, cost


STEER = Kind(
    name="steer",
    version=4,
    request=SteerRequest,
    check=_check,
    table=table_of,
    sentences=sentences_of,
)
"""Version 4: the intervals of a causal effect exclude 0."""


def steer(
    model: str | None = None,
    emotions: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
    doses: Sequence[float] | None = None,
    *,
    results: str | os.PathLike[str] = "results",
    **settings: Any,
) -> pd.DataFrame:
    """Effects of adding directions, one row for each emotion, layer and dose.

    A model host computes what is not saved.

    Args:
        model: A folder under `activations`, or the name it was extracted by.
        emotions: Classes whose directions are added; None for all.
        layers: None for five over the depth.
        doses: Factors of the difference of the class means; None for seven from -2 to 4.
        results: The results folder.
        settings: Further fields of `SteerSettings`, such as `n_sentences=8`.

    Raises:
        RequestError: The request is wrong; nothing was started.
        CancelledError: The run was cancelled.
        EmoactError: The run failed; says why.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    settings |= {"emotions": tuple(emotions or ()), "layers": tuple(layers or ())}
    settings |= {"doses": tuple(doses)} if doses else {}
    asked = SteerRequest(results=results, model=model, settings=SteerSettings(**settings))
    return table_of(result_of(STEER.prepare(asked)))


def filled(settings: SteerSettings, units: Sequence[Unit]) -> SteerSettings:
    """The settings with every default that depends on the files.

    Raises:
        RequestError: A class, a layer or a site is not there.
    """
    labels, n_layers, neutral = (
        [unit.emotion for unit in units],
        units[0].n_layers,
        settings.neutral,
    )
    emotions = settings.emotions or tuple(each for each in labels if each != neutral)
    for label in (*emotions, neutral):
        if label not in labels:
            raise RequestError(
                f"{units[0].folder} has no class {label!r}; it has {', '.join(labels)}"
            )
    for unit in units:
        # Refuses a file that does not hold it, or keeps pooled vectors only.
        unit.site(SITE)
    check_pooling(settings.pooling, units)
    layers = settings.layers or default_layers(n_layers)
    for layer in layers:
        check_layer(layer, n_layers)
    doses, control_doses = settings.doses or DOSES, settings.control_doses
    n_sentences = settings.n_sentences
    alone = len(emotions) == len(layers) == 1 and len(doses) <= _MOST_SHARED
    if n_sentences is None and not alone:
        n_sentences = SWEEP_SENTENCES
    if not control_doses:
        control_doses = doses if alone else (min(doses, key=lambda dose: (abs(dose - 1), -dose)),)
    return dataclasses.replace(
        settings,
        emotions=emotions,
        layers=layers,
        doses=doses,
        control_doses=control_doses,
        n_sentences=n_sentences,
    )


def default_layers(n_layers: int) -> tuple[int, ...]:
    """Five layers over the depth, or all of a model with fewer."""
    n = min(N_LAYERS, n_layers)
    return tuple(int((place + 0.5) * n_layers / n) for place in range(n))


def n_evaluations(settings: SteerSettings, n_classes: int) -> int:
    """Directions times classes of sentences that one emotion at one layer takes."""
    controls, rest = len(settings.control_doses), len(settings.doses) - len(settings.control_doses)
    own = (1 + len(settings.doses)) * n_classes
    others = len(settings.doses) * (n_classes - 2)
    splits = N_SPLITS * (1 + controls)
    drawn = 2 * controls * (settings.n_random + settings.n_shuffled) + rest * BAND
    return own + others + splits + drawn


def _cost(units: Sequence[Unit], settings: SteerSettings, model: ModelRequest) -> str:
    n_scenarios = len(
        {str(p.get("scenario_id") or p.get("id")) for unit in units for p in unit.prompts or ()}
    )
    n_test = n_scenarios - round(settings.train_share * n_scenarios)
    n_test = min(n_test, settings.n_sentences or n_test)
    mean = sum(sum(unit.lengths) for unit in units) / max(1, sum(unit.n_samples for unit in units))
    # The last token of a text is never an input.
    n_tokens = n_evaluations(settings, len(units)) * n_test * (mean - 1) * len(settings.emotions)
    work = sum(n_tokens * multiplied(units[0], layer) for layer in settings.layers)
    n_cells = len(settings.emotions) * len(settings.layers)
    return (
        f"{numbers.plural(n_cells, 'direction')} with {settings.n_random} random and "
        f"{settings.n_shuffled} shuffled ones each (at dose "
        f"{', '.join(map(numbers.short, settings.control_doses))}) on the sentences of "
        f"{numbers.plural(n_test, 'scenario')}{time_of_passes(work, model)}."
    )
