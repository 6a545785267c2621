"""Summary sentences and badges of an analysis, from its figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emoact import sites as known
from emoact.numbers import MINUS, listed, plural, significant, two
from emoact.stats.probes.accuracy import MARGIN, MIN_UNITS, is_one_sided
from emoact.stats.result import AnalysisResult

TRANSFER = "explicit_to_implicit"
_FLOOR = 0.0005
BASELINE_WORDS = {
    "text": "text baseline",
    "contextless": "tokens without context",
    "shuffled_words": "shuffled words",
}
"""What a verdict on words compares a probe with, by the beginning of its columns."""
_PAIR_VERDICTS = {
    "no_separation": "not shown to be separate",
    "undecided": "undecided, too few scenarios",
}
ORDER_VERDICTS = ("order_only", "threshold_moved")
"""Verdicts on classes whose threshold does not carry over, or whose accuracy does not show it."""

_DOUBTS = {
    "repeated_prompts": "prompts repeat one another: p-values and intervals are too small",
    "near_copies": "prompts nearly repeat one another: p-values and intervals are too small",
    "far_prompts": "some prompts lie far away: intervals of d′ and AUROC are too narrow",
}
"""Warnings that are to be read beside every verdict."""

Row = Mapping[str, Any]


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
    if result.settings.pooling in ("last", "last_template"):
        badges.append(
            "last token pooled: layer 0 of the residual stream is lexical/positional only"
        )
    codes = {finding.code for finding in result.findings if finding.severity == "warning"}
    badges += [badge for code, badge in _DOUBTS.items() if code in codes]
    badges += [
        f"left out: {finding.where}: {finding.message}"
        for finding in result.findings
        if finding.code == "nonfinite_features"
    ]
    return tuple(badges)


def _paragraph(model: str, result: AnalysisResult) -> str:
    headline, strength = result.tables["headline"], result.tables["strength"]
    rows: list[Row] = headline[headline["model"] == model].to_dict("records")
    # Layers are judged together over all sites, so that either site's row has the same p-value.
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["emotion"], row)
    held_out = set(strength["emotion"][(strength["model"] == model) & strength["cv"].notna()])
    tested = [row for row in first.values() if row["emotion"] in held_out]
    reference = result.settings.neutral
    if result.settings.reference == "grand_mean":
        reference = "the other classes"
    if not tested:
        return (
            f"{model}: nothing can be held out in these data, so that nothing can be said beyond "
            "the plain directions and their norms."
        )
    floor = 1 / (1 + result.settings.n_permutations)
    words = [presence_sentence(tested, reference, result.settings.sites, floor)]
    words += probe_sentences(rows)
    pairs = result.tables["pairs"]
    words += pair_sentences(pairs[pairs["model"] == model].to_dict("records"))
    doubts = {
        each.code for each in result.findings if each.where == model and each.severity == "warning"
    }
    words += [f"But {doubt}." for code, doubt in _DOUBTS.items() if code in doubts]
    if model in result.random_weights:
        words.append("Its weights are random: none of this says anything about emotion.")
    return f"{model}: {' '.join(words)}"


def presence_sentence(
    rows: Sequence[Row],
    reference: str,
    sites: Sequence[str],
    floor: float,
    name: Callable[[str], str] = str,
) -> str:
    """Emotions that differ from the reference by more than chance, and those that do not.

    `rows` has one row of `headline` for each emotion that was tested; `floor` is the smallest
    p-value of a permutation test.
    """
    apart = [row for row in rows if row["significant"]]
    few = [row for row in rows if not row["significant"] and _cannot_be_significant(row)]
    not_apart = [row for row in rows if not row["significant"] and not _cannot_be_significant(row)]

    def each(some: Sequence[Row]) -> str:
        return listed(
            [
                f"{name(row['emotion'])} "
                f"({p_text(row['p_holm'], at_floor=row['p_family'] <= floor)})"
                for row in some
            ]
        )

    parts = []
    if apart:
        verb = "differs" if len(apart) == 1 else "differ"
        parts.append(f"{each(apart)} {verb} from {reference} by more than chance")
    if not_apart:
        verb = "is" if len(not_apart) == 1 else "are"
        # With few scenarios no permutation can give a small p, for any classes.
        parts.append(f"{each(not_apart)} {verb} not shown to differ from {reference}")
    if few:
        parts.append(
            f"no data of so few scenarios can show a difference from {reference} of {each(few)}"
        )
    where = listed(map(name, sites))
    return (
        f"{'; '.join(parts)}, by permutation over all layers of {where}, Holm over emotions and "
        "models."
    )


def _cannot_be_significant(row: Row) -> bool:
    return bool(row["verdict"] == "undecided" and row.get("n_scenarios", 0) >= MIN_UNITS)


def probe_sentences(
    rows: Sequence[Row],
    name: Callable[[str], str] = str,
    evaluation: str | None = None,
    *,
    power: bool = True,
) -> list[str]:
    """One sentence for each site that was probed, with the verdict on every emotion.

    The evaluation told is the transfer where there is one, when None. Without `power` the gains
    that could have been shown are left to the table, and every emotion has a line of its own.
    """
    sentences = []
    for own in _by_site(rows, "accuracy", evaluation):
        figures = [
            f"{name(row['emotion'])} {_accuracy(row)}{_own_size(row, own)}: "
            f"{verdict_words(row, power=power)}"
            for row in own
        ]
        sentences.append(
            f"{_how(own)}: {'; '.join(figures)}."
            if power
            else "\n- ".join([f"{_how(own)}:\n", *(f"{each}." for each in figures)])
        )
    return sentences


def _by_site(rows: Sequence[Row], measured: str, evaluation: str | None) -> list[list[Row]]:
    """Rows of one evaluation that have a value of this column, site by site."""
    rows = [row for row in rows if math.isfinite(row[measured])]
    told = {row["evaluation"] for row in rows}
    evaluation = evaluation or (TRANSFER if TRANSFER in told else "cross_validated")
    own: dict[str, list[Row]] = {}
    for row in rows:
        if row["evaluation"] == evaluation:
            own.setdefault(row["site"], []).append(row)
    return list(own.values())


def pair_sentences(
    rows: Sequence[Row], name: Callable[[str], str] = str, evaluation: str | None = None
) -> list[str]:
    """One sentence for each site, with the accuracy for every two emotions."""
    sentences = []
    for own in _by_site(rows, "balanced_accuracy", evaluation):
        figures = "; ".join(
            f"{name(row['emotion_a'])} and {name(row['emotion_b'])} {_accuracy(row)}"
            f"{_own_size(row, own)}, "
            f"{p_text(row['p_holm'])}{_pair_verdict(row)}"
            for row in own
        )
        how = _how(own)
        sentences.append(
            f"Emotion against emotion, {how[:1].lower()}{how[1:]}: {figures} (p of the accuracy, "
            "Holm over all pairs; separate needs the permutation test too)."
        )
    return sentences


def _pair_verdict(row: Row) -> str:
    verdict = row.get("verdict", "")
    if verdict in ORDER_VERDICTS:
        return f": {order_words(row)}"
    return f" ({_PAIR_VERDICTS[verdict]})" if verdict in _PAIR_VERDICTS else ""


def order_words(row: Row) -> str:
    """What is shown of classes that the threshold of a probe is not shown to separate."""
    moved = f"{_share(max(row['called'], 1 - row['called']))} of prompts are called one class"
    if row["verdict"] == "threshold_moved":
        order = (
            f"the order is not shown to {order_figures(row)}"
            if math.isfinite(row["auroc"])
            else "the accuracy does not say whether the order does"
        )
        return f"the threshold does not carry over ({moved}), and {order}"
    rest = (
        f"the threshold does not ({moved})"
        if is_one_sided(row["called"])
        else "an accuracy above chance is not shown"
    )
    return f"the order carries over {order_figures(row)}, {rest}"


def order_figures(row: Row) -> str:
    """AUROC of a transfer with its interval and p-value, in brackets."""
    return (
        f"(AUROC {two(row['auroc'])} [{two(row['auroc_low'])}, {two(row['auroc_high'])}], "
        f"{p_text(row['p_order'])})"
    )


def verdict_words(row: Row, *, power: bool = True) -> str:
    """The verdict on one row of `headline`, with the figures that it rests on."""
    verdict = row["verdict"]
    if verdict == "lexical_suffices":
        return "no evidence beyond words, in the terms of an earlier emoact"
    if verdict == "no_separation":
        if not row["significant"]:
            return "classes not shown to differ"
        return "not shown to be better than chance"
    if verdict in ORDER_VERDICTS:
        return order_words(row)
    if verdict == "undecided":
        return "undecided, too few scenarios"
    differences = {
        name: row[f"{name}_difference"]
        for name in BASELINE_WORDS
        if math.isfinite(row[f"{name}_difference"])
    }
    if not differences:
        # A table of an earlier version has no such column.
        return str(verdict).replace("_", " ")
    closest = min(differences, key=lambda name: differences[name])
    if verdict == "words_suffice":
        # All intervals have the same quantile, so that their width orders the p-values.
        closest = min(differences, key=lambda name: _beyond_margin(row, name))
    label = f"{BASELINE_WORDS[closest]} {_share(row[f'{closest}_balanced_accuracy'])}"
    if closest == "text":
        label += f" ({row['baseline'].replace('_', ' ')})"
    gain = (
        f"{_points(differences[closest])} points "
        f"[{_points(row[f'{closest}_difference_low'])}, "
        f"{_points(row[f'{closest}_difference_high'])}] against {label}"
    )
    if verdict == "beyond_words":
        return f"beyond words, smallest gain {gain}, {p_text(row['p_beyond'])} for all three"
    if verdict == "words_suffice":
        return f"words suffice within 5 points, {gain}, {p_text(row['p_words'])}"
    if len(differences) < len(BASELINE_WORDS):
        return f"inconclusive, because controls are missing; {gain}"
    # A table of an earlier version has no such column.
    one_sided = row["one_sided"] if isinstance(row.get("one_sided"), str) else ""
    if "probe" in one_sided:
        # A table of an earlier version has no such column.
        known = math.isfinite(row.get("auroc", math.nan))
        return (
            "inconclusive, because the probe calls more than 75 % of prompts one class, so that "
            f"its accuracy does not say whether it orders them"
            f"{' ' + order_figures(row) if known else ''}; {gain}"
        )
    if row.get("noisy_controls") is True:
        return (
            "inconclusive, because controls scatter more within classes than the prompts, which "
            f"more scenarios do not change; {gain}"
        )
    if one_sided:
        return (
            "inconclusive, because a control calls more than 75 % of prompts one class, which is "
            f"easy to beat; {gain}"
        )
    if not power:
        return f"inconclusive, {gain}"
    return (
        f"inconclusive, {gain}; at Holm's strictest level a true gain of "
        f"{_points(row['detectable'])} points over all three is shown in at most 80 % of such data "
        f"sets, one of 10 with {row['scenarios_needed']:,.0f} scenarios"
    )


def _beyond_margin(row: Row, name: str) -> float:
    """Distance of a gain above the margin, in widths of its interval."""
    width = row[f"{name}_difference_high"] - row[f"{name}_difference_low"]
    return float((row[f"{name}_difference"] - MARGIN) / max(width, 1e-9))


def p_text(p: float, *, at_floor: bool = False) -> str:
    """`p = 0.012`; `p ≤ 0.0005` where it is the smallest that can be given."""
    if not math.isfinite(p):
        return "p unknown"
    if at_floor or p <= _FLOOR:
        return f"p ≤ {significant(max(p, _FLOOR), 2)}"
    return f"p = {significant(p, 2)}"


def _how(rows: Sequence[Row]) -> str:
    """Test of the rows of one site; with the number of prompts where all have the same."""
    row = rows[0]
    how = (
        "Trained on explicit prompts and tested on implicit ones"
        if row["evaluation"] == TRANSFER
        else "On held-out scenarios"
    )
    if not row.get("n_prompts") or not math.isfinite(row["balanced_accuracy"]):
        return f"{how}, accuracy of the {row['probe']} probe of the {known.words(row['site'])}"
    size = "" if len(set(map(_size, rows))) > 1 else f" ({_size(row)})"
    first, last = int(row["layer_first"]), int(row["layer_last"])
    layers = f"layer {first}" if first == last else f"median of layers {first} to {last}"
    return (
        f"{how}{size}, balanced "
        f"accuracy of the {row['probe']} probe of the {known.words(row['site'])}, {layers}"
    )


def _size(row: Row) -> str:
    # A table of an earlier version has no such columns.
    if not row.get("n_prompts") or not math.isfinite(row["n_prompts"]):
        return ""
    prompts, scenarios = int(row["n_prompts"]), int(row["n_scenarios"])
    return f"{plural(prompts, 'prompt')} of {plural(scenarios, 'scenario')}"


def _own_size(row: Row, rows: Sequence[Row]) -> str:
    """The number of prompts of one row, where the rows beside it have others."""
    return f" ({_size(row)})" if len(set(map(_size, rows))) > 1 else ""


def _accuracy(row: Row) -> str:
    if not math.isfinite(row["balanced_accuracy"]):
        return _share(row["accuracy"])
    low, high = _share(row["balanced_low"]), _share(row["balanced_high"])
    return f"{_share(row['balanced_accuracy'])} [{low}, {high}]"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _points(value: float) -> str:
    return f"{100 * value:.0f}".replace("-", MINUS)
