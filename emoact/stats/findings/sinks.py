"""Tokens that are many times larger than the others: the first one, and those further on."""

from __future__ import annotations

from collections import Counter

import numpy as np
from jaxtyping import Bool

from emoact import numbers
from emoact.stats.findings.finding import SITE_WORDS, ActivationFinding, Figure, span
from emoact.stats.findings.pool import SitePool

SINK = 5.0
"""From five times the median a token counts as massive: in a mean over positions it outweighs five
ordinary ones, in a square twenty-five. In the residual stream of SmolLM2-135M on the shipped
prompts 97 % or more of the other tokens of each layer lie within a factor of two of its median; of
its MLP outputs it is 92 % or more. Independent Gaussian values of four dimensions reach five times
their median norm with probability 3e-17. Sun et al. ask for more, a single value above 100 and
1,000 times the median magnitude: the largest value of these tokens in that stream is 340 to 1,240
times the median magnitude of their layer, and from 1,000 times only at layers 12 to 16."""

_SHOWN_TOKENS = 3
_HELD = 0.1
"""A dimension is named when it alone holds a tenth of a massive token's squared norm."""


def massive_tokens(pool: SitePool) -> list[ActivationFinding]:
    """Content tokens with a norm of at least five times the median of their class and layer.

    Source: Sun et al. 2402.17762 (massive activations).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(pool.is_content & np.isfinite(pool.l2), pool.l2 / pool.class_medians, 0.0)
    massive: Bool[np.ndarray, "layer token"] = np.isfinite(ratios) & (ratios >= SINK)
    layers = tuple(int(layer) for layer in np.flatnonzero(massive.any(axis=1)))
    if not layers:
        return []
    worst, token = (int(n) for n in np.unravel_index(np.argmax(massive * ratios), ratios.shape))
    tokens = [int(index) for index in np.flatnonzero(massive.any(axis=0))]
    at_worst = np.flatnonzero(massive[worst])
    strings = Counter(_string(pool, index) for index in tokens)
    uneven, shares = _uneven(pool, massive)
    dims, held = _dimensions(pool, worst, at_worst)
    number, prompt, position = pool.places[token]
    unit = pool.units[number]
    prompts = {pool.places[index][:2] for index in tokens}
    n_prompts = sum(unit.n_samples for unit in pool.units)
    words = ", ".join(f"“{text}” ×{count}" for text, count in strings.most_common(_SHOWN_TOKENS))
    more = len(strings) - _SHOWN_TOKENS
    others = f" and {numbers.plural(more, 'other string')}" if more > 0 else ""
    least, most = min(shares, key=lambda e: shares[e]), max(shares, key=lambda e: shares[e])
    figures: dict[str, Figure] = {
        "ratio": float(ratios[worst, token]),
        "layer": worst,
        "n_tokens": len(tokens),
        "n_prompts": len(prompts),
        "n_all_prompts": n_prompts,
        "tokens": words,
        "n_other_strings": max(more, 0),
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
    return [
        ActivationFinding(
            kind="massive_tokens",
            severity="warning",
            model=pool.folder,
            site=pool.site,
            layers=layers,
            sentence=f"{numbers.plural(len(tokens), 'content token')} in {len(prompts)} of "
            f"{numbers.plural(n_prompts, 'prompt')} ({words}{others}) "
            f"{'carries' if len(tokens) == 1 else 'carry'} up to "
            f"{numbers.significant(ratios[worst, token])} times the median {SITE_WORDS[pool.site]} "
            f"norm at {span(layers)}, most at layer {worst}" + _held_words(dims, held) + ".",
            meaning="Massive activations: the model parks attention on a few tokens that say "
            "little, as on the first one.",
            matters=True,
            phase3="Yes: means over content take them in. At layer "
            f"{uneven} {_percent(shares[most])} of the {most} prompts have one and "
            f"{_percent(shares[least])} of {least}, and that difference enters class means, "
            "quartiles and directions there whatever the emotion.",
            figures=figures,
            view={
                "view": "prompt",
                "model": pool.folder,
                "site": pool.site,
                "scale": "log",
                "emotion": unit.emotion,
                "prompt": unit.prompt_id(prompt),
            },
        )
    ]


def first_token_sink(pool: SitePool) -> list[ActivationFinding]:
    """Layers where position 0 is at least five times the median of the content after it.

    Source: Xiao et al. 2309.17453 (attention sinks), Gu et al. 2410.10781.
    """
    ratios = np.array([_median(row[np.isfinite(row)]) for row in pool.sink_ratios])
    if not np.isfinite(ratios).any():
        return []
    layers = tuple(int(layer) for layer in np.flatnonzero(ratios >= SINK))
    if not layers:
        return []
    worst = int(np.nanargmax(ratios))
    left_out = all(unit.content_start > 0 for unit in pool.units)
    first = np.array([i for i, place in enumerate(pool.places) if place[2] == 0])
    dims, held = _dimensions(pool, worst, first)
    if left_out:
        what = "It is left out of every figure that does not ask for it"
        phase3 = "No, as long as it is left out: the default pooling takes content positions only."
    else:
        what = "No BOS was prepended, so the first word of each prompt is the sink"
        phase3 = (
            "Yes: the first word is content and outweighs the rest of its prompt in every mean; "
            "extract with a BOS."
        )
    return [
        ActivationFinding(
            kind="first_token_sink",
            severity="note" if left_out else "warning",
            model=pool.folder,
            site=pool.site,
            layers=layers,
            sentence=f"Position 0 carries {numbers.significant(ratios[worst])} times the median "
            f"{SITE_WORDS[pool.site]} norm at layer {worst} (first-token sink), and at least "
            f"{SINK:g} times at {span(layers)}" + _held_words(dims, held) + f". {what}.",
            meaning="Attention that has nowhere to go goes to the first token, which carries a "
            "large constant vector for it.",
            matters=not left_out,
            phase3=phase3,
            figures={
                "ratio": float(ratios[worst]),
                "layer": worst,
                "dimensions": ", ".join(map(str, dims)),
                "dimensions_share": held,
                "bos": int(left_out),
            },
            view={
                "view": "norms",
                "model": pool.folder,
                "site": pool.site,
                "scale": "log",
                "first": "true",
            },
        )
    ]


def _string(pool: SitePool, token: int) -> str:
    number, prompt, position = pool.places[token]
    # The byte-level alphabets of GPT-2 and Llama tokenizers write a space as one of these.
    text = pool.units[number].token_strings[prompt][position]
    return text.replace("Ġ", " ").replace("▁", " ").strip() or text


def _uneven(pool: SitePool, massive: np.ndarray) -> tuple[int, dict[str, float]]:
    """The layer where classes differ most in how many prompts have such a token, and the shares."""
    shares = [_shares(pool, np.flatnonzero(row)) for row in massive]
    apart = [max(own.values()) - min(own.values()) for own in shares]
    layer = int(np.argmax(apart)) if max(apart) > 0 else int(massive.sum(axis=1).argmax())
    return layer, shares[layer]


def _shares(pool: SitePool, tokens: np.ndarray) -> dict[str, float]:
    """Share of each class's prompts that have one of the tokens."""
    prompts = {pool.places[int(token)][:2] for token in tokens}
    return {
        unit.emotion: sum(number == own for number, _ in prompts) / max(unit.n_samples, 1)
        for own, unit in enumerate(pool.units)
    }


def _dimensions(pool: SitePool, layer: int, tokens: np.ndarray) -> tuple[list[int], float]:
    """The dimensions that hold most of these tokens' squared norms, and their median share."""
    dims = np.concatenate([part.top_dims[layer] for part in pool.parts])[tokens]
    values = np.concatenate([part.top_values[layer] for part in pool.parts])[tokens]
    squares = values.astype(np.float64) ** 2
    total = pool.l2[layer, tokens] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(total[:, None] > 0, squares / total[:, None], 0.0)
    typical = {
        int(dim): _median(np.where(dims == dim, share, 0.0).sum(axis=1)) for dim in np.unique(dims)
    }
    named = sorted((dim for dim in typical if typical[dim] >= _HELD), key=lambda d: -typical[d])
    held = np.where(np.isin(dims, named), share, 0.0).sum(axis=1)
    return named, _median(held)


def _held_words(dims: list[int], held: float) -> str:
    if not dims:
        return ""
    which = f"dimension {dims[0]} holds"
    if len(dims) > 1:
        which = f"dimensions {', '.join(map(str, dims[:-1]))} and {dims[-1]} hold"
    return f"; {which} {_percent(held)} of the squared norm"


def _percent(share: float) -> str:
    return f"{numbers.significant(100 * share, 2)} %"


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")
