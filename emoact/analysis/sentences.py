"""Summary sentences and badges of an analysis, from its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from emoact.numbers import significant
from emoact.stats.result import AnalysisResult

_TRANSFER = "explicit_to_implicit"
_VERDICTS = {
    "beyond_words": "beyond what words give",
    "lexical_suffices": "no evidence beyond words",
    "no_separation": "not reliably better than always naming the larger class",
    "undecided": "undecided: too few prompts, or classes that do not differ by more than chance",
}


def sentences_of(result: AnalysisResult) -> dict[str, str]:
    """A short paragraph for each model, by its name."""
    models = dict.fromkeys(result.tables["headline"]["model"])
    return {model: _paragraph(model, result) for model in models}


def badges_of(result: AnalysisResult) -> tuple[str, ...]:
    """Warnings for every chart and every file of the analysis."""
    badges = [f"mixed comparison: {difference}" for difference in result.differences]
    if result.random_weights:
        badges.append(
            f"random weights, which say nothing about emotion: {', '.join(result.random_weights)}"
        )
    if result.settings.pooling == "last":
        badges.append(
            "last token pooled: layer 0 of the residual stream is lexical/positional only"
        )
    badges += [
        f"left out: {finding.where}: {finding.message}"
        for finding in result.findings
        if finding.code == "nonfinite_features"
    ]
    return tuple(badges)


def _paragraph(model: str, result: AnalysisResult) -> str:
    headline, strength = result.tables["headline"], result.tables["strength"]
    rows = list(headline[headline["model"] == model].itertuples())
    # Layers are judged together over all sites, so that either site's row has the same p-value.
    first: dict[str, Any] = {}
    for row in rows:
        first.setdefault(row.emotion, row)
    held_out = set(strength["emotion"][(strength["model"] == model) & strength["cv"].notna()])
    tested = [row for row in first.values() if row.emotion in held_out]
    reference = result.settings.neutral
    if result.settings.reference == "grand_mean":
        reference = "the other classes"
    if not tested:
        return (
            f"{model}: nothing can be held out in these data, so that nothing can be said beyond "
            "the plain directions and their norms."
        )
    words = [_separation(tested, reference)]
    chosen = _chosen(rows)
    if chosen:
        words.append(_probes(chosen))
    if model in result.random_weights:
        words.append("Its weights are random: none of this says anything about emotion.")
    return f"{model}: {' '.join(words)}"


def _separation(rows: Sequence[Any], reference: str) -> str:
    apart = [row for row in rows if row.significant]
    not_apart = [row for row in rows if not row.significant]
    parts = []
    if apart:
        largest = max(row.p_holm for row in apart)
        parts.append(
            f"{_listed([row.emotion for row in apart])} {_verb(apart, 'differs', 'differ')} from "
            f"{reference} by more than chance (p at most {significant(largest)})"
        )
    if not_apart:
        smallest = min(row.p_holm for row in not_apart)
        parts.append(
            f"{_listed([row.emotion for row in not_apart])} "
            # With few scenarios no permutation can give a small p, for any classes.
            f"{_verb(not_apart, 'is', 'are')} not shown to differ from {reference} "
            f"(p at least {significant(smallest)})"
        )
    return (
        f"{'; '.join(parts)}, by permutation over all layers and sites, Holm over emotions and "
        "models."
    )


def _chosen(rows: Sequence[Any]) -> list[Any]:
    """Rows of the transfer where it exists, of one site: the residual stream if analysed."""
    kept = [row for row in rows if math.isfinite(row.accuracy)]
    for wanted in (_TRANSFER, "cross_validated"):
        found = [row for row in kept if row.evaluation == wanted]
        if found:
            site = found[0].site
            return [row for row in found if row.site == site]
    return []


def _probes(rows: Sequence[Any]) -> str:
    first = rows[0]
    how = (
        "Trained on explicit prompts and tested on implicit ones"
        if first.evaluation == _TRANSFER
        else "On held-out scenarios"
    )
    each = "; ".join(
        f"{row.accuracy:.0%} for {row.emotion} ({_against(row)}{_VERDICTS[row.verdict]})"
        for row in rows
    )
    return f"{how}, the {first.probe} probe at {first.site} is right in {each}."


def _against(row: Any) -> str:
    if not row.baseline or not math.isfinite(row.baseline_accuracy):
        return ""
    name = row.baseline.replace("_", " ")
    return f"{name} {row.baseline_accuracy:.0%}: "


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _verb(rows: Sequence[Any], one: str, many: str) -> str:
    return one if len(rows) == 1 else many
