"""Request of control extractions within an analysis: which units, by which model, at what cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoact import numbers
from emoact.data.controls import lone_tokens
from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.jobs.causes import causes_of
from emoact.jobs.config import AnyConfig, JobConfig, RunConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.rates import rate_key, read_rates
from emoact.models.alike import ModelRequest, check_alike, request_like
from emoact.sites import SiteName
from emoact.store.controls import CONTEXTLESS, ControlSettings, UnitControls
from emoact.store.layout import ResultsRoot
from emoact.store.unit import Unit


@dataclass(frozen=True, kw_only=True)
class ControlsRequest:
    """Control extractions that the run of an analysis makes first.

    Attributes:
        units: Folder and file name of every unit.
        models: The model of every folder, with the settings of its units. One that is not here is
            left out where all its control extractions are.
    """

    settings: ControlSettings
    units: tuple[tuple[str, str], ...]
    models: tuple[ModelRequest, ...]


@dataclass(frozen=True, kw_only=True)
class ControlsCost:
    """Cost of the control extractions that are not on disk.

    Attributes:
        n_units: Units that lack some.
        n_prompts: Derived prompts to compute.
        n_tokens: Their tokens, BOS included.
        seconds: Expected time, or None where a model has no known rate on this machine.
        n_bytes: Size of the new files.
    """

    n_units: int
    n_prompts: int
    n_tokens: int
    seconds: float | None
    n_bytes: int

    @property
    def sentence(self) -> str:
        """The cost in words."""
        if not self.n_units:
            return "All control extractions are on disk: no model is loaded."
        took = "" if self.seconds is None else f", about {numbers.duration(self.seconds)}"
        return (
            f"Control extractions: {self.n_prompts:,} short prompts with {self.n_tokens:,} tokens "
            f"for {numbers.plural(self.n_units, 'unit')}{took}, {numbers.size(self.n_bytes)} on "
            "disk. They are kept, and the next analysis uses them again."
        )


def request_controls(
    root: ResultsRoot,
    units: Sequence[Unit],
    settings: ControlSettings,
    *,
    allow_pickle_weights: bool = False,
) -> ControlsRequest:
    """The request for these units; their models are looked for on this machine.

    What the run of a unit says of pickled weights does not count, only `allow_pickle_weights`: the
    folder may come from another machine.

    Raises:
        RequestError: A unit holds no texts or does not say how it was made, or something has to be
            extracted and the units of one folder were made differently or their model is not
            installed here.
    """
    if settings.pooling == "mean_typical":
        raise RequestError(
            "pooling is mean_typical, and a token without context or in another order is massive "
            "elsewhere, so that control extractions would leave out other words than the prompts "
            "do and be easier to beat (docs/methods.md, Data)",
            remedy="Analyse without --controls, or take --pooling mean_content or last.",
        )
    beyond_text = ("mean_all", "last_template", "mean_response")
    if settings.pooling in beyond_text and any(unit.content_spans for unit in units):
        raise RequestError(
            f"pooling is {settings.pooling}, and a token without context has no chat template "
            "behind it and no response, so that control extractions say nothing about it",
            remedy="Analyse without --controls, or take --pooling mean_content or last.",
        )
    models = []
    for folder in dict.fromkeys(unit.folder for unit in units):
        own = [unit for unit in units if unit.folder == folder]
        controls = [UnitControls(root=root, unit=unit, settings=settings) for unit in own]
        try:
            models.append(model_of(own, root, settings.sites, allow_pickle_weights))
        except RequestError as error:
            if any(each.absent() for each in controls):
                raise RequestError(
                    f"control extractions of {folder} are not on disk, and they need its model: "
                    f"{error.message}",
                    remedy=error.remedy,
                ) from error
    return ControlsRequest(
        settings=settings,
        units=tuple((unit.folder, unit.path.name) for unit in units),
        models=tuple(models),
    )


def controls_of(config: AnyConfig) -> ControlsRequest:
    """The request in the config of an analysis; `RequestError` if it asks for no extractions."""
    fields = config.request.get("controls") if isinstance(config, JobConfig) else None
    if fields is None:
        raise RequestError(f"run {config.run_id!r} asks for no control extractions")
    return decode(ControlsRequest, fields, where="controls")


def loads_pickles(config: AnyConfig) -> bool:
    """True where a run asks for weights that are stored as pickles."""
    if isinstance(config, RunConfig):
        return config.allow_pickle_weights
    if config.kind == "causes":
        return causes_of(config).model.allow_pickle_weights
    if config.request.get("controls") is None:
        return False
    return any(model.allow_pickle_weights for model in controls_of(config).models)


def estimate_controls(
    root: ResultsRoot, units: Sequence[Unit], request: ControlsRequest
) -> ControlsCost:
    """The cost of what is not on disk; a damaged file counts as being there."""
    rates = read_rates().models
    options = {model.folder: model.options for model in request.models}
    n_units = n_prompts = n_tokens = n_bytes = 0
    seconds: float | None = 0.0
    waits = dict[str, float]()
    for unit in units:
        controls = UnitControls(root=root, unit=unit, settings=request.settings)
        absent = controls.absent()
        if not absent:
            continue
        lone = lone_tokens(unit.tokens, unit.content)
        shuffles = len(absent) - (CONTEXTLESS in absent)
        prompts, tokens = shuffles * unit.n_samples, shuffles * sum(map(len, unit.prompt_tokens))
        if CONTEXTLESS in absent:
            prompts, tokens = prompts + len(lone), tokens + sum(map(len, lone))
        n_units, n_prompts, n_tokens = n_units + 1, n_prompts + prompts, n_tokens + tokens
        n_bytes += len(absent) * controls.n_bytes
        how = options[unit.folder]
        rate = rates.get(rate_key(unit.folder, how))
        if rate is None or seconds is None:
            seconds = None
        else:
            seconds += tokens / rate.tokens_per_s
            waits[unit.folder] = rate.ready_s
    return ControlsCost(
        n_units=n_units,
        n_prompts=n_prompts,
        n_tokens=n_tokens,
        seconds=None if seconds is None else seconds + sum(waits.values()),
        n_bytes=n_bytes,
    )


def model_of(
    units: Sequence[Unit],
    root: ResultsRoot,
    sites: Sequence[SiteName],
    allow_pickle_weights: bool,
) -> ModelRequest:
    """The model of one folder, as its units were extracted, to read these sites.

    Raises:
        RequestError: The units were not made alike, or their model is not installed here.
    """
    check_one_model(units)
    first = units[0]
    for unit in units[1:]:
        check_alike(first.folder, first.made, unit.made, (first.emotion, unit.emotion))
    found = request_like(
        first.folder,
        first.configuration,
        sites,
        name=known_as(root, first.folder, first.provenance),
        allow_pickle_weights=allow_pickle_weights,
    )
    # Both were agreed to when the unit was extracted, or do not apply to it. A shuffle can have a
    # few tokens more than its prompt, so that one at the limit of the context is cut.
    cut = found.options.chat is None
    options = dataclasses.replace(found.options, truncate=cut, allow_nonadditive_mlp=True)
    return dataclasses.replace(found, options=options)


def check_one_model(units: Sequence[Unit]) -> None:
    """Raise `RequestError` unless the units of one folder have the same layers and width."""
    first = units[0]
    for unit in units[1:]:
        if (unit.n_layers, unit.d_model) != (first.n_layers, first.d_model):
            raise RequestError(
                f"{unit.folder}/{unit.emotion} has {unit.n_layers} layers of width {unit.d_model}, "
                f"but {first.folder}/{first.emotion} has {first.n_layers} of {first.d_model}",
                remedy="These files are not of one model; extract them again.",
            )


def known_as(root: ResultsRoot, folder: str, provenance: Mapping[str, Any] | None) -> str | None:
    """Name of the model in the run of a unit, such as a path; None where the run is gone."""
    run_id = (provenance or {}).get("run_id")
    try:
        config = RunDirectory(root.run_dir(str(run_id))).config()
    except EmoactError:
        return None
    if not isinstance(config, RunConfig):
        return None
    asked = [model.asked for model in config.models if model.folder == folder]
    return asked[0] if asked else None
