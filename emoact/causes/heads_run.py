"""Contributions from saved prompts, in the process that has the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emoact.causes.components import check_sum, collect_terms
from emoact.causes.contributions import Contributions, contributions, rows_of
from emoact.causes.direction import pooled_at
from emoact.causes.heads import KIND, N_LARGEST, HeadsWork, name_of, rests_on
from emoact.causes.saved import save_once
from emoact.causes.steer import SITE
from emoact.decode import decode
from emoact.errors import EmoactError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import CHECK_TEXTS, EngineFor, EngineRequest, Tokenised
from emoact.jobs.causes import CausesRequest
from emoact.jobs.reporter import RunReporter
from emoact.models.alike import check_bos, installed_source
from emoact.models.source import Step
from emoact.positions import pool_sample
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName
from emoact.stats.design import Design, design_of
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named
from emoact.store.unit import Unit

_PASS_SHARE = 0.8
_MOST_PROMPTS = 2000
_SAME = 1e-3
"""Largest relative difference between activations of the files and those of a pass here."""
_SAME_HALF = 0.05
"""The same in half precision."""
_AGAIN = "Extract the files again with the model that is installed now."


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
        "by_prompt": _by_prompt(units, found),
    }


def _by_prompt(units: Sequence[Unit], found: Contributions) -> dict[str, Any]:
    """What the largest components contribute to a prompt, and the sum of all, in columns.

    Of many prompts some, evenly spaced.
    """
    owners = [(unit.emotion, name) for unit in units for name in unit_prompts(unit)]
    kept = slice(None, None, math.ceil(len(owners) / _MOST_PROMPTS) or 1)
    sizes = found.table["contrast"].abs()
    largest = sizes.sort_values(ascending=False, kind="stable").index[:N_LARGEST]
    return {
        "emotion": [emotion for emotion, _ in owners[kept]],
        "prompt": [name for _, name in owners[kept]],
        "projection": found.values[kept].sum(axis=1).tolist(),
        "contributions": {
            name_of(found.table.loc[at].to_dict()): found.values[kept, at].tolist()
            for at in largest
        },
    }


def unit_prompts(unit: Unit) -> list[str]:
    """Ids of the prompts of a unit, or their places where the file holds none."""
    prompts: Sequence[Mapping[str, Any]] = unit.prompts or [{}] * unit.n_samples
    return [str(prompt.get("id", at)) for at, prompt in enumerate(prompts)]


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
    _check_same(units[0], engine, asked.options)
    return engine


def _check_same(unit: Unit, engine: BridgeEngine, options: ExtractionOptions) -> None:
    """Compare what enters the last layer in the first prompt with what the file holds.

    Raises:
        EmoactError: They differ: the file comes from another model.
    """
    if unit.pooled or not unit.n_samples or not {SITE} <= set(unit.sites) & set(options.sites):
        return
    prompt, last = saved_prompts(unit)[0], unit.n_layers - 1
    found: list[np.ndarray] = []

    def put(site: SiteName, layer: int, _sample: int, rows: np.ndarray) -> None:
        if (site, layer) == (SITE, last):
            found.append(pool_sample(rows, content=prompt.content).astype(np.float64))

    engine.forward([prompt], put=put, on_pass=lambda _samples, _tokens: None)
    saved = pool_sample(unit.site(SITE)[last][0], content=prompt.content).astype(np.float64)
    apart = float(np.linalg.norm(found[0] - saved) / np.linalg.norm(saved))
    if not apart <= (_SAME if options.dtype == "float32" else _SAME_HALF) + unit.rounding:
        raise EmoactError(
            f"the first prompt of {unit.folder}/{unit.emotion} in the files and in the installed "
            f"model differ by {apart:.2g} of their norm",
            remedy=_AGAIN,
        )


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
    place = (work.target.site, work.target.pooling)
    if any(place not in unit.pooled for unit in units if unit.pooled):
        return
    if any(place[0] not in unit.sites for unit in units):
        return
    means = [pooled_at(unit, work.target).mean(axis=0, dtype=np.float64) for unit in units]
    saved = means[0] - means[1]
    apart = float(np.linalg.norm(saved - found.direction) / np.linalg.norm(saved))
    if not apart <= _SAME:
        raise EmoactError(
            f"the direction of {work.emotion} in the files and that of the installed model differ "
            f"by {apart:.2g} of its norm",
            remedy=_AGAIN,
        )
