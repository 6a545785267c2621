"""Loaded model and prompts, with every way to run the model on them."""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from emoact.bench import ways
from emoact.bench.limit import Shape, linear_shapes
from emoact.bench.ways import Prompts, Way, load_bare
from emoact.errors import RequestError
from emoact.extraction.bridge_engine import BridgeEngine, load_engine
from emoact.extraction.engine import EngineRequest
from emoact.extraction.extractor import Quiet
from emoact.extraction.pipeline import run_units
from emoact.extraction.plan import PLANS, plan_passes
from emoact.models.install import ensure_model
from emoact.models.resolve import resolve_model
from emoact.models.source import silent
from emoact.schema import Device, ExtractionOptions

RUN = "run"
"""Name of the pipeline: tokenising, passes, pickle, manifest."""


class Subject:
    """Loaded model and prompts of a bench."""

    def __init__(self, model: str, texts: Sequence[Sequence[str]], device: Device = "cpu") -> None:
        self.asked = model
        self.texts = [list(group) for group in texts]
        self.source = ensure_model(resolve_model(model))
        if self.source.path is None:
            raise RequestError(f"{model} is not installed")
        self._path = self.source.path
        self.options = ExtractionOptions(device=device)
        request = EngineRequest(
            source=self.source, options=self.options, texts=tuple(self.texts[0])
        )
        checked = load_engine(request)
        # With the plan given, no pass of the self-check stays in memory to be used again.
        self.engine: BridgeEngine = checked.again(
            replace(request, frozen=checked.facts.plan), silent
        )
        self.device = self.engine.facts.device
        # A GPU is idle for most of a small batch, so that there the bare model gets wide ones.
        is_cpu = self.device == "cpu"
        self._batch_tokens = ways.BATCH_TOKENS if is_cpu else self.engine.budgets["sorted_batches"]
        self.groups: list[Prompts] = [self.engine.tokenise(group) for group in self.texts]

    @cached_property
    def bare(self) -> Any:
        """Model without TransformerLens."""
        return load_bare(self._path, self.device)

    @cached_property
    def shapes(self) -> dict[Shape, int]:
        """Linear layers of the blocks."""
        return linear_shapes(self.bare)

    @property
    def pass_tokens(self) -> int:
        """Tokens of a pass of the chosen plan, as a mean."""
        chosen = self.engine.facts.plan
        budget, fixed = self.engine.budgets[chosen["plan"]], float(chosen["pass_cost"])
        sizes = [
            one_pass.n_computed
            for group in self.groups
            for one_pass in plan_passes(
                [prompt.ids for prompt in group], plan=chosen["plan"], budget=budget, fixed=fixed
            )
        ]
        return round(sum(sizes) / len(sizes))

    @property
    def flop_per_token(self) -> int:
        """Operations of the linear layers of the blocks, without the products of attention."""
        return sum(2 * count * shape.inputs * shape.outputs for shape, count in self.shapes.items())

    def ways(self) -> list[Way]:
        """All ways, `run_with_cache` first."""
        through_lens, *plans = self._bridge_ways()
        return [through_lens, *self._bare_ways(), *plans]

    def job(self, name: str) -> Callable[[], object]:
        """Function that runs the whole job once, by the named way."""
        if name == RUN:
            return self.run_pipeline
        # Only what is measured is made: the bare model takes memory of its own.
        bare = name.startswith("hugging_face")
        several = self._bare_ways() if bare else self._bridge_ways()
        way = next(way for way in several if way.name == name)
        return lambda: way.run(self.groups, lambda *_: None)

    def forget_bridge(self) -> None:
        """Keep only the bare model, so that its memory can be measured."""
        _ = self.bare
        del self.engine
        gc.collect()

    def _bare_ways(self) -> list[Way]:
        batches = ways.in_sorted_batches(self.bare, self._batch_tokens)
        return [ways.through_hugging_face(self.bare), batches]

    def _bridge_ways(self) -> list[Way]:
        bridge, chosen = self.engine.bridge, self.engine.facts.plan
        direct, fixed = bool(chosen["direct"]), float(chosen["pass_cost"])
        budgets = self.engine.budgets
        plans = [
            ways.by_plan(
                bridge,
                name,
                budgets[name],
                direct=direct,
                by_prompt=bool(chosen["by_prompt"]),
                fixed=fixed,
            )
            for name in PLANS
        ]
        return [ways.through_transformer_lens(bridge), *plans]

    def run_pipeline(self) -> float:
        """Run the pipeline from texts to acknowledged files, and return its wall time in seconds.

        The check of the request and the clean-up are not timed.
        """
        from emoact.jobs.request import ExtractRequest, prepare

        with tempfile.TemporaryDirectory(prefix="emoact-bench-") as folder:
            dataset = Path(folder, "prompts.jsonl")
            with dataset.open("w", encoding="utf-8") as file:
                for unit, group in enumerate(self.texts):
                    for number, text in enumerate(group):
                        row = {"id": f"{unit}-{number}", "emotion": f"unit{unit}", "text": text}
                        file.write(json.dumps(row) + "\n")
            config = prepare(
                ExtractRequest(
                    models=(self.asked,),
                    dataset=dataset,
                    results=Path(folder, "results"),
                    options=self.options,
                )
            )
            began = time.perf_counter()
            run_units(config, reporter=Quiet(), plans={}, engine_for=lambda *_: self.engine)
            return time.perf_counter() - began
