"""Which tokens are computed in which pass: pure functions of the tokenised prompts.

In a causal model the activations at a position depend on its prefix only. So right-padding changes
nothing before it, and a prefix that prompts share has to be computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int64

from emoact.errors import RequestError

PlanName = Literal["prefix_tree", "sorted_batches", "one_at_a_time"]
PLANS: tuple[PlanName, ...] = get_args(PlanName)

_PASS_COST = 24
"""What a pass costs beyond its tokens, in tokens: launching it, and filling the machine again."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One forward pass.

    Attributes:
        ids: Token ids; rows are right-padded.
        depths: Position of each token in its prompt, or None where that is its column.
        visible: For a prefix tree, which tokens (columns) each token (row) sees; else None.
        samples: The prompts that this pass finishes, as indices into the unit.
        rows: For each of them, the indices of its tokens in the flattened `ids`.
        n_computed: Tokens computed, padding included.
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
    prompts: Sequence[Int64[np.ndarray, "_"]], *, plan: PlanName, budget: int
) -> list[Pass]:
    """The passes that compute every prompt once.

    Args:
        prompts: Token ids of each prompt of one unit; none empty.
        plan: The layout.
        budget: Most tokens in a pass. A longer prompt gets a pass of its own.

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
        return _sorted_batches(prompts, budget)
    return _prefix_trees(prompts, budget)


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
        # Any token will do as padding: nothing before it can see it.
        ids[row, length:] = prompts[index][-1]
        rows.append(np.arange(row * width, row * width + length, dtype=np.int64))
    return Pass(ids=ids, depths=None, visible=None, samples=tuple(group), rows=tuple(rows))


def _sorted_batches(prompts: Sequence[Int64[np.ndarray, "_"]], budget: int) -> list[Pass]:
    order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
    passes, group = [], list[int]()
    for index in order:
        # Longest first, so the first of a group sets its width.
        if group and (len(group) + 1) * len(prompts[group[0]]) > budget:
            passes.append(_batch(group, prompts))
            group = []
        group.append(index)
    if group:
        passes.append(_batch(group, prompts))
    return passes


def _prefix_trees(prompts: Sequence[Int64[np.ndarray, "_"]], budget: int) -> list[Pass]:
    texts = [tuple(ids.tolist()) for ids in prompts]
    order = sorted(range(len(texts)), key=lambda index: (texts[index], index))
    small = [index for index in order if len(texts[index]) <= budget]
    passes = [_tree(group, texts) for group in _cut(small, texts, budget)]
    # Beyond the budget a tree may not be exact (a local attention window); a single row is.
    return passes + [_batch([index], prompts) for index in order if len(texts[index]) > budget]


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _cut(
    order: Sequence[int], texts: Sequence[tuple[int, ...]], budget: int
) -> list[Sequence[int]]:
    """Split sorted prompts into chunks of at most `budget` nodes at the least total cost.

    A cut between two prompts makes the later chunk compute their shared prefix again, so the cost
    of a split is its nodes plus a constant per pass; found by dynamic programming over cuts.
    """
    count = len(order)
    shared = [0] + [_shared(texts[order[i - 1]], texts[order[i]]) for i in range(1, count)]
    best: list[float] = [0.0] + [float("inf")] * count
    cut_at = [0] * (count + 1)
    for end in range(1, count + 1):
        nodes = 0
        for start in range(end - 1, -1, -1):
            # Chunk start..end-1: its first prompt is whole, each later one adds what is new.
            length = len(texts[order[start]])
            total = nodes + length
            if total > budget:
                break
            cost = best[start] + total + _PASS_COST
            if cost < best[end]:
                best[end], cut_at[end] = cost, start
            nodes += length - shared[start]
            if nodes > budget:
                break
    chunks, end = list[Sequence[int]](), count
    while end > 0:
        chunks.append(order[cut_at[end] : end])
        end = cut_at[end]
    return chunks[::-1]


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
