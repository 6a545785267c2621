"""Contributions from saved prompts, in the process that has the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emoact.causes.components import check_sum, collect_terms
from emoact.causes.contributions import Contributions, contributions, rows_of
from emoact.causes.heads import KIND, HeadsWork, rests_on
from emoact.causes.saved import save_once
from emoact.decode import decode
from emoact.errors import EmoactError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import CHECK_TEXTS, EngineFor, EngineRequest, Tokenised
from emoact.jobs.causes import CausesRequest
from emoact.jobs.reporter import RunReporter
from emoact.models.alike import check_bos, installed_source
from emoact.models.source import Step
from emoact.positions import pool_sample
from emoact.stats.design import Design, design_of
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named
from emoact.store.unit import Unit

_PASS_SHARE = 0.8
_SAME = 1e-3
"""Largest relative difference between a direction of the files and that of this pass."""


def run_heads(
    root: ResultsRoot, request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> None:
    """Compute and save what is asked for, unless it is on disk.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model is not that of the files, or the disk failed.
        RequestError: Contributions of this model cannot be given; says why.
    """
    work = decode(HeadsWork, request.asked, where="the request for heads")
    units = [read_named(root, work.folder, name) for name in work.units]
    basis = rests_on(units, work)
    save_once(
        root,
        KIND,
        basis,
        reporter,
        lambda: _computed(units, work, request, reporter, engine_for),
    )


def _computed(
    units: Sequence[Unit],
    work: HeadsWork,
    request: CausesRequest,
    reporter: RunReporter,
    engine_for: EngineFor,
) -> dict[str, Any]:
    engine = saved_model(units, request, reporter, engine_for)
    prompts = [prompt for unit in units for prompt in saved_prompts(unit)]

    def on_part(part: float) -> None:
        reporter.step(
            "extract",
            model=work.folder,
            detail="heads, MLPs and embedding",
            done=round(part * len(prompts)),
            total=len(prompts),
            share=_PASS_SHARE * part,
        )

    terms = collect_terms(engine, prompts, work.target, on_part)
    reporter.step("analyze", model="", detail="relabelling", share=_PASS_SHARE)
    found = contributions(terms, design_of_units(units), work.emotion, work.settings)
    check_sum(found.gap, request.model.options.dtype)
    _check_direction(units, work, found)
    return {
        "model": work.folder,
        "emotion": work.emotion,
        "neutral": work.settings.neutral,
        "target": {
            "site": work.target.site,
            "layer": work.target.layer,
            "pooling": work.target.pooling,
        },
        "n_prompts": len(prompts),
        "random_weights": engine.facts.random_weights,
        "direction_norm": found.direction_norm,
        "total": found.total,
        "gap": found.gap,
        "n_permutations": work.settings.n_permutations,
        "components": rows_of(found.table),
    }


def saved_model(
    units: Sequence[Unit], request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> BridgeEngine:
    """The loaded model of the units.

    Raises:
        EmoactError: It is not installed as it was.
        RequestError: It begins a prompt with another token, or lacks a hook.
    """

    def on_step(
        step: Step, *, detail: str = "", done: float | None = None, total: float | None = None
    ) -> None:
        reporter.step(step, model=request.model.folder, detail=detail, done=done, total=total)

    texts = [str(prompt["text"]) for prompt in units[0].prompts or () if prompt["text"]]
    asked = EngineRequest(
        source=installed_source(request.model),
        options=request.model.options,
        allow_pickle_weights=request.model.allow_pickle_weights,
        texts=tuple(texts) or CHECK_TEXTS,
    )
    engine = engine_for(asked, on_step)
    if not isinstance(engine, BridgeEngine):
        raise EmoactError(f"{request.model.model} has no modules to look into")
    check_bos(engine.facts.bos, units[0].configuration or {})
    return engine


def saved_prompts(unit: Unit) -> list[Tokenised]:
    """The prompts of a unit as the model read them."""
    responses = unit.response_spans or [None] * unit.n_samples
    return [
        Tokenised(
            ids=np.array(ids, dtype=np.int64),
            strings=strings,
            content_start=unit.content_start,
            full_length=len(ids),
            span=span,
            response=response,
        )
        for ids, strings, span, response in zip(
            unit.tokens, unit.token_strings, unit.content, responses, strict=True
        )
    ]


def design_of_units(units: Sequence[Unit]) -> Design:
    """Classes and scenarios of all prompts, unit by unit."""
    prompts = [prompt for unit in units for prompt in unit.prompts or [{}] * unit.n_samples]
    scenarios = [prompt.get("scenario_id") for prompt in prompts]
    return design_of(
        [unit.emotion for unit in units for _ in range(unit.n_samples)],
        [None if scenario is None else str(scenario) for scenario in scenarios],
        [(str(p.get("id", i)), str(p.get("text", ""))) for i, p in enumerate(prompts)],
    )


def _check_direction(units: Sequence[Unit], work: HeadsWork, found: Contributions) -> None:
    """Compare the direction with that of the files.

    Raises:
        EmoactError: They differ: the files come from another model or from other prompts.
    """
    target = work.target
    if any(target.site not in unit.sites for unit in units):
        return
    means = []
    for unit in units:
        layers = unit.site(target.site)
        rows = layers[target.layer if len(layers) > 1 else 0]
        pooled = [
            pool_sample(
                row, pooling=target.pooling, content=prompt.content, response=prompt.response
            )
            for row, prompt in zip(rows, saved_prompts(unit), strict=True)
        ]
        means.append(np.mean(pooled, axis=0, dtype=np.float64))
    saved = means[0] - means[1]
    apart = float(np.linalg.norm(saved - found.direction) / np.linalg.norm(saved))
    if not apart <= _SAME:
        raise EmoactError(
            f"the direction of {work.emotion} in the files and that of the installed model differ "
            f"by {apart:.2g} of its norm",
            remedy="Extract the files again with the model that is installed now.",
        )
