"""Computation of an analysis from files of activations, and the process in which a run does it.

Started by `emoact.jobs.launch` as `python -m emoact.analysis.worker RUN_DIR --lock-fd N`.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from emoact.analysis.key import InputFile, check_unchanged, input_of
from emoact.analysis.listing import saved_already
from emoact.analysis.request import check_heads, control_settings
from emoact.analysis.room import DiskRoom
from emoact.analysis.save import save_analysis
from emoact.analysis.saved import DESCRIPTION, ControlsUsed, SavedAnalysis
from emoact.data.controls import count_one_word, lone_tokens
from emoact.decode import decode
from emoact.errors import CancelledError, EmoactError, RequestError
from emoact.jobs.attempt import leave, run_worker
from emoact.jobs.config import AnyConfig, JobConfig
from emoact.jobs.controls import ControlsRequest
from emoact.jobs.directory import RunDirectory
from emoact.jobs.reporter import RunReporter
from emoact.jobs.snapshot import Step
from emoact.models.cache import file_sha256
from emoact.stats.features import (
    Controls,
    PromptInfo,
    UnitFeatures,
    features_of,
    packed,
    prompts_of,
)
from emoact.stats.full import analyse_grid
from emoact.stats.result import AnalysisResult
from emoact.stats.settings import AnalysisSettings
from emoact.store.controls import UnitControls
from emoact.store.joining import join_parts, part_files
from emoact.store.layout import ResultsRoot
from emoact.store.reading import named_path, read, read_head
from emoact.store.remote import remote_of
from emoact.store.unit import Unit

_POLL_S = 0.1
READING_SHARE = 0.05
"""Share of the time that reading takes, measured on the grid of the report."""

WRITING_SHARE = 0.97
"""Share of the time before writing starts."""


@runtime_checkable
class Tell(Protocol):
    """Receives the progress of an analysis; raises `CancelledError` to stop it."""

    def __call__(
        self, step: Step, *, detail: str, done: int | None, total: int | None, share: float
    ) -> None:
        """Receive the current step, its number, the number of steps and the share done."""


@dataclass(frozen=True, kw_only=True)
class AnalysisWork:
    """Request of an analysis as its run holds it.

    Attributes:
        units: Folder and file name of every unit.
        controls: What is extracted first; None for an analysis without control extractions.
    """

    settings: AnalysisSettings
    units: tuple[tuple[str, str], ...]
    controls: ControlsRequest | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Computed:
    """A result before it is saved."""

    result: AnalysisResult
    inputs: tuple[InputFile, ...]
    controls: tuple[ControlsUsed, ...] = ()


def compute_analysis(root: ResultsRoot, work: AnalysisWork, tell: Tell) -> Computed | SavedAnalysis:
    """The analysis that is on disk already, or else a new result.

    Control extractions that it uses must be on disk.

    Raises:
        EmoactError: A file cannot be read or changed meanwhile, or its figures cannot be made.
    """
    try:
        return _compute(root, work, tell)
    except RequestError as error:
        # A fault that only the content of a file shows is a failure, not a wrong request.
        raise EmoactError(error.message, remedy=error.remedy) from error


def _compute(root: ResultsRoot, work: AnalysisWork, tell: Tell) -> Computed | SavedAnalysis:
    settings, n_units = work.settings, len(work.units)
    # Once more for their vectors, one at a time: strings and tokens of very many prompts take more
    # memory than all else.
    units = [read_head(named_path(root, folder, name)) for folder, name in work.units]
    check_heads(units, settings)

    def hashed(number: int, unit: Unit) -> list[InputFile]:
        told = functools.partial(_tell_reading, tell, unit, number, n_units, part=0.0)
        return [
            input_of(root, unit, path, file_sha256(path, check_cancelled=told))
            for path in unit.files
        ]

    inputs = [each for number in range(n_units) for each in hashed(number, units[number])]
    existing = saved_already(root, inputs, settings)
    if existing is not None:
        return existing
    controls: list[ControlsUsed] = []
    room = DiskRoom(root.path)

    def pooled() -> Iterator[UnitFeatures]:
        for number, (folder, name) in enumerate(work.units):
            unit, prompts = _read(named_path(root, folder, name), settings)
            _tell_reading(tell, unit, number, n_units, part=0.5)
            found = features_of(
                unit,
                sites=settings.sites,
                pooling=settings.pooling,
                model=unit.folder,
                room=room,
                prompts=prompts,
            )
            if settings.control_shuffles:
                saved = UnitControls(root=root, unit=unit, settings=control_settings(settings))
                found = dataclasses.replace(found, controls=_controls(saved))
                controls.append(_description(saved))
            del unit, prompts
            yield found

    def on_progress(done: int, total: int, label: str) -> None:
        room.rest()
        share = READING_SHARE + (WRITING_SHARE - READING_SHARE) * done / max(total, 1)
        tell("analyze", detail=label, done=done, total=total, share=share)

    result = analyse_grid(pooled(), settings, on_progress, room=room)
    check_unchanged(root, inputs)
    return Computed(result=result, inputs=tuple(inputs), controls=tuple(controls))


def _read(path: Path, settings: AnalysisSettings) -> tuple[Unit, Sequence[PromptInfo] | None]:
    """The unit in a file; that of parts with pooled vectors without its prompts, beside them."""
    heads = list[Unit]()

    def prompts_of_all() -> Iterator[PromptInfo]:
        n_before = 0
        for file in part_files(path):
            part = read(file)
            if not part.pooled:
                heads.clear()
                return
            yield from prompts_of(part, settings.pooling, first=n_before)
            n_before += part.n_samples
            heads.append(part.without_prompts())

    prompts = () if settings.control_shuffles else packed(prompts_of_all())
    return (join_parts(path, heads), prompts) if heads else (read(path), None)


def _controls(saved: UnitControls) -> Controls:
    contextless, *shuffled = (saved.read(name) for name in saved.settings.names)
    return Controls(contextless=contextless, shuffled=tuple(shuffled))


def _description(saved: UnitControls) -> ControlsUsed:
    unit = saved.unit
    return ControlsUsed(
        folder=unit.folder,
        emotion=unit.emotion,
        key=saved.key,
        n_tokens=len(lone_tokens(unit.tokens, unit.content)),
        n_shuffles=saved.settings.n_shuffles,
        n_one_word=count_one_word(saved.texts),
        behind_bos=unit.content_start > 0,
    )


def _tell_reading(tell: Tell, unit: Unit, number: int, n_units: int, *, part: float) -> None:
    share = READING_SHARE * (part + 0.5 * number / n_units)
    detail = f"{unit.folder} {unit.emotion}"
    tell("read", detail=detail, done=number + 1, total=n_units, share=share)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one analysis; returns an exit code of the command line."""
    return run_worker(argv, analyze, module="emoact.analysis.worker")


def analyze(
    directory: RunDirectory, config: AnyConfig, reporter: RunReporter, *, done: float = 0.0
) -> None:
    """Compute what the config asks for, and save it; a share `done` of the run lies behind."""
    if not isinstance(config, JobConfig) or config.kind != "analyze":
        raise RequestError(f"run {config.run_id!r} is no analysis but {config.kind!r}")
    root = ResultsRoot(config.results)
    work = decode(AnalysisWork, config.request, where="the request of an analysis")
    found = _computed(root, work, reporter, behind=done)
    existing = isinstance(found, SavedAnalysis)
    if isinstance(found, Computed):
        reporter.step("write", model="", share=done + (1 - done) * WRITING_SHARE)
        controls = found.controls
        found = save_analysis(
            root, found.result, found.inputs, run_id=directory.run_id, controls=controls
        )
    remote = remote_of(root)
    if remote is not None:
        remote.push_folder(found.path, last=DESCRIPTION)
    size = sum(state.size for state in found.files.values())
    reporter.made(path=str(found.path), size=size, existing=existing)


def _computed(
    root: ResultsRoot, work: AnalysisWork, reporter: RunReporter, *, behind: float
) -> Computed | SavedAnalysis:
    """Compute on a thread of its own, so that a cancelled run ends at once.

    A step of an analysis can take seconds. Nothing is written before the computation has ended, so
    that the process may leave while the thread is still at work.
    """
    told: deque[dict[str, Any]] = deque(maxlen=1)
    stopped = threading.Event()

    def tell(step: Step, *, detail: str, done: int | None, total: int | None, share: float) -> None:
        if stopped.is_set():
            raise CancelledError("the run was cancelled")
        overall = behind + (1 - behind) * share
        told.append(
            {"step": step, "detail": detail, "done": done, "total": total, "share": overall}
        )

    thread = ThreadPoolExecutor(1, thread_name_prefix="analysis")
    computing = thread.submit(compute_analysis, root, work, tell)
    try:
        while not computing.done():
            wait([computing], timeout=_POLL_S)
            reporter.check_cancelled()
            while told:
                reporter.step(model="", **told.pop())
        return computing.result()
    finally:
        stopped.set()
        thread.shutdown(wait=False)


if __name__ == "__main__":
    leave(main())
