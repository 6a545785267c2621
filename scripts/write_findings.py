"""Write what the newest analysis says of every model without random weights into README.md.

    python -m emoact extract --model smollm2-135m
    python -m emoact analyze --model smollm2-135m --controls
    python scripts/write_findings.py [--results results] [--readme README.md]

The text between the two markers is replaced by a table of verdicts and a few sentences.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from emoact import read_analysis, sites  # noqa: E402
from emoact.analysis.saved import SavedAnalysis  # noqa: E402
from emoact.analysis.sentences import ORDER_VERDICTS, order_words, p_text  # noqa: E402
from emoact.numbers import MINUS, listed, two  # noqa: E402
from emoact.stats.probes.headline import WORDS  # noqa: E402
from emoact.stats.probes.probes import CROSS_VALIDATED, EVALUATIONS, TRANSFER  # noqa: E402

BEGIN = "<!-- findings: written by scripts/write_findings.py -->"
END = "<!-- end of findings -->"

TITLES = {
    CROSS_VALIDATED: "held-out scenarios",
    TRANSFER: "explicit to implicit prompts",
}

Row = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    """Replace the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    arguments = parser.parse_args(argv)
    text = arguments.readme.read_text(encoding="utf-8")
    section = "\n".join([BEGIN, findings(read_analysis(arguments.results)), END])
    pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"{arguments.readme} does not have each marker once")
    arguments.readme.write_text(pattern.sub(lambda _: section, text), encoding="utf-8")


def findings(analysis: SavedAnalysis) -> str:
    """The table of verdicts, and the sentences below it."""
    real = [model for model in analysis.models if model not in analysis.random_weights]
    if not real:
        raise SystemExit(f"analysis {analysis.id} has no model with trained weights")

    def rows_of(table: str) -> list[Row]:
        frame = analysis.table(table)
        rows: list[Row] = frame[frame["model"].isin(real)].to_dict("records")
        return rows

    headline, pairs = rows_of("headline"), rows_of("pairs")
    told = [name for name in EVALUATIONS if any(row["evaluation"] == name for row in headline)]
    cells = {
        (row["model"], row["emotion"], row["site"], row["evaluation"]): row for row in headline
    }
    lines = [
        f"| model | emotion | site | {' | '.join(TITLES[name] for name in told)} |",
        "|---|---|---|" + "---|" * len(told),
    ]
    for model, emotion, site in dict.fromkeys(key[:3] for key in cells):
        found = [cells.get((model, emotion, site, name)) for name in told]
        words = (_verdict(row) if row else "" for row in found)
        lines.append(f"| {model} | {emotion} | {sites.words(site)} | {' | '.join(words)} |")
    sentences = [
        _separation(headline),
        _reading(headline, told),
        _unshown(headline),
        _counts(headline),
        _power(headline),
        *(_pairs(pairs, name) for name in told),
    ]
    text = " ".join(each for each in sentences if each)
    return "\n".join([*lines, "", textwrap.fill(text, 136, break_on_hyphens=False)])


def _verdict(row: Row) -> str:
    """Balanced accuracy with its interval, the verdict, and the smallest gain over words."""
    value = (
        f"{_share(row['balanced_accuracy'])} % [{_share(row['balanced_low'])}, "
        f"{_share(row['balanced_high'])}]"
    )
    if math.isfinite(row["auroc"]) and row["verdict"] not in ORDER_VERDICTS:
        value += f", AUROC {two(row['auroc'])}"
    gains = {name: row[f"{name}_difference"] for name in WORDS}
    known = [name for name in WORDS if math.isfinite(gains[name])]
    verdict = str(row["verdict"]).replace("_", " ")
    if row["verdict"] == "no_separation":
        return f"{value}: no separation shown, {p_text(row['p_chance'])}"
    if row["verdict"] in ORDER_VERDICTS:
        return f"{value}: {order_words(row)}"
    if not known or row["verdict"] == "undecided":
        return f"{value}: {verdict}"
    least = min(known, key=lambda name: gains[name])
    low, high = (_share(row[f"{least}_difference_{end}"]) for end in ("low", "high"))
    verdict = f"**{verdict}**" if row["verdict"] == "beyond_words" else verdict
    return f"{value}: {verdict}, {_share(gains[least], signed=True)} [{low}, {high}]"


def _separation(headline: Sequence[Row]) -> str:
    """Which emotions differ from the reference at all."""
    p = {(row["model"], row["emotion"]): row["p_holm"] for row in headline}
    apart = {(row["model"], row["emotion"]) for row in headline if row["significant"]}
    said = "by permutation over all layers and sites, Holm over emotions and models"
    if len(apart) == len(p):
        worst = max(p.values())
        return (
            f"Every emotion differs from its reference in every model by more than chance "
            f"({p_text(worst, at_floor=True)} each, {said})."
        )
    missing = [f"{emotion} in {model}" for model, emotion in p if (model, emotion) not in apart]
    return f"{listed(missing)} not shown to differ from the reference ({said})."


def _reading(headline: Sequence[Row], told: Sequence[str]) -> str:
    """What a cell of the table holds."""
    models = dict.fromkeys(row["model"] for row in headline)
    layers = {
        f"{int(row['layer_first'])} to {int(row['layer_last'])} of {model}"
        for model in models
        for row in headline
        if row["model"] == model
    }
    sizes = dict.fromkeys(
        f"{int(row['n_prompts'])} prompts of {int(row['n_scenarios'])} scenarios ({TITLES[name]})"
        for name in told
        for row in headline
        if row["evaluation"] == name
    )
    return (
        "A cell gives the balanced accuracy of a logistic probe with its 95 % interval, the median "
        f"over layers {listed(sorted(layers))}, from explicit to implicit prompts also its AUROC, "
        "which no threshold enters, then the verdict, then the smallest gain in points "
        "over the best text baseline, tokens without context and shuffled words; tested are "
        f"{listed(sizes)}."
    )


def _unshown(headline: Sequence[Row]) -> str:
    """Why no separation can be shown although an interval excludes one half."""
    if not any(row["verdict"] == "no_separation" for row in headline):
        return ""
    return (
        "Where no separation is shown, p tests whether the accuracy is above 50 %; it counts one "
        "prompt more than the interval, which is too narrow where nearly all prompts are called "
        "one class."
    )


def _counts(headline: Sequence[Row]) -> str:
    """How often a verdict is beyond words, and for how many it is corrected."""
    n, beyond = len(headline), [row for row in headline if row["verdict"] == "beyond_words"]
    if not beyond:
        return f"None of {n} verdicts is beyond words (Holm over all of them)."
    where = dict.fromkeys((row["model"], TITLES[row["evaluation"]]) for row in beyond)
    places = listed(f"{model} on {test}" for model, test in where)
    return (
        f"{len(beyond)} of {n} verdicts are beyond words, all in {places} (Holm over all {n}); "
        "beyond words may also be word order, syntax or register."
    )


def _power(headline: Sequence[Row]) -> str:
    """What inconclusive verdicts could have shown."""
    open_ones = [row for row in headline if row["verdict"] == "inconclusive"]
    known = [row for row in open_ones if math.isfinite(row["detectable"])]
    if not known:
        return ""
    gains = [row["detectable"] for row in known]
    needed = [row["scenarios_needed"] for row in known]
    return (
        f"At Holm's strictest level, {len(known)} of {len(open_ones)} inconclusive ones could have "
        f"shown a true gain over all three of {_share(min(gains))} to {_share(max(gains))} points "
        "in at most 80 % of such data sets; one of 10 points needs about "
        f"{min(needed):.0f} to {max(needed):.0f} scenarios."
        + (len(known) < len(open_ones))
        * " For the others a threshold does not carry over, or a control is easy to beat, which "
        "more scenarios do not change."
    )


def _pairs(pairs: Sequence[Row], evaluation: str) -> str:
    """Emotion against emotion, where the style of neutral prompts has no effect."""
    own = [row for row in pairs if row["evaluation"] == evaluation]
    if not own:
        return ""
    names = dict.fromkeys((row["emotion_a"], row["emotion_b"]) for row in own)
    parts = []
    for first, second in names:
        rows = [row for row in own if (row["emotion_a"], row["emotion_b"]) == (first, second)]
        values = [row["balanced_accuracy"] for row in rows]
        verdicts = [row["verdict"] for row in rows]
        apart, ordered = verdicts.count("separated"), verdicts.count("order_only")
        orders = [row["auroc"] for row in rows if math.isfinite(row["auroc"])]
        parts.append(
            f"{first} and {second} at {apart} of {len(rows)} ({_share(min(values))} to "
            f"{_share(max(values))} %"
            + (f", AUROC {two(min(orders))} to {two(max(orders))}" if orders else "")
            + (f"; at {ordered} the order carries over and the threshold does not" * bool(ordered))
            + ")"
        )
    return (
        f"Emotion against emotion ({TITLES[evaluation]}) is separated, over models and sites, for "
        f"{listed(parts)}."
    )


def _share(value: float, *, signed: bool = False) -> str:
    return f"{100 * value:{'+' if signed else ''}.0f}".replace("-", MINUS)


if __name__ == "__main__":
    main()
