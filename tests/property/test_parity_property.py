"""Whatever the prompts, every plan gives what plain Hugging Face gives for one prompt alone."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoact.extraction.forward import HookReader
from emoact.extraction.plan import PLANS, plan_passes
from emoact.models.load import load_model
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from emoact.sites import saved_sites
from tests.support.families import CONTEXT, WINDOW
from tests.support.reference import hugging_face, hugging_face_activations, largest_difference
from tests.support.tiny_models import FOUR, Rows, save_tiny

PARITY = 1e-5
_SHORT = st.lists(st.integers(0, 3), min_size=1, max_size=8)


@st.composite
def _prompt_sets(draw: st.DrawFn) -> list[list[int]]:
    """Few different tokens, so that prompts share beginnings; then duplicates, beginnings, ends."""
    prompts = draw(st.lists(_SHORT, min_size=1, max_size=6))
    some = draw(st.sampled_from(prompts))
    if draw(st.booleans()):
        prompts.append(list(some))
    if draw(st.booleans()):
        prompts.append(some[: draw(st.integers(1, len(some)))])
    if draw(st.booleans()):
        length = draw(st.sampled_from([WINDOW - 1, WINDOW, WINDOW + 1, CONTEXT - 1, CONTEXT]))
        prompts.append((some * CONTEXT)[:length])
    return draw(st.permutations(prompts))


class _World:
    """One tiny model, as emoact loads it and as Hugging Face does."""

    def __init__(self, family: str, folder: Path) -> None:
        self.bridge = load_model(resolve_model(str(folder)), ExtractionOptions()).bridge
        self.widest = WINDOW if family == "gpt_neo" else CONTEXT
        model = hugging_face(folder)

        @functools.cache
        def expected(ids: tuple[int, ...]) -> Any:
            return hugging_face_activations(model, list(ids))

        self.expected = expected


@pytest.fixture(scope="module", params=FOUR)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _World:
    folder = save_tiny(request.param, tmp_path_factory.mktemp("parity") / request.param)
    return _World(request.param, folder)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    prompts=_prompt_sets(),
    plan=st.sampled_from(PLANS),
    budget=st.integers(1, 2 * CONTEXT),
    direct=st.booleans(),
    staged=st.booleans(),
)
def test_any_prompts_in_any_plan_give_what_each_prompt_gives_alone(
    world: _World, prompts: list[list[int]], plan: Any, budget: int, direct: bool, staged: bool
) -> None:
    if plan == "prefix_tree":
        budget = min(budget, world.widest)
    device = torch.device("cpu")
    reader = HookReader(world.bridge, saved_sites(), device, direct=direct, staged=staged)
    found = Rows()
    ids = [np.array(prompt, dtype=np.int64) for prompt in prompts]
    reader.run_all(plan_passes(ids, plan=plan, budget=budget), found.put)
    for sample, prompt in enumerate(prompts):
        for site, layers in world.expected(tuple(prompt)).items():
            for layer, rows in enumerate(layers):
                assert largest_difference(found[site, layer, sample], rows) <= PARITY
    assert len(found) == len(prompts) * 2 * world.bridge.cfg.n_layers
