"""Attention of a prefix tree, prompt by prompt: exact, and for less than over the whole tree.

Linear layers compute every distinct prefix once. Attention between two nodes of a tree that share
no prompt is masked out, so that it need not be computed: queries, keys and values of the nodes are
gathered into prompts, these attend causally, and one row of each node is taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from emoact.extraction.plan import Pass

_NAME = "emoact_by_prompt"
_groups: _Groups | None = None


class _Groups:
    """Nodes of each prompt of a tree, and one place of each node among the prompts."""

    def __init__(self, one_pass: Pass, device: torch.device) -> None:
        width = max(map(len, one_pass.rows))
        # A shorter prompt is filled up with the first node, which no earlier position reads.
        nodes = np.zeros((len(one_pass.rows), width), dtype=np.int64)
        place = np.zeros(one_pass.ids.size, dtype=np.int64)
        for prompt, rows in enumerate(one_pass.rows):
            nodes[prompt, : len(rows)] = rows
            place[rows] = prompt * width + np.arange(len(rows))
        self.nodes = torch.from_numpy(nodes).to(device)
        self.place = torch.from_numpy(place).to(device)


def is_cheaper(one_pass: Pass) -> bool:
    """True where prompts have fewer pairs of positions than their tree has."""
    if one_pass.visible is None:
        return False
    width = max(map(len, one_pass.rows))
    return len(one_pass.rows) * width**2 < one_pass.ids.size**2


@contextmanager
def by_prompt(body: Any, one_pass: Pass, device: torch.device) -> Iterator[None]:
    """Let the layers of a model attend by prompt during one pass of a prefix tree."""
    global _groups  # noqa: PLW0603  the interface of transformers takes a function by its name
    before = body.config._attn_implementation  # noqa: SLF001
    _groups = _Groups(one_pass, device)
    body.config._attn_implementation = _NAME  # noqa: SLF001
    try:
        yield
    finally:
        body.config._attn_implementation = before  # noqa: SLF001
        _groups = None


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    **how: Any,
) -> tuple[torch.Tensor, None]:
    if _groups is None:
        raise RuntimeError("no prefix tree is being computed")
    nodes, place = _groups.nodes, _groups.place
    # [1, head, node, d_head] -> [prompt, head, pos, d_head]
    query, key, value = (each[0][:, nodes].transpose(0, 1) for each in (query, key, value))
    how["is_causal"] = True
    found, _ = sdpa_attention_forward(module, query, key, value, None, **how)
    return found.flatten(0, 1).index_select(0, place)[None], None


def _no_mask(**_: Any) -> None:
    """Prompts attend causally, which needs no mask."""


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, _no_mask)
