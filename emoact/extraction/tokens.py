"""Prompts to token ids, exactly as TransformerLens makes them, with the BOS policy explicit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emoact.extraction.engine import Tokenised
from emoact.schema import BosPolicy


def tokenise(bridge: Any, texts: Sequence[str], *, bos: BosPolicy) -> list[Tokenised]:
    """Token ids of each text, not yet cut to the context.

    Args:
        bridge: The loaded bridge; its `to_tokens` is the definition.
        texts: The prompts.
        bos: Whether a BOS token goes in front.
    """
    tokenizer = bridge.tokenizer
    results = []
    for text in texts:
        # `truncate` is off: cutting silently is what TransformerLens does by default.
        row = bridge.to_tokens(
            text, prepend_bos=bos == "prepend", truncate=False, move_to_device=False
        )[0]
        ids = row.numpy().astype(np.int64)
        strings = tokenizer.batch_decode(
            [[token] for token in ids.tolist()], clean_up_tokenization_spaces=False
        )
        starts = bos == "prepend" and len(ids) > 0 and int(ids[0]) == tokenizer.bos_token_id
        results.append(
            Tokenised(
                ids=ids,
                strings=tuple(strings),
                content_start=1 if starts else 0,
                full_length=len(ids),
            )
        )
    return results


def bos_facts(bridge: Any, *, bos: BosPolicy) -> dict[str, Any]:
    """What was prepended: policy, token and its id."""
    prepended = bos == "prepend" and tokenise(bridge, ["a"], bos=bos)[0].content_start == 1
    return {
        "policy": bos,
        "prepended": prepended,
        "token": bridge.tokenizer.bos_token if prepended else None,
        "token_id": bridge.tokenizer.bos_token_id if prepended else None,
    }


def cut(prompt: Tokenised, context: int) -> Tokenised:
    """The prompt's first `context` tokens; the same prompt where it already fits."""
    if len(prompt.ids) <= context:
        return prompt
    return Tokenised(
        ids=prompt.ids[:context].copy(),
        strings=prompt.strings[:context],
        content_start=prompt.content_start,
        full_length=prompt.full_length,
    )
