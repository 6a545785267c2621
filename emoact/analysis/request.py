"""Request of an analysis, and the checks that need no activations."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from emoact.analysis.key import input_of
from emoact.analysis.listing import saved_already
from emoact.analysis.saved import SavedAnalysis
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.jobs.config import JobConfig, new_run_id, now
from emoact.jobs.controls import ControlsCost, check_one_model, estimate_controls, request_controls
from emoact.jobs.queue import worker_slots
from emoact.jobs.redact import redact
from emoact.models.cache import known_sha256
from emoact.stats.comparable import Configuration
from emoact.stats.directions.contrast import check_labels
from emoact.stats.prepared import check_units
from emoact.stats.settings import AnalysisSettings
from emoact.store.controls import ControlSettings
from emoact.store.layout import ResultsRoot, check_id
from emoact.store.reading import Grid, read_all
from emoact.store.unit import Unit


@dataclass(frozen=True, kw_only=True)
class AnalyzeRequest:
    """A request from the command line or a page.

    Attributes:
        models: Folders or hub ids; None takes all that are there.
        emotions: Labels; None takes all. The neutral class is always among them.
        run_id: Name of the run; None makes one.
    """

    results: str | os.PathLike[str] = "results"
    settings: AnalysisSettings = field(default_factory=AnalysisSettings)
    models: tuple[str, ...] | None = None
    emotions: tuple[str, ...] | None = None
    run_id: str | None = None
    allow_pickle_weights: bool = False


@dataclass(frozen=True, kw_only=True)
class PreparedAnalysis:
    """A checked request.

    Attributes:
        config: What `launch.start` takes.
        existing: The analysis that is there already, so that there is nothing to start; None also
            where files have not been hashed yet.
        problems: Files that are left out because they cannot be read, in words.
        controls: Cost of the control extractions; None where none are asked for.
    """

    config: JobConfig
    existing: SavedAnalysis | None
    problems: tuple[str, ...]
    controls: ControlsCost | None = None


def prepare_analysis(request: AnalyzeRequest) -> PreparedAnalysis:
    """Check a request; writes nothing and computes nothing.

    Raises:
        RequestError: There is nothing to analyse, a name is unknown, a class or site is missing,
            the files were made differently, or control extractions are asked for and a model is
            not on this machine.
    """
    worker_slots()
    root = ResultsRoot(request.results)
    run_id = new_run_id() if request.run_id is None else check_id(request.run_id)
    grid = read_all(root.path, with_prompts=bool(request.settings.control_shuffles))
    units = chosen_units(grid, root, request)
    check_heads(units, request.settings)
    files = [(unit, path, known_sha256(path)) for unit in units for path in unit.files]
    known = [input_of(root, unit, path, sha) for unit, path, sha in files if sha]
    names = [[unit.folder, unit.path.name] for unit in units]
    whole = len(known) == len(files)
    existing = saved_already(root, known, request.settings) if whole else None
    cost, controls = None, None
    if request.settings.control_shuffles and existing is None:
        controls = request_controls(
            root,
            units,
            control_settings(request.settings),
            allow_pickle_weights=request.allow_pickle_weights,
        )
        cost = estimate_controls(root, units, controls)
    return PreparedAnalysis(
        config=JobConfig(
            kind="analyze",
            run_id=run_id,
            created_at=now(),
            models=tuple(dict.fromkeys(unit.folder for unit in units)),
            emotions=tuple(dict.fromkeys(unit.emotion for unit in units)),
            results=os.path.realpath(root.path),
            request={
                "settings": encode(request.settings),
                "units": names,
                **({} if controls is None else {"controls": encode(controls)}),
            },
            command=redact(analyze_command(request)),
            needs_model=controls is not None and bool(controls.models),
        ),
        existing=existing,
        problems=tuple(f"{problem.where}: {problem.message}" for problem in grid.problems),
        controls=cost,
    )


def control_settings(settings: AnalysisSettings) -> ControlSettings:
    """Settings of the control extractions of an analysis."""
    return ControlSettings(
        sites=settings.sites,
        pooling=settings.pooling,
        n_shuffles=settings.control_shuffles,
        seed=settings.seed,
    )


def check_heads(units: Sequence[Unit], settings: AnalysisSettings) -> None:
    """Check that units may be analysed together, as far as is known without activations.

    Raises:
        RequestError: A class or site is missing, they were made differently, or the files of one
            folder are not of one model.
    """
    named = {f"{unit.folder}/{unit.emotion}": unit for unit in units}
    check_units(
        {name: unit.sites for name, unit in named.items()},
        {
            name: Configuration.of(unit, model=unit.folder, pooling=settings.pooling)
            for name, unit in named.items()
        },
        settings,
    )
    for folder in dict.fromkeys(unit.folder for unit in units):
        own = [unit for unit in units if unit.folder == folder]
        check_one_model(own)
        check_labels(folder, tuple(unit.emotion for unit in own), settings)


def chosen_units(grid: Grid, root: ResultsRoot, request: AnalyzeRequest) -> tuple[Unit, ...]:
    """The units that a request names; `RequestError` if a name is unknown, or nothing is left."""
    if not grid.units:
        refused = "; ".join(f"{each.where}: {each.message}" for each in grid.problems[:3])
        raise RequestError(
            f"there are no activations in {root.path}" + (f" ({refused})" if refused else ""),
            remedy="`emoact extract --model smollm2-135m` makes some.",
        )
    folders = {unit.folder: unit.folder for unit in grid.units}
    folders |= {unit.model_name: unit.folder for unit in grid.units}
    models = {
        _known("model", name, folders, root) for name in request.models or tuple(grid.folders)
    }
    wanted = {folders[name] for name in models}
    labels = dict.fromkeys(unit.emotion for unit in grid.units if unit.folder in wanted)
    emotions = {_known("emotion", name, labels, root) for name in request.emotions or tuple(labels)}
    if request.settings.reference == "neutral":
        emotions.add(request.settings.neutral)
    return tuple(u for u in grid.units if u.folder in wanted and u.emotion in emotions)


def analyze_command(request: AnalyzeRequest) -> str:
    """The shell command of a request; it names every choice that decides a figure."""
    settings, default = request.settings, AnalysisSettings()
    words = ["python", "-m", "emoact", "analyze", "--results", os.fspath(request.results)]
    for model in request.models or ():
        words += ["--model", model]
    for emotion in request.emotions or ():
        words += ["--emotion", emotion]
    words += ["--neutral", settings.neutral, "--reference", settings.reference]
    words += ["--pooling", settings.pooling]
    for site in settings.sites:
        words += ["--site", site]
    words += ["--permutations", str(settings.n_permutations), "--seed", str(settings.seed)]
    if settings.control_shuffles:
        words += ["--controls", str(settings.control_shuffles)]
    if settings.alpha != default.alpha:
        words += ["--alpha", str(settings.alpha)]
    words += ["--allow-pickle-weights"] if request.allow_pickle_weights else []
    words += ["--allow-mixed"] if settings.allow_mixed else []
    words += ["--leave-out-nonfinite"] if settings.leave_out_nonfinite else []
    return shlex.join(words)


def _known(kind: str, name: str, there: Collection[str], root: ResultsRoot) -> str:
    if name in there:
        return name
    close = difflib.get_close_matches(name, list(there), n=1)
    raise RequestError(
        f"{kind} {name!r} is not in {root.path}; there are {', '.join(there)}",
        remedy=f"Did you mean {close[0]}?" if close else None,
    )
