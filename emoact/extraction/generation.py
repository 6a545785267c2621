"""Responses of a model to prompts, token by token: greedy, or drawn with a seed."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from emoact.extraction.engine import Tokenised
from emoact.extraction.shortcut import shortcut
from emoact.schema import Generation

OnResponses = Callable[[int], None]
"""Called after each group of prompts, with its number."""

_FEW_ROWS = 8


class Generator:
    """Continues prompts with a loaded model.

    Prompts of one length go through the model together, so that nothing is padded: padding would
    need a mask that every family reads in the same way.

    Args:
        direct: The model's own modules stand in for the components of the bridge, and keep the
            keys and values of earlier positions. Otherwise every token costs a whole pass.
        budget: Most tokens of a group.
    """

    def __init__(self, bridge: Any, device: torch.device, *, direct: bool, budget: int) -> None:
        self._bridge, self._model = bridge, bridge.original_model
        self._device, self._direct, self._budget = device, direct, budget
        self.stops = stop_tokens(bridge)
        # Of the positions of a prompt the last one is asked for; all of them with a vocabulary of
        # 262,144 would be a gigabyte.
        accepted = inspect.signature(self._model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}

    @torch.inference_mode()
    def run(
        self, prompts: Sequence[Tokenised], generation: Generation, on_done: OnResponses
    ) -> list[Tokenised]:
        """The prompts with their responses behind them, in their order.

        A response ends before the model's end-of-text token, or after `max_tokens`; it may be
        empty. No prompt is empty, and each leaves room for its response in the context. `on_done`
        is told of every group and may raise to stop.
        """
        responses: list[list[int]] = [[] for _ in prompts]
        route = shortcut(self._bridge, ()) if self._direct else nullcontext()
        with route, _few_rows(self._model):
            for group in self._groups(prompts, generation.max_tokens):
                found = self._response([prompts[index] for index in group], generation)
                for index, response in zip(group, found, strict=True):
                    responses[index] = response
                on_done(len(group))
        return [
            self._extended(prompt, response)
            for prompt, response in zip(prompts, responses, strict=True)
        ]

    def _extended(self, prompt: Tokenised, response: Sequence[int]) -> Tokenised:
        ids = np.concatenate([prompt.ids, np.array(response, dtype=np.int64)])
        before, whole, *strings = self._bridge.tokenizer.batch_decode(
            [prompt.ids.tolist(), ids.tolist(), *([token] for token in response)],
            clean_up_tokenization_spaces=False,
        )
        # Some tokenizers drop a space in front of what they decode, so that the prompt comes too.
        text = whole[len(before) :] if whole.startswith(before) else "".join(strings)
        return dataclasses.replace(
            prompt,
            ids=ids,
            strings=(*prompt.strings, *strings),
            full_length=len(ids),
            span=prompt.content,
            response=(len(prompt.ids), len(ids)),
            response_text=text,
        )

    def _groups(self, prompts: Sequence[Tokenised], longest: int) -> Iterator[list[int]]:
        by_length: dict[int, list[int]] = {}
        for index, prompt in enumerate(prompts):
            by_length.setdefault(len(prompt.ids), []).append(index)
        for length, indices in sorted(by_length.items()):
            rows = max(1, self._budget // (length + longest))
            for first in range(0, len(indices), rows):
                yield indices[first : first + rows]

    def _response(self, prompts: Sequence[Tokenised], generation: Generation) -> list[list[int]]:
        seen = torch.from_numpy(np.stack([prompt.ids for prompt in prompts])).to(self._device)
        draws = [_draws(prompt, generation) for prompt in prompts]
        responses: list[list[int]] = [[] for _ in prompts]
        open_rows = set(range(len(prompts)))
        cache, given = None, seen
        for step in range(generation.max_tokens):
            output = self._model(
                input_ids=given,
                past_key_values=cache,
                use_cache=self._direct,
                **self._last_only,
            )
            logits = output.logits[:, -1].float()
            if generation.temperature is None:
                chosen = logits.argmax(dim=-1).cpu().numpy()
            else:
                rows = logits.double().cpu().numpy() / generation.temperature
                chosen = np.array(
                    [_drawn(row, draw[step]) for row, draw in zip(rows, draws, strict=True)]
                )
            for row in sorted(open_rows):
                if int(chosen[row]) in self.stops:
                    open_rows.discard(row)
                else:
                    responses[row].append(int(chosen[row]))
            if not open_rows:
                break
            new = torch.from_numpy(chosen[:, None]).to(self._device)
            cache = getattr(output, "past_key_values", None) if self._direct else None
            seen = torch.cat([seen, new], dim=1)
            # A model without such a cache reads everything again.
            given = seen if cache is None else new
        return responses


def stop_tokens(bridge: Any) -> frozenset[int]:
    """Tokens that end a response: those of the model's generation configuration.

    The tokenizer's end-of-text token where it names none.
    """
    config = getattr(bridge.original_model, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    if named is None:
        named = bridge.tokenizer.eos_token_id
    if named is None:
        return frozenset()
    return frozenset([named] if isinstance(named, int) else map(int, named))


@contextmanager
def _few_rows(model: nn.Module) -> Iterator[None]:
    """Multiply 2 to 8 rows on a CPU as W xᵀ rather than x Wᵀ.

    The time of a new token is that of reading the weights, and torch reads them two to four times
    as fast in that order.
    """
    layers = [each for each in model.modules() if type(each) is nn.Linear]
    for layer in layers:
        layer.forward = partial(_multiplied, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _multiplied(layer: nn.Linear, given: torch.Tensor) -> torch.Tensor:
    # What was computed from such a product lies column by column, which is slow again.
    rows = given.reshape(-1, given.shape[-1]).contiguous()
    if not 1 < len(rows) <= _FEW_ROWS or given.device.type != "cpu":
        return nn.functional.linear(given, layer.weight, layer.bias)
    product = (layer.weight @ rows.T).T
    if layer.bias is not None:
        product = product + layer.bias
    return product.reshape(*given.shape[:-1], -1)


def _draws(prompt: Tokenised, generation: Generation) -> Float[np.ndarray, " step"]:
    """Uniform numbers of one prompt, by the seed and its tokens, independent of its neighbours."""
    digest = hashlib.sha256(prompt.ids.astype("<i8").tobytes()).digest()
    own = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.default_rng([generation.seed, *own]).random(generation.max_tokens)


def _drawn(scaled: Float[np.ndarray, " token"], uniform: float) -> int:
    """The token at this place of the cumulative distribution."""
    weights = np.exp(scaled - scaled.max())
    edges = np.cumsum(weights)
    return min(int(np.searchsorted(edges, uniform * edges[-1], side="right")), len(edges) - 1)
