"""Write docs/calibration.md: error rates of significance, intervals and verdicts.

    python -m scripts.calibrate_analysis [--grids 200] [--workers 2] [--only power coverage]
        [--minutes 2] [--rows WORDS] [--kept FILE]

What is found in each data set is kept in a file, so that a run that was stopped, by `--minutes` or
otherwise, goes on where it ended. A row without a result, or outside of `--rows`, stays as the page
has it. Seeds are fixed here, and no section is chosen among several runs. Data without and with
effects are planted in `calibration_designs.py`; `calibration_page.py` keeps results and the page.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from emoact.stats.findings.remarks import SEVERAL
from emoact.stats.probes.headline import NOISY
from scripts import calibration_copies as near
from scripts import calibration_designs as designs
from scripts import calibration_heads as heads
from scripts import calibration_probes as probes
from scripts import calibration_steering as steering
from scripts import calibration_words as verdicts
from scripts.calibration_designs import Estimate, Levels, Seed
from scripts.calibration_page import (
    ALPHA,
    Kept,
    Row,
    counted,
    interval,
    old_rows,
    put,
    share_covered,
    table,
    with_old,
)

SEED = 9_2026

Pool = Callable[[Callable[[Seed], Any], Sequence[Seed]], list[Any]]
"""From a function of a seed and the seeds to what was found, of as many of them as time allowed."""


def main() -> None:
    """Run the conditions of some or all sections, and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--grids", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    parser.add_argument("--minutes", type=float, default=math.inf, help="start nothing after that")
    parser.add_argument("--rows", default="", help="only rows whose conditions hold these words")
    parser.add_argument("--kept", type=Path, default=Path(".calibration.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("docs/calibration.md"))
    arguments = parser.parse_args()
    started = time.monotonic()
    kept = Kept(arguments.kept, until=started + 60 * arguments.minutes, rows=arguments.rows)
    with (
        threadpool_limits(limits=1),
        multiprocessing.get_context("fork").Pool(arguments.workers) as processes,
    ):

        def pool(run: Callable[[Seed], Any], seeds: Sequence[Seed]) -> list[Any]:
            return kept.found(run, seeds, lambda some: processes.map(run, some, chunksize=1))

        for name in arguments.only:
            head, note, names, rows = SECTIONS[name](pool, arguments.grids)
            old = arguments.out.read_text(encoding="utf-8") if arguments.out.exists() else ""
            lines = table(names, with_old(rows, old_rows(old, name)))
            text = f"## {head}\n\n{note}\n\n{lines}"
            arguments.out.write_text(put(old, name, text, tuple(SECTIONS)), encoding="utf-8")
            print(f"{name}: {time.monotonic() - started:.0f} s")


Section = tuple[str, str, Row, list[tuple[Row, Row]]]
"""Heading, note, names of the columns, and rows as names and figures (none: not computed)."""


def _significance(pool: Pool, n: int) -> Section:
    note = (
        f"Each data set holds {designs.MODELS} models, {len(designs.EMOTIONS)} emotions and "
        f"neutral, {designs.LAYERS} layers of width {designs.WIDTH}; {designs.PERMUTATIONS} "
        f"relabellings, α = {ALPHA}. *Layer*: share of layers without an effect with p ≤ α (5 % "
        "expected). *Emotion*: data sets in which any emotion without an effect has p_holm ≤ α. "
        "*Layer of emotion*: data sets in which any layer without an effect has p_strong ≤ α."
    )
    rows = list[tuple[Row, Row]]()
    for code, (layout, part, spectrum) in enumerate(
        (layout, part, spectrum)
        for layout in designs.LAYOUTS
        for part in designs.PARTS
        for spectrum in designs.SPECTRA
    ):
        found: list[Levels] = pool(
            partial(designs.judge_grid, layout, part, spectrum), _seeds(100 + code, n)
        )
        figures: Row = ()
        if found:
            alone = np.mean([each.alone for each in found])
            anywhere = counted([each.anywhere for each in found]) if designs.FAMILIES[part] else "–"
            figures = (
                f"{100 * alone:.1f} %",
                anywhere,
                counted([each.strong for each in found]),
            )
        rows.append(((layout, part, spectrum), figures))
    names = ("scenarios", "effect", "spectrum", "layer", "emotion", "layer of emotion")
    return "False alarms of the permutation test", note, names, rows


def _power(pool: Pool, n: int) -> Section:
    note = (
        "One emotion of nine families has an effect at half of the layers, of the same size in all "
        "rows (matched scenarios, steep spectrum). Data sets in which that emotion has "
        "p_holm ≤ α."
    )
    rows = list[tuple[Row, Row]]()
    for size in (10, 25, 50, 100):
        found: list[bool] = pool(partial(designs.power_of_test, size), _seeds(300, n))
        rows.append(((str(size),), (f"{sum(found)} of {len(found)}",) if found else ()))
    return "Power of the permutation test", note, ("scenarios", "found"), rows


def _coverage(pool: Pool, n: int) -> Section:
    rows = list[tuple[Row, Row]]()
    matched = (
        ("matched", name, size, e)
        for name in designs.EFFECTS
        for size in (12, 25, 50)
        for e in designs.EFFECTS[name]
    )
    unmatched = (
        (layout, name, 0, e)
        for layout in designs.LAYOUTS[1:]
        for name in designs.EFFECTS
        for e in designs.EFFECTS[name]
    )
    for code, (layout, spectrum, size, effect) in enumerate((*matched, *unmatched)):
        found: list[list[Estimate]] = pool(
            partial(designs.covered, layout, spectrum, size, effect), _seeds(400 + code, 4 * n)
        )
        figures: Row = ()
        if found:
            truth = np.mean([[each.truth for each in some] for some in found], axis=0)
            held = [
                [each.low <= value <= each.high for each, value in zip(some, truth, strict=True)]
                for some in found
            ]
            rates = (share_covered(rate, len(found)) for rate in np.mean(held, axis=0))
            figures = (f"{truth[1]:.2f}", *rates, str(len(found)))
        where = f"matched, {size}" if layout == "matched" else layout
        rows.append(((spectrum, where, f"{effect:g}"), figures))
    names = ("spectrum", "scenarios", "length", "true d′", "squared strength", "d′", "AUROC")
    return "Coverage of 95 % intervals", designs.COVERED, (*names, "intervals"), rows


def _accuracies(pool: Pool, n: int) -> Section:
    note = (
        "Share of 95 % intervals of cross-validated balanced accuracy (logistic probe, median of "
        "four layers that share nine tenths of their noise, 30 dimensions, one of which tells the "
        "classes) that hold its mean over the data sets of the row. Scenarios vary as much as "
        "prompts."
    )
    rows = list[tuple[Row, Row]]()
    for code, case in enumerate(probes.ACCURACIES):
        found: list[Estimate] = pool(partial(probes.accuracy_of, case), _seeds(1100 + code, 2 * n))
        figures: Row = ()
        if found:
            mean = float(np.mean([each.truth for each in found]))
            held = [each.low <= mean <= each.high for each in found]
            figures = (
                f"{100 * mean:.1f} %",
                share_covered(float(np.mean(held)), len(found)),
                str(len(found)),
            )
        rows.append((_of_case(case), figures))
    names = ("scenarios", "effect", "mean accuracy", "covered", "intervals")
    return "Coverage of intervals of accuracy", note, names, rows


def _order(pool: Pool, n: int) -> Section:
    note = (
        "Scores of implicit prompts by a probe whose threshold lies elsewhere: data sets in which "
        f"`p_order` is at most .05 (an error without an effect; {designs.PERMUTATIONS} "
        "relabellings), and share of intervals of `auroc` that hold the true one. Median of four "
        "layers; effects in standard deviations of a prompt in its scenario. From an AUROC "
        "of 1 − 1/*n* on, *n* the scenarios of the class with fewer, they are conservative."
    )
    rows = list[tuple[Row, Row]]()
    for code, case in enumerate(probes.ORDERS):
        found: list[tuple[bool, bool]] = pool(
            partial(probes.order_said, case), _seeds(1200 + code, 2 * n)
        )
        figures: Row = ()
        if found:
            said, held = zip(*found, strict=True)
            count = f"{sum(said)} of {len(said)}" if case[2] else counted(said)
            covered = share_covered(float(np.mean(held)), len(found))
            figures = (f"{probes.true_auroc(case[2]):.3f}", count, covered)
        rows.append((_of_case(case), figures))
    names = ("scenarios", "effect", "true AUROC", "p_order ≤ .05", "AUROC covered")
    return "Order without a threshold", note, names, rows


def _of_case(case: probes.Case) -> Row:
    layout, size, effect = case
    where = f"matched, {size}" if layout == "matched" else layout.removesuffix(", sd 3 : 1")
    return where, f"{effect:g}"


def _far(pool: Pool, n: int) -> Section:
    note = (
        "Data sets in which the finding `far_prompts` warns that intervals of d′ and AUROC are too "
        f"narrow, at one layer; two classes in matched scenarios, {designs.WIDTH} dimensions. "
        "With normal noise that is a false alarm. Dimensions are standardised, so that spectra "
        "along the axes are one experiment."
    )
    rows = list[tuple[Row, Row]]()
    for place, tail in enumerate(probes.TAILS):
        for spectrum in designs.SPECTRA:
            by_size = [
                pool(
                    partial(probes.named_far, tail, spectrum, size),
                    _seeds(1300 + place, 2 * n),
                )
                for size in probes.TAIL_SIZES
            ]
            figures = tuple(f"{sum(found)} of {len(found)}" for found in by_size)
            rows.append(((tail, spectrum), figures if all(by_size) else ()))
    sizes = tuple(f"{size} scenarios" for size in probes.TAIL_SIZES)
    return "Prompts that lie far away", note, ("noise", "spectrum", *sizes), rows


def _copies(pool: Pool, n: int) -> Section:
    missed = ", ".join(f"{100 * near.missed(k):.0f}" for k in (1, 2, 3, 4))
    note = (
        f"Data sets without an effect with p ≤ .05; of {near.SCENARIOS} matched scenarios the last "
        f"ones repeat the first, changed by noise of {near.CHANGED:g} standard deviations; "
        f"{designs.WIDTH} dimensions. `near_copies` is a warning from {100 * SEVERAL:g} % of the "
        "prompts on, where more dimensions (next section) leave 5 %. A shipped prompt of which 1, "
        "2, 3 and 4 words are exchanged for others of the shipped files does not count as a copy "
        f"of itself in {missed} %."
    )
    rows = _rows_of_copies(pool, 10 * n, 1400, near.KINDS, near.COPIES, designs.WIDTH)
    return "Scenarios that nearly repeat others", note, ("copies", *near.KINDS), rows


def _copies_wide(pool: Pool, n: int) -> Section:
    note = (
        f"The same in {near.WIDE} dimensions. Standardised differences of shipped prompts of anger "
        "and neutral have 89 to 117 dimensions in effect (p² over the sum of squared correlations; "
        "three layers of SmolLM2-135M and Gemma 3 270M, by hand)."
    )
    names = ("copies", near.KINDS[0])
    rows = _rows_of_copies(pool, 20 * n, 1450, near.KINDS[:1], near.FEW, near.WIDE)
    return "Scenarios that nearly repeat others, in more dimensions", note, names, rows


def _rows_of_copies(
    pool: Pool, n: int, code: int, kinds: Sequence[str], copies: Sequence[int], width: int
) -> list[tuple[Row, Row]]:
    rows = list[tuple[Row, Row]]()
    for place, number in enumerate(copies):
        seeds = _seeds(code + place, n)
        by_kind = [pool(partial(near.significant, kind, number, width), seeds) for kind in kinds]
        figures = tuple(counted(found) for found in by_kind if found)
        rows.append(((f"{100 * number / near.SCENARIOS:g} %",), figures if all(by_kind) else ()))
    return rows


def _noise(pool: Pool, n: int) -> Section:
    note = (
        "Data sets in which a control counts as noisier than the prompts (`noisy_controls`: its "
        f"scatter within classes is more than {NOISY} times theirs, median over dimensions and "
        f"layers). At a true ratio of 1 that is a false exclusion. {designs.LAYERS} layers of "
        f"width {designs.WIDTH}; prompts and controls are drawn independently."
    )
    rows = list[tuple[Row, Row]]()
    ratios = (1.0, 1.1, NOISY, 1.3, 1.5)
    for place, spectrum in enumerate(designs.SPECTRA):
        for size in designs.NOISE_SIZES:
            by_ratio = [
                pool(partial(designs.excluded, spectrum, size, ratio), _seeds(800 + place, 2 * n))
                for ratio in ratios
            ]
            figures = tuple(f"{sum(found)} of {len(found)}" for found in by_ratio)
            rows.append(((spectrum, str(size)), figures if all(by_ratio) else ()))
    names = ("spectrum", "scenarios", *(f"ratio {ratio:g}" for ratio in ratios))
    return "Controls that count as noisy", note, names, rows


def _false_beyond(pool: Pool, n: int) -> Section:
    note = (
        "50 scenarios, texts whose words differ between the classes, 20 shuffles, a logistic "
        "probe. `beyond_words` is an error in every row."
    )
    rows = list[tuple[Row, Row]]()
    for code, design in enumerate(verdicts.WORD_MODELS):
        found: list[verdicts.Verdicts] = pool(
            partial(verdicts.say_verdict, design, 50, 0.0), _seeds(500 + code, n)
        )
        said = [each.verdict == "beyond_words" for each in found]
        rows.append(((design,), (counted(said), *_shares(found)) if found else ()))
    names = ("activations", "beyond_words", "words_suffice", "inconclusive", "no_separation")
    return "Verdicts where words made the activations", note, names, rows


def _gains(pool: Pool, n: int) -> Section:
    note = (
        "Activations are made of words and of a part that no word knows; at 200 scenarios, where "
        "words are right more often, it is larger. `gain` is the mean over the data sets of the "
        "row of what the probe is better by than the best of text baseline, tokens without context "
        "and shuffled words. `words_suffice` is an error at a gain of more than 5 points; without "
        "a gain it is right, and `beyond_words` an error."
    )
    rows = list[tuple[Row, Row]]()
    for gain, effects in verdicts.GAINS.items():
        for size, effect in effects.items():
            names = (gain, str(size))
            found: list[verdicts.Verdicts] = pool(
                partial(verdicts.say_verdict, "random word vectors", size, effect),
                _seeds(700 + size, n),
            )
            figures: Row = ()
            if found:
                said = sum(each.verdict == "beyond_words" for each in found)
                figures = (
                    f"{100 * verdicts.true_gain(found):.1f} points",
                    f"{said} of {len(found)}",
                    *_shares(found),
                )
            rows.append((names, figures))
    columns = ("planted", "scenarios", "gain", "beyond_words")
    return (
        "Verdicts by number of scenarios",
        note,
        (*columns, "words_suffice", "inconclusive", "no_separation"),
        rows,
    )


def _heads(pool: Pool, n: int) -> Section:
    note = (
        "Data sets without a difference between the classes in which any component (embedding, "
        f"{heads.N_LAYERS} layers of {heads.N_HEADS} heads and an MLP) is "
        "said to contribute to the direction (p ≤ .05, corrected for all components); "
        f"{heads.N_SCENARIOS} prompts of each class, "
        f"{heads.PERMUTATIONS} relabellings. Intervals are exact (Clopper-Pearson)."
    )
    rows = list[tuple[Row, Row]]()
    for place, design in enumerate(heads.DESIGNS):
        for at, kind in enumerate(heads.KINDS):
            seeds = _seeds(900 + 10 * place + at, 20 * n)
            found = pool(partial(heads.false_alarm, design, kind), seeds)
            rows.append(((design, kind), (counted(found), interval(found)) if found else ()))
    names = ("scenarios", "prompts differ in", "any component", "95 % interval")
    return "False alarms of the map of heads", note, names, rows


def _steering(pool: Pool, n: int) -> Section:
    emotion, layer = steering.EMOTION, steering.LAYER
    note = (
        f"Tiny models with random weights in which the direction of {emotion} at layer {layer}, "
        "added once, is called causal. Prompts are the shipped ones of "
        f"{steering.N_SCENARIOS} scenarios; weights, split and controls (100 random "
        "and 20 shuffled directions) are drawn anew for each. Intervals are exact "
        "(Clopper-Pearson)."
    )
    rows = list[tuple[Row, Row]]()
    for at, (family, embeddings) in enumerate(steering.FAMILIES.items()):
        found = pool(partial(steering.called_causal, family), _seeds(1000 + at, n))
        figures = (counted(found), interval(found)) if found else ()
        rows.append(((family, embeddings), figures))
    names = ("model", "embeddings", "called causal", "95 % interval")
    return "Steering of random weights that is called causal", note, names, rows


SECTIONS: dict[str, Callable[[Pool, int], Section]] = {
    "significance": _significance,
    "power": _power,
    "coverage": _coverage,
    "accuracies": _accuracies,
    "order": _order,
    "far": _far,
    "copies": _copies,
    "copies_wide": _copies_wide,
    "noise": _noise,
    "words": _false_beyond,
    "gains": _gains,
    "heads": _heads,
    "steering": _steering,
}


def _shares(found: Sequence[verdicts.Verdicts]) -> tuple[str, ...]:
    names = ("words_suffice", "inconclusive", "no_separation")
    return tuple(
        f"{100 * np.mean([each.verdict == name for each in found]):.0f} %" for name in names
    )


def _seeds(code: int, n: int) -> list[Seed]:
    return [(SEED, code, grid) for grid in range(n)]


if __name__ == "__main__":
    main()
