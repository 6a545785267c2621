"""Tokens whose norm is many times that of the others: position 0, and later ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
from jaxtyping import Bool

from emoact import numbers
from emoact.positions import MASSIVE
from emoact.stats.findings.finding import ActivationFinding, Figure, span
from emoact.stats.findings.pool import SitePool, where

_SHOWN_TOKENS = 3
_HELD = 0.1
"""A dimension is named when it alone holds a tenth of a massive token's squared norm."""


def massive_tokens(pool: SitePool) -> list[ActivationFinding]:
    """Content tokens with a norm of at least five times the median of their class and layer.

    Source: Sun et al. 2402.17762 (massive activations).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(pool.is_content & np.isfinite(pool.l2), pool.l2 / pool.class_medians, 0.0)
    massive: Bool[np.ndarray, "layer token"] = np.isfinite(ratios) & (ratios >= MASSIVE)
    layers = where(massive)
    if not layers:
        return []
    worst, token = (int(n) for n in np.unravel_index(np.argmax(massive * ratios), ratios.shape))
    tokens = [int(index) for index in np.flatnonzero(massive.any(axis=0))]
    strings = Counter(_string(pool, index) for index in tokens)
    uneven, shares = _uneven(pool, massive)
    dims, held = _dimensions(pool, worst, np.flatnonzero(massive[worst]))
    number, prompt, position = pool.places[token]
    unit = pool.units[number]
    n_prompts = len({pool.places[index][:2] for index in tokens})
    n_all = sum(unit.n_samples for unit in pool.units)
    words = ", ".join(f"“{text}” ×{count}" for text, count in strings.most_common(_SHOWN_TOKENS))
    more = max(len(strings) - _SHOWN_TOKENS, 0)
    others = f" and {numbers.plural(more, 'other string')}" if more else ""
    least, most = min(shares, key=lambda e: shares[e]), max(shares, key=lambda e: shares[e])
    figures: dict[str, Figure] = {
        "ratio": float(ratios[worst, token]),
        "layer": worst,
        "n_tokens": len(tokens),
        "n_prompts": n_prompts,
        "n_all_prompts": n_all,
        "tokens": words,
        "n_other_strings": more,
        "dimensions": ", ".join(map(str, dims)),
        "dimensions_share": held,
        "uneven_layer": uneven,
        "most_emotion": most,
        "most_share": shares[most],
        "least_emotion": least,
        "least_share": shares[least],
        "prompt": unit.prompt_id(prompt),
        "prompt_emotion": unit.emotion,
        "position": position,
    }
    return pool.finding(
        "massive_tokens",
        "warning",
        layers=layers,
        sentence=f"{n_prompts:,} of {numbers.plural(n_all, 'prompt')} "
        f"{'contains' if n_prompts == 1 else 'contain'} a token whose {pool.words} norm is at "
        f"least {MASSIVE:g} times the median ({span(layers)}): "
        f"{numbers.plural(len(tokens), 'token')}, {words}{others}. The largest norm is "
        f"{numbers.significant(ratios[worst, token])} times the median, at layer "
        f"{worst}{_held_words(dims, held)}.",
        meaning="Massive activations: a few tokens of little content have very large norms, as "
        "position 0 does.",
        matters=True,
        phase3="Yes: means over content include these tokens. At layer "
        f"{uneven}, {numbers.percent(shares[most])} of the {most} prompts and "
        f"{numbers.percent(shares[least])} of the {least} prompts contain one. Differences between "
        "class means, quartiles and directions at that layer may come from these tokens.",
        figures=figures,
        view={**pool.prompt_view(number, prompt), "scale": "log"},
    )


def first_token_sink(pool: SitePool) -> list[ActivationFinding]:
    """Layers where position 0 is at least five times the median of the content after it.

    Source: Xiao et al. 2309.17453 (attention sinks), Gu et al. 2410.10781.
    """
    ratios = np.array([_median(row[np.isfinite(row)]) for row in pool.sink_ratios])
    layers = tuple(int(layer) for layer in np.flatnonzero(ratios >= MASSIVE))
    if not layers:
        return []
    worst = int(np.nanargmax(ratios))
    left_out = not any(unit.first_is_text for unit in pool.units)
    first = np.array([i for i, place in enumerate(pool.places) if place[2] == 0])
    dims, held = _dimensions(pool, worst, first)
    if left_out:
        consequence = "Means and charts leave it out by default"
        phase3 = "No, as long as it is left out: the default pooling takes content positions only."
    else:
        consequence = "No BOS was prepended, so the first word of each prompt is the sink"
        phase3 = (
            "Yes: the first word is content and outweighs the rest of its prompt in every mean. "
            "Extract with a BOS."
        )
    return pool.finding(
        "first_token_sink",
        "note" if left_out else "warning",
        layers=layers,
        sentence=f"Position 0 carries {numbers.significant(ratios[worst])} times the median "
        f"{pool.words} norm at layer {worst} (first-token sink), and at least {MASSIVE:g} times at "
        f"{span(layers)}{_held_words(dims, held)}. {consequence}.",
        meaning="Attention that finds no relevant token goes to the first one, which carries a "
        "large constant vector.",
        matters=not left_out,
        phase3=phase3,
        figures={
            "ratio": float(ratios[worst]),
            "layer": worst,
            "dimensions": ", ".join(map(str, dims)),
            "dimensions_share": held,
            "bos": int(left_out),
        },
        view={"view": "norms", "scale": "log", "first": "true"},
    )


def _string(pool: SitePool, token: int) -> str:
    number, prompt, position = pool.places[token]
    # The byte-level alphabets of GPT-2 and Llama tokenizers write a space as one of these.
    text = pool.units[number].token_strings[prompt][position]
    return text.replace("Ġ", " ").replace("▁", " ").strip() or text


def _uneven(pool: SitePool, massive: np.ndarray) -> tuple[int, dict[str, float]]:
    """The layer where classes differ most in the share of prompts with such a token, and shares."""
    shares = [_shares(pool, np.flatnonzero(row)) for row in massive]
    apart = [max(own.values()) - min(own.values()) for own in shares]
    layer = int(np.argmax(apart)) if max(apart) > 0 else int(massive.sum(axis=1).argmax())
    return layer, shares[layer]


def _shares(pool: SitePool, tokens: np.ndarray) -> dict[str, float]:
    prompts = {pool.places[int(token)][:2] for token in tokens}
    return {
        unit.emotion: sum(number == own for number, _ in prompts) / max(unit.n_samples, 1)
        for own, unit in enumerate(pool.units)
    }


def _dimensions(pool: SitePool, layer: int, tokens: np.ndarray) -> tuple[list[int], float]:
    """The dimensions that hold most of these tokens' squared norms, and their median share."""
    dims = np.concatenate([part.top_dims[layer] for part in pool.parts])[tokens]
    values = np.concatenate([part.top_values[layer] for part in pool.parts])[tokens]
    total = pool.l2[layer, tokens, None] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(total > 0, values.astype(np.float64) ** 2 / total, 0.0)
    typical = {
        int(dim): _median(np.where(dims == dim, share, 0.0).sum(axis=1)) for dim in np.unique(dims)
    }
    named = sorted((dim for dim in typical if typical[dim] >= _HELD), key=lambda d: -typical[d])
    held = np.where(np.isin(dims, named), share, 0.0).sum(axis=1)
    return named, _median(held)


def _held_words(dims: list[int], held: float) -> str:
    if not dims:
        return ""
    which = (
        f"dimension {dims[0]} holds"
        if len(dims) == 1
        else f"dimensions {numbers.listed(dims)} hold"
    )
    return f"; {which} {numbers.percent(held)} of the squared norm"


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")
