"""Request for steering: its checks, its cost, its run, its result in words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.chosen import (
    CauseRequest,
    cause_words,
    check_pooling,
    check_raw,
    named_by,
    units_of,
)
from emoact.causes.contributions import check_layer
from emoact.causes.prepared import Prepared, multiplied, prepared, result_of, time_of_passes
from emoact.causes.steer_result import table_of
from emoact.causes.steering import (
    DOSES,
    LEAST_RANDOM,
    LEAST_SHUFFLED,
    SWEEP_SENTENCES,
    SteerSettings,
)
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.models.alike import ModelRequest
from emoact.positions import Pooling
from emoact.sites import SiteName
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

KIND = "steer"
METHOD_VERSION = 4
"""Raised when a figure changes. 4: the intervals of a causal effect exclude 0."""

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
    """A request from the command line or a page.

    Attributes:
        emotions: Classes whose directions are added; None for all.
        layers: None for five over the depth.
        doses: None for those of a sweep.
        control_doses: None for 1, or the dose next to it; for all where one emotion is steered at
            one layer with up to three doses.
        n_shuffled: Directions of shuffled labels.
        n_sentences: Most test scenarios that are scored; None for six, and for all where one
            emotion is steered at one layer with up to three doses.
        seed: Of the split and of all draws.
        prefixes: Sentences that name emotions in a prompt, for the baseline without steering; None
            for "I am so angry." and the like, and "I feel joy." for other labels. Under the neutral
            label, a sentence that names none.
    """

    emotions: tuple[str, ...] | None = None
    layers: tuple[int, ...] | None = None
    doses: tuple[float, ...] | None = None
    control_doses: tuple[float, ...] | None = None
    neutral: str = "neutral"
    pooling: Pooling = "mean_content"
    n_random: int = LEAST_RANDOM
    n_shuffled: int = LEAST_SHUFFLED
    n_sentences: int | None = None
    seed: int = 0
    prefixes: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class SteerWork:
    """Task of a run. `units`: file names of all classes."""

    folder: str
    units: tuple[str, ...]
    settings: SteerSettings

    def rests_on(self, units: Sequence[Unit]) -> dict[str, Any]:
        """Basis of the result, which names it."""
        plain = encode(self.settings)
        if not self.settings.prefixes:
            # Results from before there was such a choice keep their names.
            del plain["prefixes"]
        return named_by(METHOD_VERSION, units, settings=plain)


def prepare_steer(request: SteerRequest) -> Prepared:
    """Check a request; writes nothing and loads no model.

    Raises:
        RequestError: A name is unknown, a layer is out of range, there is no text or no scenario to
            test on, the files do not say how they were made, or their model is not installed.
    """
    units = units_of(request.root, request.model)
    settings = settings_of(request, units)
    model = request.model_of(units, SITE)
    check_raw(model, units[0].folder)
    work = SteerWork(
        folder=units[0].folder, units=tuple(unit.path.name for unit in units), settings=settings
    )
    return prepared(
        KIND,
        request,
        units,
        model,
        work=work,
        words=steer_words(request.results, work.folder, encode(settings)),
        cost=_cost(units, settings, model),
        emotions=settings.emotions,
    )


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
        settings: Further fields of `SteerRequest`, such as `n_sentences=8`.

    Raises:
        RequestError: The request is wrong; nothing was started.
        CancelledError: The run was cancelled.
        EmoactError: The run failed; says why.
    """
    asked = prepare_steer(
        SteerRequest(
            results=results,
            model=model,
            emotions=None if emotions is None else tuple(emotions),
            layers=None if layers is None else tuple(layers),
            doses=None if doses is None else tuple(doses),
            **settings,
        )
    )
    return table_of(result_of(asked))


def settings_of(request: SteerRequest, units: Sequence[Unit]) -> SteerSettings:
    """The settings with every default filled in.

    Raises:
        RequestError: A class, a layer or a site is not there.
    """
    labels, n_layers = [unit.emotion for unit in units], units[0].n_layers
    emotions = request.emotions or tuple(each for each in labels if each != request.neutral)
    for label in (*emotions, request.neutral):
        if label not in labels:
            raise RequestError(
                f"{units[0].folder} has no class {label!r}; it has {', '.join(labels)}"
            )
    for unit in units:
        # Refuses a file that does not hold it, or keeps pooled vectors only.
        unit.site(SITE)
    check_pooling(request.pooling, units)
    layers = request.layers or default_layers(n_layers)
    for layer in layers:
        check_layer(layer, n_layers)
    doses = request.doses or DOSES
    control_doses, n_sentences = request.control_doses, request.n_sentences
    alone = len(emotions) == len(layers) == 1 and len(doses) <= _MOST_SHARED
    if n_sentences is None and not alone:
        n_sentences = SWEEP_SENTENCES
    if control_doses is None:
        control_doses = doses if alone else (min(doses, key=lambda dose: (abs(dose - 1), -dose)),)
    same = ("neutral", "pooling", "n_random", "n_shuffled", "seed")
    return SteerSettings(
        **{name: getattr(request, name) for name in same},
        emotions=emotions,
        layers=layers,
        doses=doses,
        control_doses=control_doses,
        n_sentences=n_sentences,
        prefixes=request.prefixes or {},
    )


def default_layers(n_layers: int) -> tuple[int, ...]:
    """Five layers over the depth, or all of a model with fewer."""
    n = min(N_LAYERS, n_layers)
    return tuple(int((place + 0.5) * n_layers / n) for place in range(n))


def steer_words(
    results: str | os.PathLike[str], folder: str, settings: Mapping[str, Any]
) -> list[str]:
    """Words of the shell command of encoded settings, with every choice that decides a figure."""
    words = cause_words("steer", results, folder)
    for option, name in (
        ("--emotion", "emotions"),
        ("--layer", "layers"),
        ("--dose", "doses"),
        ("--control-dose", "control_doses"),
    ):
        # A negative number must not look like an option.
        words += [f"{option}={value}" for value in settings[name]]
    words += ["--neutral", settings["neutral"], "--pooling", settings["pooling"]]
    words += ["--random", str(settings["n_random"]), "--shuffled", str(settings["n_shuffled"])]
    if settings["n_sentences"] is not None:
        words += ["--sentences", str(settings["n_sentences"])]
    words += [f"--prefix={label}={said}" for label, said in settings.get("prefixes", {}).items()]
    return [*words, "--seed", str(settings["seed"])]


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
