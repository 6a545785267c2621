"""A typed prompt continued with and without a direction: an illustration and no evidence."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from emoact.causes.contributions import check_layer, check_width
from emoact.causes.passes import Text, UpperLayers, blocks_of, stream_of, with_stream
from emoact.errors import RequestError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import Tokenised
from emoact.extraction.generation import Generator
from emoact.extraction.shortcut import shortcut
from emoact.schema import Generation

_SMALL = 8 << 20
"""Bytes of a weight that one thread reads in less than half a millisecond."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Continued:
    """A prompt with what the model wrote behind it.

    Attributes:
        strings: Its tokens, the BOS included.
        n_prompt: Tokens of the prompt among them.
        difference: Log-probability with the direction minus without it, in nats, of every token;
            NaN for the first, before which nothing comes.
    """

    strings: tuple[str, ...]
    n_prompt: int
    difference: Float[np.ndarray, " token"]


def continued(
    engine: BridgeEngine,
    prompt: Tokenised,
    *,
    layer: int,
    vector: Float[np.ndarray, " d_model"],
    generation: Generation,
    from_last: bool = False,
) -> Mapping[str, Continued]:
    """The prompt continued `plain` and `steered`, both scored with and without the direction.

    The direction is added behind the BOS, or from the last token of the prompt on.

    Raises:
        RequestError: The model has no such layer, the vector has another width, or the text would
            be longer than the context.
    """
    bridge = engine.bridge
    check_layer(layer, engine.facts.n_layers)
    check_width(vector, engine.facts.d_model)
    if len(prompt.ids) + generation.max_tokens > engine.context:
        raise RequestError(
            f"{len(prompt.ids)} tokens and {generation.max_tokens} more are too many; the context "
            f"has {engine.context}",
            remedy="Shorten the text.",
        )
    direct = bool(engine.facts.plan.get("direct", False))
    device = next(bridge.original_model.parameters()).device
    # The weights are read once for both, which is most of the time of one token.
    generator = Generator(bridge, device, direct=direct, budget=2 * engine.context)
    start = len(prompt.ids) - 1 if from_last else prompt.content_start
    with (
        shortcut(bridge, ()) if direct else nullcontext(),
        _few_threads(bridge.original_model),
        blocks_of(bridge)[layer].register_forward_pre_hook(_adder(vector, start), with_kwargs=True),
    ):
        both = generator.run([prompt, prompt], generation, lambda _: None)
    written = dict(zip(("plain", "steered"), both, strict=True))
    texts = [
        Text(ids=each.ids, changed_from=start, scored=(1, len(each.ids)))
        for each in written.values()
    ]
    upper = UpperLayers(bridge, texts, layer=layer, direct=direct)
    said = upper.log_probs(np.stack([np.zeros_like(vector), vector]), range(len(texts)))
    return {
        name: Continued(
            strings=each.strings,
            n_prompt=len(prompt.ids),
            difference=np.concatenate([[np.nan], own[1] - own[0]]),
        )
        for (name, each), own in zip(written.items(), said, strict=True)
    }


@contextmanager
def _few_threads(model: nn.Module) -> Iterator[None]:
    """Compute in one thread where a second takes longer to wake than it helps.

    With small matrices that is so: a typed answer of SmolLM2 takes 1.7 s in one thread and 2.3 in
    two that sleep between products.
    """
    sizes = [each.weight.nbytes for each in model.modules() if type(each) is nn.Linear]
    before = torch.get_num_threads()
    if sizes and statistics.median(sizes) < _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _adder(vector: np.ndarray, start: int) -> Callable[..., Any]:
    """A hook that adds a vector from a position of the second of two rows on.

    It does so also where earlier positions are cached.
    """
    added, begun = torch.tensor(vector), False

    def add(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal begun
        stream = stream_of(args, kwargs).clone()
        # One position in a later pass is the newest token; more are the whole text again.
        first = 0 if begun and stream.shape[1] == 1 else start
        begun = True
        stream[1, first:] += added.to(stream)
        return with_stream(args, kwargs, stream)

    return add
