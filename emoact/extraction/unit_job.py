"""One unit: passes into a shard, the shard into the unit's file, the file acknowledged."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoact.extraction.engine import Engine, Tokenised
from emoact.extraction.metadata import RunFacts, UnitTiming, now, unit_metadata
from emoact.extraction.reporter import Reporter
from emoact.schema import Prompt
from emoact.sites import SiteName
from emoact.store import manifest
from emoact.store.configuration import store_in
from emoact.store.layout import ResultsRoot
from emoact.store.manifest import ManifestEntry
from emoact.store.protocol import find_store, store_of
from emoact.store.shard import UnitShard
from emoact.store.shard_layout import ShardLayout


@dataclass(frozen=True, kw_only=True)
class UnitJob:
    """A unit that has to be computed.

    Attributes:
        emotion: Its label.
        prompts: Its prompts, in the order of the data set.
        tokenised: The same as tokens.
        configuration: What decides its content, readable.
        key: The hash of that and the tokens.
    """

    emotion: str
    prompts: tuple[Prompt, ...]
    tokenised: tuple[Tokenised, ...]
    configuration: Mapping[str, Any]
    key: str


def compute_and_save(
    job: UnitJob, *, engine: Engine, facts: RunFacts, root: ResultsRoot, reporter: Reporter
) -> None:
    """Compute a unit and put its file in place, or leave everything as it was.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model or the disk failed.
    """
    folder = facts.source.folder
    layout = ShardLayout(
        sites=facts.config.options.sites,
        n_layers=engine.facts.n_layers,
        d_model=engine.facts.d_model,
        lengths=tuple(len(prompt.ids) for prompt in job.tokenised),
        n_heads=engine.facts.n_heads,
        d_head=engine.facts.d_head,
    )
    began, started_at = time.perf_counter(), now()
    reporter.unit_started(model=folder, emotion=job.emotion)
    reporter.step("extract", model=folder, detail=job.emotion)
    shard = UnitShard.create(
        root.shard_path(facts.config.run_id, folder, job.emotion), layout=layout
    )
    try:
        _forward(job, engine=engine, shard=shard, folder=folder, reporter=reporter)
        seconds = time.perf_counter() - began
        reporter.step("save", model=folder, detail=job.emotion)
        before = root.unit_path(folder, job.emotion)
        store = find_store(store_in(job.configuration))
        path = root.unit_path(folder, job.emotion, store=store.name)
        written = store.write(
            path,
            shard=shard,
            tokens=[prompt.ids for prompt in job.tokenised],
            token_strings=[prompt.strings for prompt in job.tokenised],
            labels=[job.emotion] * len(job.prompts),
            metadata=unit_metadata(
                emotion=job.emotion,
                prompts=job.prompts,
                tokenised=job.tokenised,
                facts=facts,
                engine=engine.facts,
                key=job.key,
                configuration=job.configuration,
                timing=UnitTiming(started_at=started_at, ended_at=now(), seconds=seconds),
            ),
        )
    finally:
        shard.close_and_remove()
    manifest.record(
        root,
        ManifestEntry(
            folder=folder,
            emotion=job.emotion,
            sha256=written.sha256,
            size=written.size,
            key=job.key,
            model=facts.source.model_name,
            run_id=facts.config.run_id,
            written_at=now(),
            configuration=job.configuration,
        ),
    )
    if before != path and before.exists():
        # The unit is in one format only; the other file was to be replaced.
        manifest.forget(root, folder, job.emotion, store=store_of(before).name)
        before.unlink()
    reporter.unit_saved(
        model=folder,
        emotion=job.emotion,
        path=str(path),
        size=written.size,
        sha256=written.sha256,
        seconds=time.perf_counter() - began,
        n_samples=len(job.prompts),
        n_tokens=sum(len(prompt.ids) for prompt in job.tokenised),
    )


def _forward(
    job: UnitJob, *, engine: Engine, shard: UnitShard, folder: str, reporter: Reporter
) -> None:
    done = {"samples": 0, "tokens": 0}

    def put(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
        shard.put(site, layer, sample, rows)

    def on_pass(samples: int, tokens: int) -> None:
        done["samples"] += samples
        done["tokens"] += tokens
        reporter.unit_progress(
            model=folder,
            emotion=job.emotion,
            samples_done=done["samples"],
            tokens_done=done["tokens"],
        )
        reporter.check_cancelled()

    engine.forward(job.tokenised, put=put, on_pass=on_pass)
