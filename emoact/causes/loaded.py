"""A question about causes with its units and their model, in the process that has it loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoact.causes.direction import prompts_of
from emoact.causes.passes import Text
from emoact.causes.steer import SITE
from emoact.errors import EmoactError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import EngineFor, Tokenised, engine_of_files
from emoact.jobs.causes import CausesRequest
from emoact.jobs.reporter import RunReporter
from emoact.models.alike import check_bos
from emoact.positions import pool_sample
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName
from emoact.stats.design import Design, design_of
from emoact.store.layout import ResultsRoot
from emoact.store.unit import Unit

SAME = 1e-3
"""Largest relative difference between activations of the files and those of a pass here."""
_SAME_HALF = 0.05
"""The same in half precision."""
AGAIN = "Extract the files again with the model that is installed now."


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """A question that is to be answered."""

    root: ResultsRoot
    units: Sequence[Unit]
    request: Any
    dtype: str
    reporter: RunReporter
    engine: BridgeEngine

    @property
    def direct(self) -> bool:
        """True where the bridge's components may be bypassed."""
        return bool(self.engine.facts.plan.get("direct", False))


def unit_prompts(unit: Unit) -> list[str]:
    """Ids of the prompts of a unit, or their places where the file holds none."""
    return [str(prompt.get("id", at)) for at, prompt in enumerate(prompts_of(unit))]


def saved_model(
    units: Sequence[Unit], request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> BridgeEngine:
    """The loaded model of the units.

    Raises:
        EmoactError: It is not installed as it was.
        RequestError: It begins a prompt with another token, or lacks a hook.
    """
    texts = [str(prompt["text"]) for prompt in units[0].prompts or () if prompt["text"]]
    engine = engine_of_files(request.model, texts, reporter, engine_for)
    if not isinstance(engine, BridgeEngine):
        raise EmoactError(f"{request.model.model} has no modules to look into")
    check_bos(engine.facts.bos, units[0].configuration or {})
    _check_same(units[0], engine, request.model.options)
    return engine


def _check_same(unit: Unit, engine: BridgeEngine, options: ExtractionOptions) -> None:
    """Compare what enters the last layer in the first prompt with what the file holds."""
    if unit.pooled or not unit.n_samples or not {SITE} <= set(unit.sites) & set(options.sites):
        return
    prompt, last = saved_prompts(unit)[0], unit.n_layers - 1
    found: list[np.ndarray] = []

    def put(site: SiteName, layer: int, _sample: int, rows: np.ndarray) -> None:
        if (site, layer) == (SITE, last):
            found.append(pool_sample(rows, content=prompt.content).astype(np.float64))

    engine.forward([prompt], put=put)
    saved = pool_sample(unit.site(SITE)[last][0], content=prompt.content).astype(np.float64)
    apart = float(np.linalg.norm(found[0] - saved) / np.linalg.norm(saved))
    if not apart <= (SAME if options.dtype == "float32" else _SAME_HALF) + unit.rounding:
        raise EmoactError(
            f"the first prompt of {unit.folder}/{unit.emotion} in the files and in the installed "
            f"model differ by {apart:.2g} of their norm",
            remedy=AGAIN,
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


def saved_texts(units: Sequence[Unit], words: tuple[int, ...] = ()) -> list[Text]:
    """The prompts of all units as texts that are scored, unit by unit.

    What follows a text, a template or a response, changes nothing before it and is left out.
    """
    return [
        Text(
            ids=prompt.ids[: prompt.content[1]],
            changed_from=prompt.content_start,
            scored=prompt.content,
            words=words,
        )
        for unit in units
        for prompt in saved_prompts(unit)
    ]


def design_of_units(units: Sequence[Unit]) -> Design:
    """Classes and scenarios of all prompts, unit by unit."""
    prompts = [prompt for unit in units for prompt in prompts_of(unit)]
    scenarios = [prompt.get("scenario_id") for prompt in prompts]
    return design_of(
        [unit.emotion for unit in units for _ in range(unit.n_samples)],
        [None if scenario is None else str(scenario) for scenario in scenarios],
        [(str(p.get("id", i)), str(p.get("text", ""))) for i, p in enumerate(prompts)],
    )


def scenarios_of(units: Sequence[Unit]) -> list[str]:
    """Name of every prompt's scenario; of the prompt where it has none."""
    return [
        str(prompt.get("scenario_id") or prompt.get("id") or f"{unit.emotion} {at}")
        for unit in units
        for at, prompt in enumerate(prompts_of(unit))
    ]
