"""Every plan covers any set of prompts exactly once, and shows each token its own past only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoact.errors import RequestError
from emoact.extraction.plan import PLANS, PlanName, count_nodes, pass_cost, plan_passes

# Few different tokens, so that prompts share prefixes, repeat, and are prefixes of one another.
_PROMPT = st.lists(st.integers(0, 2), min_size=1, max_size=12)
_PROMPTS = st.lists(_PROMPT, min_size=1, max_size=20)


def _arrays(prompts: list[list[int]]) -> list[np.ndarray]:
    return [np.array(prompt, dtype=np.int64) for prompt in prompts]


@settings(deadline=None)
@given(prompts=_PROMPTS, plan=st.sampled_from(PLANS), budget=st.integers(1, 60))
def test_each_prompt_is_done_once(prompts: list[list[int]], plan: PlanName, budget: int) -> None:
    passes = plan_passes(_arrays(prompts), plan=plan, budget=budget)
    finished = [sample for one_pass in passes for sample in one_pass.samples]
    assert sorted(finished) == list(range(len(prompts)))
    for one_pass in passes:
        flat = one_pass.ids.reshape(-1)
        for sample, rows in zip(one_pass.samples, one_pass.rows, strict=True):
            assert flat[rows].tolist() == prompts[sample]


@settings(deadline=None)
@given(prompts=_PROMPTS, plan=st.sampled_from(PLANS), budget=st.integers(1, 60))
def test_tokens_see_their_own_prefix(prompts: list[list[int]], plan: PlanName, budget: int) -> None:
    for one_pass in plan_passes(_arrays(prompts), plan=plan, budget=budget):
        width = one_pass.ids.shape[1]
        for rows in one_pass.rows:
            for position, row in enumerate(rows.tolist()):
                if one_pass.visible is None:
                    # An ordinary causal row: what is seen are the columns up to one's own.
                    assert row % width == position
                else:
                    seen = np.flatnonzero(one_pass.visible[row]).tolist()
                    assert seen == sorted(rows[: position + 1].tolist())
                    assert one_pass.depths is not None
                    assert one_pass.depths[0, row] == position


@settings(deadline=None)
@given(prompts=_PROMPTS, plan=st.sampled_from(PLANS), budget=st.integers(1, 60))
def test_a_pass_keeps_the_budget(prompts: list[list[int]], plan: PlanName, budget: int) -> None:
    for one_pass in plan_passes(_arrays(prompts), plan=plan, budget=budget):
        assert one_pass.n_computed <= budget or len(one_pass.samples) == 1


@settings(deadline=None)
@given(prompts=_PROMPTS)
def test_one_tree_computes_each_distinct_prefix_once(prompts: list[list[int]]) -> None:
    distinct = {tuple(prompt[: end + 1]) for prompt in prompts for end in range(len(prompt))}
    (one_pass,) = plan_passes(_arrays(prompts), plan="prefix_tree", budget=10_000)
    assert one_pass.n_computed == len(distinct) == count_nodes(_arrays(prompts))


@settings(deadline=None)
@given(prompts=st.lists(_PROMPT, min_size=1, max_size=7), budget=st.integers(12, 40))
def test_cuts_between_trees_cost_least_of_all(prompts: list[list[int]], budget: int) -> None:
    ordered = sorted(tuple(prompt) for prompt in prompts)

    def nodes(chunk: list[tuple[int, ...]]) -> int:
        return len({prompt[: end + 1] for prompt in chunk for end in range(len(prompt))})

    best = float("inf")
    for cuts in range(1 << (len(ordered) - 1)):
        chunks, chunk = [], [ordered[0]]
        for place, prompt in enumerate(ordered[1:]):
            if cuts >> place & 1:
                chunks.append(chunk)
                chunk = []
            chunk.append(prompt)
        chunks.append(chunk)
        if all(nodes(chunk) <= budget for chunk in chunks):
            best = min(best, sum(pass_cost(nodes(chunk)) for chunk in chunks))
    passes = plan_passes(_arrays(prompts), plan="prefix_tree", budget=budget)
    assert sum(pass_cost(one_pass.n_computed) for one_pass in passes) == pytest.approx(best)


def test_the_same_prompts_always_give_the_same_passes() -> None:
    prompts = _arrays([[1, 2, 3], [1, 2], [0], [1, 2, 3], [2, 2, 2, 2]])
    for plan in PLANS:
        one, other = (plan_passes(prompts, plan=plan, budget=6) for _ in range(2))
        assert [p.samples for p in one] == [p.samples for p in other]
        assert all((a.ids == b.ids).all() for a, b in zip(one, other, strict=True))


def test_an_empty_prompt_or_budget_is_refused() -> None:
    with pytest.raises(RequestError, match="prompt 1 has no tokens"):
        plan_passes(_arrays([[1], []]), plan="prefix_tree", budget=8)
    with pytest.raises(RequestError, match="budget of a pass is 0"):
        plan_passes(_arrays([[1]]), plan="prefix_tree", budget=0)
