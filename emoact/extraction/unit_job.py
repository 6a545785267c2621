"""One unit: its file laid out, filled by passes, put in place, acknowledged."""

from __future__ import annotations

import datetime as dt
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from emoact import sites
from emoact.extraction.engine import (
    Engine,
    EngineFacts,
    Reporter,
    Tokenised,
    check_responses,
    counted,
)
from emoact.extraction.plan import count_nodes
from emoact.jobs.config import RunConfig
from emoact.jobs.on_disk import other_division
from emoact.models.source import ModelSource
from emoact.schema import SCHEMA_VERSION, ExtractionOptions, Prompt
from emoact.sites import SiteName
from emoact.store import manifest
from emoact.store.keys import STORED, store_in, unit_key
from emoact.store.layout import ResultsRoot
from emoact.store.manifest import ManifestEntry
from emoact.store.parts import Part
from emoact.store.protocol import find_store, store_of
from emoact.store.shard import ShardLayout
from emoact.store.write import UnitFile, lay_out

_PROMPT_FIELDS = ("id", "scenario_id", "subset", "text", "lang")


def now() -> str:
    """The time, ISO 8601 with offset."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, kw_only=True)
class UnitJob:
    """A unit that has to be computed.

    Attributes:
        prompts: Its prompts, in the order of the data set.
        tokenised: The same as tokens, without a response.
        configuration: The fields that decide its content.
        run_started_at: Start of the work on this model, ISO 8601.
    """

    part: Part
    prompts: tuple[Prompt, ...]
    tokenised: tuple[Tokenised, ...]
    configuration: Mapping[str, Any]
    config: RunConfig
    source: ModelSource
    run_started_at: str

    @functools.cached_property
    def key(self) -> str:
        """Hash of the configuration and the tokens."""
        return unit_key(self.configuration, [prompt.ids for prompt in self.tokenised])


def compute_and_save(
    job: UnitJob, *, engine: Engine, root: ResultsRoot, reporter: Reporter
) -> None:
    """Compute a unit and put its file in place; after a failure the old file is unchanged.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model or the disk failed.
    """
    folder, facts = job.source.folder, engine.facts
    began, started_at = time.perf_counter(), now()
    reporter.unit("unit_started", model=folder, emotion=job.part.label)
    if job.config.options.generation is not None:
        job = _with_responses(job, engine=engine, reporter=reporter)
    layout = ShardLayout(
        sites=job.config.options.sites,
        n_layers=facts.n_layers,
        d_model=facts.d_model,
        lengths=tuple(len(prompt.ids) for prompt in job.tokenised),
        n_heads=facts.n_heads,
        d_head=facts.d_head,
    )
    reporter.step("extract", model=folder, detail=job.part.label)
    before = root.unit_path(folder, job.part.label)
    store = find_store(store_in(job.configuration))
    path = root.unit_path(folder, job.part.label, store=store.name)
    parts: dict[str, Any] = {
        "tokens": [prompt.ids for prompt in job.tokenised],
        "token_strings": [prompt.strings for prompt in job.tokenised],
        "labels": [job.part.emotion] * len(job.prompts),
    }
    # The final metadata are as long: they differ in numbers and times of fixed length.
    draft = _metadata(job, facts, started_at=started_at, seconds=1.0)
    with lay_out(path, layout=layout, metadata=draft, **parts) as file:
        # A pass of the self-check counts as one of the unit.
        began -= _forward(job, engine=engine, file=file, reporter=reporter)
        seconds = time.perf_counter() - began
        reporter.step("save", model=folder, detail=job.part.label)
        metadata = _metadata(job, facts, started_at=started_at, seconds=seconds)
        written = store.write(path, shard=file, metadata=metadata, **parts)
    reporter.check_in_place()
    manifest.record(
        root,
        ManifestEntry(
            folder=folder,
            emotion=job.part.label,
            sha256=written.sha256,
            size=written.size,
            key=job.key,
            model=job.source.model_name,
            run_id=job.config.run_id,
            written_at=now(),
            configuration=job.configuration,
        ),
    )
    if before != path and before.exists():
        # The unit is in one format only; the other file was to be replaced.
        manifest.forget(root, folder, job.part.label, store=store_of(before).name)
        before.unlink()
    for other in other_division(root, folder, job.part.label):
        # Of an emotion with another number of parts, which was to be replaced.
        manifest.forget(root, folder, other)
        root.unit_path(folder, other).unlink(missing_ok=True)
    reporter.unit(
        "unit_saved",
        model=folder,
        emotion=job.part.label,
        path=str(path),
        size=written.size,
        sha256=written.sha256,
        seconds=time.perf_counter() - began,
        n_samples=len(job.prompts),
        n_tokens=sum(layout.lengths),
    )


def _with_responses(job: UnitJob, *, engine: Engine, reporter: Reporter) -> UnitJob:
    """The job with responses behind its prompts; their activations are computed afterwards."""
    source = job.source

    def tell(done: int) -> None:
        reporter.step(
            "extract",
            model=source.folder,
            detail=f"{job.part.label}, response {done} of {len(job.prompts)}",
        )
        reporter.check_cancelled()

    tell(0)
    found = engine.generate(job.tokenised, on_pass=counted(tell))
    names = [f"prompt {prompt.id}" for prompt in job.prompts]
    check_responses(names, found, engine.facts.stop_tokens, source.name)
    return replace(job, tokenised=tuple(found))


def _forward(job: UnitJob, *, engine: Engine, file: UnitFile, reporter: Reporter) -> float:
    samples_done = tokens_done = 0
    last: tuple[SiteName, int] | None = None

    def put(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
        nonlocal last
        file.put(site, layer, sample, rows)
        # A wide pass may take half a minute: half precision on a processor that has none.
        if last != (site, layer):
            last = site, layer
            reporter.check_cancelled()

    def on_pass(samples: int, tokens: int) -> None:
        nonlocal samples_done, tokens_done
        samples_done, tokens_done = samples_done + samples, tokens_done + tokens
        reporter.unit(
            "unit_progress",
            model=job.source.folder,
            emotion=job.part.label,
            samples_done=samples_done,
            tokens_done=tokens_done,
        )
        reporter.check_cancelled()

    return engine.forward(job.tokenised, put=put, on_pass=on_pass)


def _metadata(
    job: UnitJob, engine: EngineFacts, *, started_at: str, seconds: float
) -> dict[str, Any]:
    """The contract's metadata: the keys of the contract first, additions after them."""
    options = job.config.options
    return {
        "model_name": job.source.model_name,
        "n_layers": engine.n_layers,
        "d_model": engine.d_model,
        "d_vocab": engine.d_vocab,
        "n_samples": len(job.prompts),
        "emotion_label": job.part.emotion,
        **{site.flag: site.name in options.sites for site in sites.SITES if site.flag},
        "prompts": [
            {name: getattr(prompt, name) for name in _PROMPT_FIELDS} for prompt in job.prompts
        ],
        "content_start": max((prompt.content_start for prompt in job.tokenised), default=0),
        **_spans(job, options),
        "sites": list(options.sites),
        "provenance": _provenance(job, engine, started_at=started_at, seconds=seconds),
    }


def _spans(job: UnitJob, options: ExtractionOptions) -> dict[str, Any]:
    """Positions of texts and responses, where a text is not all that follows the BOS."""
    found: dict[str, Any] = {}
    if options.chat is not None or options.generation is not None:
        found["content_spans"] = [list(row.content) for row in job.tokenised]
    if options.generation is not None:
        found["response_spans"] = [list(row.response or (0, 0)) for row in job.tokenised]
        found["responses"] = [row.response_text for row in job.tokenised]
    return found


def _provenance(
    job: UnitJob, engine: EngineFacts, *, started_at: str, seconds: float
) -> dict[str, Any]:
    config, source = job.config, job.source
    n_tokens = sum(len(prompt.ids) for prompt in job.tokenised)
    chat, generation = config.options.chat, config.options.generation
    written: dict[str, Any] = {}
    if chat:
        written |= {"chat": chat.words, "chat_template_sha256": engine.chat_template}
    if engine.chat_clock:
        written["chat_clock"] = engine.chat_clock
    if generation:
        written |= {"generation": generation.words, "stop_tokens": list(engine.stop_tokens)}
    return {
        "schema_version": SCHEMA_VERSION,
        "model_name": source.model_name,
        "folder": source.folder,
        "revision": source.revision,
        "commit": source.commit,
        "weight_source": source.weight_source,
        "weight_sha256": engine.weight_sha256,
        "random_weights": engine.random_weights,
        "processing": config.options.processing,
        "bos": dict(engine.bos),
        **written,
        "dtype": config.options.dtype,
        "device": engine.device,
        "sites": list(config.options.sites),
        "dataset": {
            "source": config.dataset.source,
            "sha256": config.dataset.sha256,
            "prompts_sha256": job.configuration["prompts_sha256"],
        },
        "truncated": [
            {"id": prompt.id, "tokens": row.full_length, "kept": len(row.ids)}
            for prompt, row in zip(job.prompts, job.tokenised, strict=True)
            if row.is_truncated
        ],
        "versions": dict(engine.versions),
        "run_id": config.run_id,
        # No step between a prompt and its activations is random; a response may be drawn.
        "seed": generation.words.get("seed") if generation else None,
        "command": config.command,
        "run_started_at": job.run_started_at,
        "started_at": started_at,
        "ended_at": now(),
        "throughput": {
            "samples_per_s": len(job.prompts) / seconds if seconds > 0 else None,
            "tokens_per_s": n_tokens / seconds if seconds > 0 else None,
            "seconds": seconds,
            "n_tokens": n_tokens,
            "n_distinct_prefixes": count_nodes([prompt.ids for prompt in job.tokenised]),
        },
        "plan": dict(engine.plan),
        "self_check": dict(engine.self_check),
        **_stored(job),
        "unit_key": job.key,
    }


def _stored(job: UnitJob) -> dict[str, Any]:
    """Form of a file that is no pickle, and the key that a pickle would have."""
    if "store" not in job.configuration:
        return {}
    values = {name: job.configuration[name] for name in job.configuration if name not in STORED}
    return {
        "precision": job.configuration["precision"],
        "pickle_key": unit_key(values, [prompt.ids for prompt in job.tokenised]),
    }
