"""Layout of the tokens of a unit in passes: pure functions of the tokenised prompts.

In a causal model the activations at a position depend on its prefix only. Right-padding therefore
changes nothing before it, and a prefix that prompts share is computed once.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int64

from emoact.errors import RequestError

PlanName = Literal["prefix_tree", "sorted_batches", "one_at_a_time"]
PLANS: tuple[PlanName, ...] = get_args(PlanName)

PASS_COST = {"cpu": 64.0, "cuda": 4000.0}
"""Fixed cost of a pass in units of the cost of one token, by type of device, as measured."""
_PAIR_COST = 2e-4
"""Cost of attention between two tokens of one row, in the same unit."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One forward pass.

    Attributes:
        ids: Token ids; rows are right-padded.
        depths: Position of each token in its prompt, or None where that is its column.
        visible: For a prefix tree, which tokens (columns) each token (row) sees; else None.
        samples: The prompts that this pass finishes, as indices into the unit.
        rows: For each of them, the indices of its tokens in the flattened `ids`.
    """

    ids: Int64[np.ndarray, "batch width"]
    depths: Int64[np.ndarray, "batch width"] | None
    visible: Bool[np.ndarray, "width width"] | None
    samples: tuple[int, ...]
    rows: tuple[Int64[np.ndarray, "_"], ...]

    @property
    def n_computed(self) -> int:
        """Tokens computed, padding included."""
        return int(self.ids.size)


def plan_passes(
    prompts: Sequence[Int64[np.ndarray, "_"]],
    *,
    plan: PlanName,
    budget: int,
    fixed: float = PASS_COST["cpu"],
) -> list[Pass]:
    """The passes that compute every prompt once.

    A prompt that is longer than `budget`, the most tokens of a pass, gets a pass of its own.
    `fixed` is the fixed cost of a pass in units of the cost of one token.

    Raises:
        RequestError: A prompt is empty, or the budget is not positive.
    """
    if budget < 1:
        raise RequestError(f"the token budget of a pass is {budget}; 1 or more is allowed")
    for index, ids in enumerate(prompts):
        if len(ids) == 0:
            raise RequestError(f"prompt {index} has no tokens")
    if plan == "one_at_a_time":
        return [_batch([index], prompts) for index in range(len(prompts))]
    if plan == "sorted_batches":
        return _sorted_batches(prompts, budget, fixed)
    return _prefix_trees(prompts, budget, fixed)


def count_nodes(prompts: Sequence[Int64[np.ndarray, "_"]]) -> int:
    """Number of distinct prefixes: the least that can be computed."""
    ordered = sorted(tuple(ids.tolist()) for ids in prompts)
    nodes, before = 0, ()
    for ids in ordered:
        nodes += len(ids) - _shared(before, ids)
        before = ids
    return nodes


def _batch(group: Sequence[int], prompts: Sequence[Int64[np.ndarray, "_"]]) -> Pass:
    width = max(len(prompts[index]) for index in group)
    ids = np.zeros((len(group), width), dtype=np.int64)
    rows = []
    for row, index in enumerate(group):
        length = len(prompts[index])
        ids[row, :length] = prompts[index]
        # The padding token is arbitrary: no earlier position attends to it.
        ids[row, length:] = prompts[index][-1]
        rows.append(np.arange(row * width, row * width + length, dtype=np.int64))
    return Pass(ids=ids, depths=None, visible=None, samples=tuple(group), rows=tuple(rows))


def _sorted_batches(
    prompts: Sequence[Int64[np.ndarray, "_"]], budget: int, fixed: float
) -> list[Pass]:
    order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))

    def tokens(start: int, end: int) -> int:
        # Longest first, so the first of a group sets its width.
        return (end - start) * len(prompts[order[start]])

    def cost(start: int, end: int) -> float:
        return pass_cost(tokens(start, end), rows=end - start, fixed=fixed)

    cuts = _cheapest_cuts(len(order), tokens, cost, budget)
    return [_batch(order[start:end], prompts) for start, end in cuts]


def _prefix_trees(
    prompts: Sequence[Int64[np.ndarray, "_"]], budget: int, fixed: float
) -> list[Pass]:
    texts = [tuple(ids.tolist()) for ids in prompts]
    order = sorted(range(len(texts)), key=lambda index: (texts[index], index))
    small = [index for index in order if len(texts[index]) <= budget]
    passes = [_tree(group, texts) for group in _chunks(small, texts, budget, fixed)]
    # Beyond the budget a tree may be inexact (local attention windows); a single row is exact.
    return passes + [_batch([index], prompts) for index in order if len(texts[index]) > budget]


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _chunks(
    order: Sequence[int], texts: Sequence[tuple[int, ...]], budget: int, fixed: float
) -> list[Sequence[int]]:
    """Split sorted prompts into trees of at most `budget` nodes.

    A cut between two prompts makes the later tree compute their shared prefix again.
    """
    lengths = [len(texts[index]) for index in order]
    shared = [0] + [_shared(texts[a], texts[b]) for a, b in pairwise(order)]
    # New nodes of each prompt after its neighbour, added up.
    added: list[int] = [0, *accumulate(map(operator.sub, lengths, shared))]

    def nodes(start: int, end: int) -> int:
        # The first prompt of a chunk is whole, each later one adds what is new.
        return lengths[start] + added[end] - added[start + 1]

    def cost(start: int, end: int) -> float:
        return pass_cost(nodes(start, end), fixed=fixed)

    cuts = _cheapest_cuts(len(order), nodes, cost, budget)
    return [order[start:end] for start, end in cuts]


def pass_cost(tokens: int, *, rows: int = 1, fixed: float = PASS_COST["cpu"]) -> float:
    """Cost of a pass in units of the cost of one token."""
    return tokens + _PAIR_COST * tokens * tokens / rows + fixed


def _cheapest_cuts(
    count: int,
    tokens: Callable[[int, int], int],
    cost: Callable[[int, int], float],
    budget: int,
) -> list[tuple[int, int]]:
    """The split of `range(count)` into stretches whose costs add up to the least.

    Both functions are of a stretch from its start up to its end. Its tokens, which grow with it,
    are within the budget unless it is of one.
    """
    best = [0.0] + [math.inf] * count
    cut_at = [0] * (count + 1)
    for end in range(1, count + 1):
        for start in range(end - 1, -1, -1):
            if tokens(start, end) > budget and end - start > 1:
                break
            total = best[start] + cost(start, end)
            if total < best[end]:
                best[end], cut_at[end] = total, start
    cuts, end = list[tuple[int, int]](), count
    while end > 0:
        cuts.append((cut_at[end], end))
        end = cut_at[end]
    return cuts[::-1]


def _tree(group: Sequence[int], texts: Sequence[tuple[int, ...]]) -> Pass:
    ids, depths, parents = list[int](), list[int](), list[int]()
    paths, path, before = list[list[int]](), list[int](), tuple[int, ...]()
    for index in group:
        text = texts[index]
        path = path[: _shared(before, text)]
        for token in text[len(path) :]:
            parents.append(path[-1] if path else -1)
            depths.append(len(path))
            path = [*path, len(ids)]
            ids.append(token)
        paths.append(path)
        before = text
    visible = np.zeros((len(ids), len(ids)), dtype=np.bool_)
    for node, parent in enumerate(parents):
        if parent >= 0:
            visible[node] = visible[parent]
        visible[node, node] = True
    return Pass(
        ids=np.array([ids], dtype=np.int64),
        depths=np.array([depths], dtype=np.int64),
        visible=visible,
        samples=tuple(group),
        rows=tuple(np.array(nodes, dtype=np.int64) for nodes in paths),
    )
