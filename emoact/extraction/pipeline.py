"""One run from its configuration to its files, unit by unit.

Only `engine_for` imports torch, so that tests can give a stand-in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emoact.data import read_prompts
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.extraction.engine import (
    Engine,
    EngineFor,
    EngineRequest,
    Reporter,
    check_prompt,
    steps_of,
)
from emoact.extraction.unit_job import UnitJob, compute_and_save, now
from emoact.jobs.config import RunConfig, RunModel
from emoact.jobs.request import prompts_of
from emoact.models.cache import file_sha256
from emoact.models.chat import check_chat
from emoact.models.effort import let_threads_sleep
from emoact.models.install import ensure_model
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource, OnStep
from emoact.models.weights import check_weights, weight_files
from emoact.schema import Dataset
from emoact.store import manifest
from emoact.store.atomic import remove_left_behind
from emoact.store.keys import differences, unit_configuration
from emoact.store.layout import ResultsRoot
from emoact.store.locks import remove_stale_files
from emoact.store.manifest import ManifestEntry, unit_lock
from emoact.store.parts import Part, parts_of
from emoact.store.reading import read
from emoact.store.remote import remote_of


def bridge_engine(request: EngineRequest, on_step: OnStep) -> Engine:
    """The engine of real models. The call imports torch, which takes seconds."""
    on_step("load", detail="importing torch and TransformerLens")
    let_threads_sleep()
    # Hashing leaves the interpreter to the import.
    hashing = threading.Thread(target=_hash_weights, args=(request,), daemon=True)
    hashing.start()
    from emoact.extraction.bridge_engine import load_engine

    hashing.join()
    return load_engine(request, on_step)


def _hash_weights(request: EngineRequest) -> None:
    """Hash the weights, which is remembered; loading checks them and says what is wrong."""
    path = request.source.path
    with suppress(EmoactError):
        for file in weight_files(path, allow_pickle_weights=True) if path is not None else ():
            file_sha256(file)


def run_units(
    config: RunConfig,
    *,
    reporter: Reporter,
    plans: MutableMapping[str, Mapping[str, Any]],
    engine_for: EngineFor = bridge_engine,
    units: Sequence[tuple[RunModel, Part]] | None = None,
    read_dataset: Callable[[str], Dataset] = read_prompts,
) -> None:
    """Compute and save every unit of a run that is not on disk yet.

    Plans of the first start are used again, so that a resumed run computes the same bits; missing
    ones are filled in.

    Raises:
        RequestError: A file of another configuration is in the way, or the data set or a model is
            not the one that the run was made for.
        CancelledError: The reporter was asked to stop.
        EmoactError: A model or the disk failed.
    """
    root = ResultsRoot(config.results)
    dataset = read_dataset(config.dataset.path)
    if dataset.sha256 != config.dataset.sha256:
        raise RequestError(
            f"{config.dataset.source} has changed since the run was made (SHA-256 "
            f"{dataset.sha256[:12]}, expected {config.dataset.sha256[:12]})",
            remedy="Start a new run on the new file, or put the old one back and resume.",
        )
    remove_stale_files(root.partial)
    remove_left_behind(root.activations)
    work = _Work(config=config, dataset=dataset, root=root, reporter=reporter)
    try:
        chosen = config.units if units is None else units
        for model in config.models:
            reporter.check_cancelled()
            own = [part for other, part in chosen if other == model]
            _run_model(work, model, own, plans, engine_for)
    finally:
        remove_stale_files(root.partial)


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Values that all units of a run share."""

    config: RunConfig
    dataset: Dataset
    root: ResultsRoot
    reporter: Reporter

    def configuration(self, source: ModelSource, part: Part) -> dict[str, Any]:
        """The fields that decide the content of a part's file."""
        return unit_configuration(
            source,
            prompts_of(self.dataset, part),
            options=self.config.options,
            store=self.config.store,
            weight_sha256=source.weight_sha256,
        )


def _run_model(
    work: _Work,
    model: RunModel,
    parts: Sequence[Part],
    plans: MutableMapping[str, Mapping[str, Any]],
    engine_for: EngineFor,
) -> None:
    config, dataset, root, reporter = work.config, work.dataset, work.root, work.reporter
    source = _source(model, config)
    if any(root.unit_path(source.folder, part.label).exists() for part in parts):
        source = _with_weights(source, config)
    remote, waiting = remote_of(root), list[Part]()
    for part in parts:
        if remote is not None:
            remote.fetch(source.folder, part.label, store=config.store)
        if not _is_saved_by_now(work, source, part):
            waiting.append(part)
        elif remote is not None:
            # The run may have been killed between saving the unit and putting it there.
            remote.push(_entry_of(root, source, part))
    if not waiting:
        return
    on_step = steps_of(reporter, source.folder)
    # The terms were accepted when the run was requested.
    source = ensure_model(source, accept_terms=True, on_step=on_step)
    if config.options.chat is not None and source.path is not None:
        texts = [prompt.text for part in waiting for prompt in prompts_of(dataset, part)]
        check_chat(source.path, source.name, config.options.chat, texts)
    first = parts_of(config.emotions[0], config.counts[config.emotions[0]])[0]
    request = EngineRequest(
        source=source,
        options=config.options,
        # Always prompts of the first part, so that a resumed run chooses the same plan.
        texts=tuple(prompt.text for prompt in prompts_of(dataset, first)),
        frozen=plans.get(source.folder),
        allow_pickle_weights=config.allow_pickle_weights,
    )
    engine = engine_for(request, on_step)
    # Remembered from loading; units that were on the disk before were compared with it above.
    source = _with_weights(source, config)
    if source.folder not in plans:
        plans[source.folder] = engine.facts.plan
    error = engine.facts.self_check.get("dtype_error")
    if error is not None:
        reporter.note(
            f"{source.name} in {error['dtype']} differs from {error['against']} by up to "
            f"{error['largest']:.1g} of an activation's norm (median {error['median']:.1g}, "
            f"{error['n_prompts']} prompts of this run)"
        )
    started_at = now()

    def job_of(part: Part) -> UnitJob:
        prompts = prompts_of(dataset, part)
        tokenised = engine.tokenise([prompt.text for prompt in prompts])
        for prompt, row in zip(prompts, tokenised, strict=True):
            check_prompt(f"prompt {prompt.id}", row, config.options, source.name)
        return UnitJob(
            part=part,
            prompts=prompts,
            tokenised=tuple(tokenised),
            configuration=work.configuration(source, part),
            config=config,
            source=source,
            run_started_at=started_at,
        )

    jobs: dict[Part, UnitJob] = {}
    for part in waiting:
        job = job_of(part)
        reporter.unit(
            "unit_planned",
            model=source.folder,
            emotion=part.label,
            n_samples=len(job.prompts),
            n_tokens=sum(len(prompt.ids) for prompt in job.tokenised),
        )
        # The tokens of very many parts are made again in their turn, so that memory stays flat.
        if part.count == 1:
            jobs[part] = job
    for part in waiting:
        reporter.check_cancelled()
        with unit_lock(root, source.folder, part.label, while_waiting=reporter.check_cancelled):
            # Another run may have saved the unit in the meantime.
            if not _is_saved(work, source, part):
                job = jobs.pop(part) if part in jobs else job_of(part)
                compute_and_save(job, engine=engine, root=root, reporter=reporter)
            if remote is not None:
                remote.push(_entry_of(root, source, part))


def _entry_of(root: ResultsRoot, source: ModelSource, part: Part) -> ManifestEntry:
    entry = manifest.entry(root, source.folder, part.label)
    if entry is None:
        raise EmoactError(f"{part.label} of {source.folder} is not recorded", remedy="Resume.")
    return entry


def _source(model: RunModel, config: RunConfig) -> ModelSource:
    source = resolve_model(model.asked, allow_pickle_weights=config.allow_pickle_weights)
    if model.commit is not None and source.commit is not None and source.commit != model.commit:
        raise RequestError(
            f"{model.name} has changed since the run was made (now {source.commit[:12]}, expected "
            f"{model.commit[:12]})",
            remedy="Start a new run, or name the revision: NAME@COMMIT.",
        )
    return source


def _with_weights(source: ModelSource, config: RunConfig) -> ModelSource:
    """The same model with the hash of its weights, where its commit alone does not fix them."""
    if source.kind != "hub" or source.path is None:
        return source
    files = weight_files(source.path, allow_pickle_weights=config.allow_pickle_weights)
    return replace(source, weight_sha256=check_weights(source, files))


def _is_saved(work: _Work, source: ModelSource, part: Part) -> bool:
    """True when the unit is on disk as asked for; needs no model."""
    config, root, emotion = work.config, work.root, part.label
    path = root.unit_path(source.folder, emotion)
    known = manifest.entry(root, source.folder, emotion)
    key = known.key if known is not None else ""
    state = manifest.unit_state(root, source.folder, emotion, key=key)
    asked = work.configuration(source, part)
    differing = differences(known.configuration, asked) if known is not None else []
    if state == "saved" and not differing:
        work.reporter.unit(
            "unit_skipped",
            model=source.folder,
            emotion=emotion,
            path=str(path),
            reason="already on disk",
        )
        return True
    if state == "missing" or config.overwrite or (state == "damaged" and not differing):
        return False
    # The run was killed between writing the file and recording it: compute the unit again.
    if state == "unrecorded" and _writer(path, shard=config.shard is not None) == config.request_id:
        return False
    found = "; ".join(differing) if differing else "no run acknowledged it, so it is unknown"
    raise RequestError(
        f"{path} is in the way: {found}",
        remedy="Pass --overwrite to replace it, or choose another folder with --results.",
    )


def _is_saved_by_now(work: _Work, source: ModelSource, part: Part) -> bool:
    """The same, while other runs write: a file in the way may be one that is being recorded."""
    try:
        return _is_saved(work, source, part)
    except RequestError:
        waiting = work.reporter.check_cancelled
        with unit_lock(work.root, source.folder, part.label, while_waiting=waiting):
            return _is_saved(work, source, part)


def _writer(path: Path, *, shard: bool) -> str | None:
    """Run id in a file's provenance, or None; of a shard the name of the request."""
    try:
        provenance = read(path).provenance
    except FileRefusedError:
        return None
    run_id = None if provenance is None else str(provenance.get("run_id"))
    return run_id.rpartition(".")[0] if run_id and shard else run_id
