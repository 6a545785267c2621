"""The metadata of a unit's pickle, provenance included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoact import sites
from emoact.extraction.engine import EngineFacts, Tokenised
from emoact.extraction.plan import count_nodes
from emoact.jobs.config import RunConfig
from emoact.models.source import ModelSource
from emoact.schema import SCHEMA_VERSION, Dataset, Prompt


def now() -> str:
    """The time, ISO 8601 with offset."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What all units of one model share.

    Attributes:
        config: What was asked for.
        dataset: The prompts.
        source: The model.
        started_at: When work on this model began, ISO 8601.
    """

    config: RunConfig
    dataset: Dataset
    source: ModelSource
    started_at: str


@dataclass(frozen=True, kw_only=True)
class UnitTiming:
    """When a unit was computed.

    Attributes:
        started_at: First pass, ISO 8601.
        ended_at: Last pass, ISO 8601.
        seconds: Wall time between them.
    """

    started_at: str
    ended_at: str
    seconds: float


def unit_metadata(
    *,
    emotion: str,
    prompts: Sequence[Prompt],
    tokenised: Sequence[Tokenised],
    facts: RunFacts,
    engine: EngineFacts,
    key: str,
    configuration: Mapping[str, Any],
    timing: UnitTiming,
) -> dict[str, Any]:
    """The contract's metadata: the report's keys first, ours after them."""
    options = facts.config.options
    return {
        "model_name": facts.source.model_name,
        "n_layers": engine.n_layers,
        "d_model": engine.d_model,
        "d_vocab": engine.d_vocab,
        "n_samples": len(prompts),
        "emotion_label": emotion,
        **{site.flag: site.name in options.sites for site in sites.SITES if site.flag},
        "prompts": [_prompt(prompt) for prompt in prompts],
        "content_start": max((prompt.content_start for prompt in tokenised), default=0),
        "sites": list(options.sites),
        "provenance": _provenance(
            facts=facts,
            engine=engine,
            key=key,
            configuration=configuration,
            timing=timing,
            truncated=[
                {"id": prompt.id, "tokens": row.full_length, "kept": len(row.ids)}
                for prompt, row in zip(prompts, tokenised, strict=True)
                if row.is_truncated
            ],
            n_samples=len(prompts),
            n_tokens=sum(len(row.ids) for row in tokenised),
            n_nodes=count_nodes([row.ids for row in tokenised]),
        ),
    }


def _prompt(prompt: Prompt) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "scenario_id": prompt.scenario_id,
        "subset": prompt.subset,
        "text": prompt.text,
        "lang": prompt.lang,
    }


def _provenance(
    *,
    facts: RunFacts,
    engine: EngineFacts,
    key: str,
    configuration: Mapping[str, Any],
    timing: UnitTiming,
    truncated: list[dict[str, Any]],
    n_samples: int,
    n_tokens: int,
    n_nodes: int,
) -> dict[str, Any]:
    config, source = facts.config, facts.source
    return {
        "schema_version": SCHEMA_VERSION,
        "model_name": source.model_name,
        "folder": source.folder,
        "revision": source.revision,
        "commit": source.commit,
        "weight_source": source.weight_source,
        "random_weights": engine.random_weights,
        "processing": config.options.processing,
        "bos": dict(engine.bos),
        "dtype": config.options.dtype,
        "device": engine.device,
        "sites": list(config.options.sites),
        "dataset": {
            "source": config.dataset.source,
            "sha256": config.dataset.sha256,
            "prompts_sha256": configuration["prompts_sha256"],
        },
        "truncated": truncated,
        "versions": dict(engine.versions),
        "run_id": config.run_id,
        # Nothing is drawn at random between a prompt and its activations.
        "seed": None,
        "command": config.command,
        "run_started_at": facts.started_at,
        "started_at": timing.started_at,
        "ended_at": timing.ended_at,
        "throughput": {
            "samples_per_s": n_samples / timing.seconds if timing.seconds > 0 else None,
            "tokens_per_s": n_tokens / timing.seconds if timing.seconds > 0 else None,
            "seconds": timing.seconds,
            "n_tokens": n_tokens,
            "n_distinct_prefixes": n_nodes,
        },
        "plan": dict(engine.plan),
        "self_check": dict(engine.self_check),
        "unit_key": key,
    }
