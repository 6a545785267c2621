"""The sentences that a page begins with, computed from the rows that it draws."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from emoact import numbers
from emoact.numbers import significant
from emoact.stats.findings.finding import ActivationFinding, span
from emoact.stats.norms.norms import FirstTokenRow, NormRow
from emoact.views.plots.norms import KIND_TITLES
from emoact.views.text import md, mono

_SITE_WORDS = {"resid_pre": "residual", "mlp_out": "MLP output", "attn_out": "attention output"}
_SINK = 5.0
"""From this ratio on position 0 is spoken of as a sink."""


def sink_sentence(ratios: Sequence[FirstTokenRow], *, content_start: int) -> str:
    """How much position 0 stands out, and whether the medians below hold it.

    Args:
        ratios: Of one model and one site.
        content_start: 0 when position 0 is the first word of the prompt.
    """
    known = [row for row in ratios if math.isfinite(row.ratio)]
    if not known:
        return ""
    largest = max(known, key=lambda row: row.ratio)
    times = f"{significant(largest.ratio)} times the median {_site(largest.site)} norm"
    if content_start == 0:
        # Nothing was prepended, so the first word cannot be left out as if it were no content.
        return (
            f"No BOS was prepended: position 0 is the first word, carries up to {times} "
            f"(layer {largest.layer}) and is part of the medians below."
        )
    if largest.ratio >= _SINK:
        return (
            f"Position 0 carries {times} at layer {largest.layer} (first-token sink); "
            "it is left out of the medians below."
        )
    return (
        f"Position 0 is no sink: at most {times} (layer {largest.layer}); "
        "it is left out of the medians below."
    )


def massive_sentence(found: ActivationFinding | None) -> str:
    """That a few content tokens carry most of what is drawn, which has to be heard first."""
    if found is None:
        return ""
    figures = found.figures
    return (
        f"{numbers.plural(int(figures['n_tokens']), 'content token')} "
        f"({md(str(figures['tokens']))}) carry up to {significant(float(figures['ratio']))} times "
        f"the median {_site(str(found.site))} norm at {span(found.layers)}: {figures['n_prompts']} "
        f"of {figures['n_all_prompts']} prompts have one, and what differs between emotions at "
        "these layers may be no more than who has."
    )


def course_sentence(rows: Sequence[NormRow]) -> str:
    """From where to where the medians go over the layers, over all emotions.

    Args:
        rows: Content rows of one model and one site.
    """
    by_layer = defaultdict(list)
    for row in rows:
        if math.isfinite(row.median):
            by_layer[row.layer].append(row.median)
    if len(by_layer) < 2:
        return ""
    middle = {layer: sorted(values)[len(values) // 2] for layer, values in by_layer.items()}
    first, last = min(middle), max(middle)
    peak = max(middle, key=lambda layer: middle[layer])
    sentence = (
        f"Over the content the median {_site(rows[0].site)} {KIND_TITLES[rows[0].norm]} goes from "
        f"{significant(middle[first])} at layer {first} to {significant(middle[last])} "
        f"at layer {last}"
    )
    if peak not in (first, last):
        sentence += f", highest at layer {peak} ({significant(middle[peak])})"
    return sentence + "."


def spread_sentence(rows: Sequence[NormRow], *, without: Sequence[int] = ()) -> str:
    """How far apart the medians of the emotions are where they are furthest apart.

    Args:
        rows: Content rows of one model and one site.
        without: Layers at which a few tokens decide the medians; not spoken of.
    """
    by_layer = defaultdict(list)
    for row in rows:
        if math.isfinite(row.median) and row.median > 0 and row.layer not in without:
            by_layer[row.layer].append(row)
    spreads = {
        layer: max(at, key=lambda row: row.median).median
        / min(at, key=lambda row: row.median).median
        for layer, at in by_layer.items()
        if len(at) > 1
    }
    if not spreads:
        return ""
    layer = max(spreads, key=lambda number: spreads[number])
    high = max(by_layer[layer], key=lambda row: row.median)
    low = min(by_layer[layer], key=lambda row: row.median)
    return (
        f"{'At the other layers' if without else 'Between emotions'} the medians"
        f"{' of emotions' if without else ''} differ by at most {_share(spreads[layer] - 1)} "
        f"(layer {layer}: {md(high.emotion)} {significant(high.median)}, "
        f"{md(low.emotion)} {significant(low.median)})."
    )


def broken_sentence(rows: Sequence[NormRow]) -> str:
    """Which rows hold NaN or infinity, or nothing."""
    broken = [row for row in rows if row.n_nonfinite]
    if not broken:
        return ""
    first = broken[0]
    return (
        f"NaN or infinite values in {len({(r.model, r.emotion) for r in broken})} of the files, "
        f"first in {mono(first.model)} {md(first.emotion)}, {first.site}, layer {first.layer}: "
        "the lines have gaps there."
    )


def _site(site: str) -> str:
    return _SITE_WORDS.get(site, site)


def _share(fraction: float) -> str:
    return f"{significant(100 * fraction, 2)} %"
