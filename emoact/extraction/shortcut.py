"""A bypass of the components of a bridge whose hooks are not read.

A TransformerLens bridge wraps each module of the model in a component of its own, so that there is
a hook at every step: it splits a fused projection into three, spells norms out in eight operations,
and builds the whole attention pattern. Between the hooks that are read, the wrapped modules
themselves give the same numbers sooner.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge.generalized_components.base import GeneralizedComponent
from transformers.activations import NewGELUActivation

_FUSED = "sdpa"
"""The name under which transformers knows torch's fused attention."""


@contextmanager
def shortcut(bridge: Any, names: Collection[str]) -> Iterator[bool]:
    """Put the model's own modules in place of components whose hooks are not read.

    Holds for weights as they were loaded: processed ones live in the components alone. GPT-2's
    GELU, seven operations of a published formula, is computed by torch's one operation of the same
    formula. The block is told whether attention can be any function of transformers. The bridge is
    as it was when the block is left; `names` are those of the hooks that are read.
    """
    points = bridge.hook_dict
    read = {id(points[name]) for name in names if name in points}
    body = getattr(bridge.original_model, "base_model", bridge.original_model)
    places: list[tuple[nn.Module, str, nn.Module]] = []
    before = body.config._attn_implementation  # noqa: SLF001
    try:
        whole = _replace(body, read, places)
        # A component of attention that stays reads masks as the bridge has them made.
        if whole and getattr(body, "_supports_sdpa", False):
            body.config._attn_implementation = _FUSED  # noqa: SLF001
        yield whole and bool(getattr(body, "_supports_attention_backend", False))
    finally:
        body.config._attn_implementation = before  # noqa: SLF001
        for parent, name, child in reversed(places):
            parent._modules[name] = child  # noqa: SLF001


def _replace(
    parent: nn.Module, read: Collection[int], places: list[tuple[nn.Module, str, nn.Module]]
) -> bool:
    """Replace what is below a module, and note what was where; False where attention stays."""
    whole = True
    for name, child in list(parent._modules.items()):  # noqa: SLF001
        if child is None or isinstance(child, HookPoint):
            continue
        found: nn.Module = child
        while isinstance(found, GeneralizedComponent) and not _is_read(found, read):
            found = _wrapped(found)
        if isinstance(found, NewGELUActivation):
            found = nn.GELU(approximate="tanh")
        if found is not child:
            places.append((parent, name, child))
            parent._modules[name] = found  # noqa: SLF001
        if isinstance(found, GeneralizedComponent):
            whole = whole and not hasattr(found, "hook_pattern")
            found = _wrapped(found)
        whole = _replace(found, read, places) and whole
    return whole


def _is_read(component: GeneralizedComponent, read: Collection[int]) -> bool:
    return any(
        id(child) in read
        for child in component._modules.values()  # noqa: SLF001
        if isinstance(child, HookPoint)
    )


def _wrapped(component: GeneralizedComponent) -> nn.Module:
    module: Any = component.original_component
    if not isinstance(module, nn.Module):
        # Some components stand for no module of the model at all.
        raise TypeError(f"{type(component).__name__} wraps no module")
    return module
