"""Write the table of docs/methods.md of what two versions conclude from the same planted data.

    python -m scripts.compare_versions --before CHECKOUT [--rows rogue holm ...]

Each row is computed by either version in a process of its own, through what both have: features,
settings and `analyse_grid`. Other rows of the table stay as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.compare_planted import (
    HAS_CONTROLS,
    LAYERS,
    QUICK,
    SITE,
    WIDTH,
    N,
    analyse,
    classes_of,
    copies,
    headline,
    noise,
    points,
    probed,
    shared_geometry,
    shared_prompts,
    verdicts,
)

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "methods.md"
BEGIN, END = "<!-- versions: written by scripts/compare_versions.py -->", "<!-- end of versions -->"


def rogue(_: Path) -> str:
    """Three rogue dimensions of noise beside an effect."""
    rows = []
    for seed in range(10):
        x = [noise([1, seed, place], 50) for place in range(2)]
        for each in x:
            each[:, :, :3] *= 100
        x[0][:, :, 3:] += 0.25
        rows.append(headline(analyse(classes_of({"joy": x[0], "neutral": x[1]}))))
    found = sum(bool(row.significant) for row in rows)
    return f"significant in {found} of 10, p {points([row.p_holm for row in rows])}"


def unequal(_: Path) -> str:
    """10 prompts against 50, spreads 3 : 1, no effect, without scenarios."""
    found, codes = 0, set[str]()
    for seed in range(60):
        x = {"joy": 3 * noise([4, seed], 10, width=20), "neutral": noise([5, seed], 50, width=20)}
        result = analyse(classes_of(x, scenarios=False))
        found += bool(headline(result).significant)
        codes |= {each.code for each in result.findings}
    warned = "`unequal_spread`" if "unequal_spread" in codes else "no warning"
    return f"significant in {found} of 60, {warned}"


def holm(_: Path) -> str:
    """One real layer in each of nine families."""
    from emoact.stats.null.significance import judge_families

    found = 0
    for seed in range(300):
        rng = np.random.default_rng([7, seed])
        drawn = [rng.normal(size=(1001, 5)) for _ in range(9)]
        for each in drawn:
            each[0, 0] += 10
        for family in judge_families([{SITE: each} for each in drawn]):
            own: Any = vars(family)["p_strong" if HAS_CONTROLS else "p_holm_layers"]
            if (own[1:] <= 0.05).any():
                found += 1
                break
    return f"another layer significant in {found} of 300"


def renamed(_: Path) -> str:
    """Labels renamed, prompts and files in another order."""
    x = {name: noise([10, place], 9, layers=2, width=6) for place, name in enumerate("xyn")}
    x["x"][:, 1] += 0.7
    settings = dataclasses.replace(QUICK, neutral="n")
    names, moved = {"x": "zebra", "y": "aardvark", "n": "n"}, dict[str, float]()
    for scenarios in (True, False):
        units = classes_of(x, scenarios=scenarios)
        before = analyse(units, settings).tables["strength"]
        before = before.assign(emotion=before.emotion.map(names)).sort_values(["emotion", "layer"])
        others = []
        for each in reversed(units):
            order = np.random.default_rng(0).permutation(len(each.prompts))
            others.append(
                dataclasses.replace(
                    each,
                    emotion=names[each.emotion],
                    prompts=tuple(each.prompts[row] for row in order),
                    sites={site: own[order] for site, own in each.sites.items()},
                )
            )
        after = analyse(others, settings).tables["strength"].sort_values(["emotion", "layer"])
        for column in {"p", "p_max", "p_strong", "p_holm"} & set(before):
            change = np.nanmax(np.abs(before[column].to_numpy() - after[column].to_numpy()))
            moved[column] = max(moved.get(column, 0.0), float(change))
    return f"p-values move by up to {max(moved.values()):.3g}"


def no_cosine(_: Path) -> str:
    """No emotion."""
    shown, total = list[float](), 0
    for seed in range(40):
        names = enumerate(("joy", "anger", "neutral"))
        x = {name: noise([11, seed, place], 12, layers=2, width=8) for place, name in names}
        own = analyse(classes_of(x)).tables["distances"]["cv_cosine"]
        total, shown = total + len(own), [*shown, *own.dropna()]
    middle = f", median {np.median(shown):+.2f}" if shown else ""
    return f"{len(shown)} of {total} cosines shown{middle}"


def opposite(_: Path) -> str:
    """A cosine of −1, norm .5."""
    shown = list[float]()
    for seed in range(12):
        names = enumerate(("joy", "anger", "neutral"))
        x = {name: noise([12, seed, place], 50, width=100) for place, name in names}
        x["joy"][:, :, 0] += 0.5
        x["anger"][:, :, 0] -= 0.5
        shown += analyse(classes_of(x)).tables["distances"]["cv_cosine"].dropna().tolist()
    read = f" as {', '.join(f'{each:+.2f}' for each in shown)}" if shown else ""
    return f"shown in {len(shown)} of 12{read}"


def coverage(_: Path) -> str:
    """Effects of 0, 2 and 6, 25 scenarios (320 intervals each)."""
    said = {"d_prime": list[str](), "auroc": list[str]()}
    for effect in (0, 2, 6):
        rng, rows = np.random.default_rng([3, effect]), {name: list[Any]() for name in said}
        shift = effect * rng.choice([-1, 1], 32) / np.sqrt(32)
        for _each in range(40):
            shared, one, other = (rng.normal(size=(25, 8, 32)) for _part in range(3))
            x = {"joy": shared + one + shift, "neutral": shared + other}
            settings = dataclasses.replace(QUICK, n_bootstrap=1000)
            own = analyse(classes_of(x), settings).tables["strength"]
            for name in said:
                rows[name] += own[[name, f"{name}_low", f"{name}_high"]].to_numpy().tolist()
        for name, each in rows.items():
            values, low, high = np.array(each, dtype=float).T
            truth = values.mean()
            said[name].append(f"{100 * np.mean((low <= truth) & (truth <= high)):.0f}")
    d_prime, auroc = (", ".join(each) for each in said.values())
    return f"d′ covered in {d_prime} %, AUROC in {auroc} %"


def halves(_: Path) -> str:
    """Steep noise."""
    sd = np.exp(-np.arange(200) / 5.0)
    names = enumerate(("joy", "neutral"))
    x = {name: noise([21, place], 40, layers=8, width=200) * sd for place, name in names}
    found = analyse(classes_of(x), dataclasses.replace(QUICK, n_splits=20)).tables["stability"]
    null = "split_half_null_high"
    beside = f"null band up to {found[null].max():.2f}" if null in found else "no null beside it"
    return f"halves agree by up to {found.split_half.max():.2f}; {beside}"


def one_layer(_: Path) -> str:
    """An effect at the last layer of four alone."""
    x = noise([4], 2 * N, layers=LAYERS, width=WIDTH)
    x[:N, 3, :6] += 3
    row = headline(probed(x))
    layers = f"layers {row.layer_first} to {row.layer_last}" if HAS_CONTROLS else "no layer named"
    right = row.balanced_accuracy if HAS_CONTROLS else row.accuracy
    return f"{100 * right:.0f} % right, `{row.verdict}`; {layers}"


def of_words(_: Path) -> str:
    """A model of words that no text baseline has read."""
    said, size = list[str](), 3000
    for seed in range(3):
        rng = np.random.default_rng(seed)
        kind = rng.permutation(size) < size // 2
        vectors = rng.normal(size=(size, LAYERS, WIDTH))
        vectors[:, 1:, 0] += np.where(kind, 3.0, -3.0)[:, None]
        odds = np.stack([np.where(kind, 4, 1), np.where(kind, 1, 4)]) / (2.5 * size)
        words = [rng.choice(size, 6, p=odds[own]) for own in (0, 1) for _ in range(N)]
        mean = np.stack([vectors[own].mean(axis=0) for own in words])
        pooled = [mean + 0.1 * rng.normal(size=mean.shape) for _ in range(22)]
        texts = [" ".join(f"word{word}" for word in own) for own in words]
        said.append(headline(probed(pooled[0], pooled[1:], texts=texts)).verdict)
    return verdicts(said)


def length(_: Path) -> str:
    """Length alone, neutral prompts four tokens longer."""
    rng = np.random.default_rng(2)
    tokens = [*(8 + rng.integers(3, size=N)), *(12 + rng.integers(3, size=N))]
    x, *controls = (rng.normal(size=(2 * N, LAYERS, WIDTH)) for _each in range(22))
    x[:, 1:, 3] += 3 * np.array(tokens)[:, None]
    return verdicts([headline(probed(x, controls, lengths=[int(each) for each in tokens])).verdict])


def baseline(_: Path) -> str:
    """Texts and activations that tell nothing, 20 data sets."""
    right = []
    for seed in range(20):
        rng = np.random.default_rng([6, seed])
        texts = [
            " ".join(f"w{word}" for word in rng.integers(30, size=6)) + str(rng.choice(list(".!?")))
            for _each in range(2 * N)
        ]
        tokens = [int(each) for each in rng.integers(6, 12, size=2 * N)]
        row = headline(probed(rng.normal(size=(2 * N, LAYERS, WIDTH)), texts=texts, lengths=tokens))
        right.append(row.text_balanced_accuracy if HAS_CONTROLS else row.baseline_accuracy)
    mean, error = 100 * np.mean(right), 100 * np.std(right) / np.sqrt(len(right))
    return f"the best baseline is right in {mean:.1f} % (standard error {error:.1f})"


def gain(_: Path) -> str:
    """The probe is right in about 75 %, words and controls in 61 %, 40 scenarios."""
    said = []
    for seed in range(20):
        rng = np.random.default_rng([9, seed])
        x, *controls = (rng.normal(size=(2 * N, LAYERS, WIDTH)) for _each in range(22))
        x[:N, 1:, :6] += 0.75
        for each in controls:
            each[:N, 1:, :6] += 0.45
        texts = []
        for row in range(2 * N):
            first = "thanks" if rng.random() < (0.64 if row < N else 0.36) else "table"
            rest = (f"u{word}" for word in rng.integers(9999, size=4))
            texts.append(" ".join([first, *rest]))
        said.append(headline(probed(x, controls, texts=texts)).verdict)
    return verdicts(said)


def alike(_: Path) -> str:
    """Two emotions that differ from neutral alike."""
    x = noise([8], 3 * N, layers=LAYERS, width=WIDTH)
    x[: 2 * N, 1:, :6] += 1.5
    tables = probed(x, emotions=("anger", "apology", "neutral")).tables
    return verdicts(tables["pairs"].verdict.tolist()) if "pairs" in tables else "no table of pairs"


def register(before: Path) -> str:
    """The prompts that the version before shipped."""
    command = [sys.executable, "-m", "emoact", "audit", "--json", "--dataset"]
    file = before / "data" / "prompts.jsonl"
    done = subprocess.run([*command, file], capture_output=True, check=False, cwd="/")
    answer = json.loads(done.stdout)
    if "numbers" not in {each["aspect"] for each in answer["checks"]}:
        return "no aspect of the audit"
    found = [each for each in answer["findings"] if each["code"] == "numbers"]
    return f"{found[0]['severity']}: {found[0]['message'].split(' (')[0]}" if found else "ok"


_SIGNIFICANCE, _VERDICTS = "test_planted_significance", "test_analysis_verdicts"
_ACROSS = "test_across_geometry"

ROWS: tuple[tuple[Callable[[Path], str], str, str], ...] = (
    (rogue, _SIGNIFICANCE, "three_rogue_dimensions_do_not_hide_an_effect_that_a_probe_finds"),
    (unequal, _SIGNIFICANCE, "unmatched_classes_of_unequal_size_and_spread_keep_the_level"),
    (
        holm,
        _SIGNIFICANCE,
        "one_real_layer_in_each_of_nine_families_makes_no_other_layer_significant",
    ),
    (
        renamed,
        _SIGNIFICANCE,
        "names_of_labels_and_order_of_files_and_prompts_change_no_p_value",
    ),
    (no_cosine, _SIGNIFICANCE, "without_an_emotion_almost_no_cosine_is_shown"),
    (opposite, _SIGNIFICANCE, "opposite_weak_directions_are_not_read_as_alike"),
    (
        coverage,
        "test_analysis_separation",
        "intervals_cover_the_separation_of_other_scenarios",
    ),
    (
        halves,
        "test_analysis_stability",
        "split_half_without_an_emotion_lies_in_its_null_band_in_95_of_100_data_sets",
    ),
    (one_layer, _VERDICTS, "layer_with_the_best_accuracy_is_not_picked"),
    (of_words, _VERDICTS, "model_of_words_is_never_beyond_words"),
    (length, _VERDICTS, "length_alone_is_not_beyond_words"),
    (
        baseline,
        "test_analysis_probes",
        "best_of_baselines_that_know_nothing_is_right_by_chance_on_the_tested_prompts",
    ),
    (gain, _VERDICTS, "words_do_not_suffice_where_the_gain_is_far_above_the_margin"),
    (
        alike,
        _VERDICTS,
        "emotions_that_differ_from_neutral_alike_do_not_differ_from_each_other",
    ),
    (
        shared_prompts,
        _ACROSS,
        "headline_is_a_value_where_both_models_show_the_emotion_and_blank_elsewhere",
    ),
    (shared_geometry, _ACROSS, "shared_geometry_alone_is_found_and_its_interval_covers_one"),
    (copies, _ACROSS, "headline_of_identical_copies_is_one_where_it_is_shown"),
    (
        register,
        "audit/test_audit_register",
        "planted_register_is_named_with_the_number_of_prompts",
    ),
)
"""What is planted and asked, and the file and name of the test of it (without `test_`)."""


def main() -> None:
    """Compute rows by one version, or by both and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--before", type=Path, required=True, help="checkout of the version before")
    parser.add_argument("--rows", nargs="+", default=[row.__name__ for row, _, _ in ROWS])
    parser.add_argument("--say", action="store_true", help="print what this version concludes")
    arguments = parser.parse_args()
    if arguments.say:
        warnings.simplefilter("ignore")
        (row,) = (each for each, _, _ in ROWS if each.__name__ == arguments.rows[0])
        print(json.dumps(row(arguments.before)))
        return
    page = PAGE.read_text(encoding="utf-8")
    head, old, tail = re.split(f"{re.escape(BEGIN)}\n|{re.escape(END)}", page)
    lines = {line.split(" | ")[0]: line for line in old.splitlines()}
    for row, file, test in ROWS:
        planted = f"| {planted_in(row)}"
        if row.__name__ in arguments.rows:
            versions = (arguments.before, ROOT)
            found = [_said_by(version, row.__name__, arguments.before) for version in versions]
            test_name = f"`{file}.py::test_{test}`"
            lines[planted] = f"{planted} | {' | '.join(found)} | {test_name} |"
            print(lines[planted], flush=True)
    names = ("| planted", *(f"| {planted_in(row)}" for row, _, _ in ROWS))
    rows = [lines[name] for name in names if name in lines]
    table = "\n".join([rows[0], "|---|---|---|---|", *rows[1:], ""])
    PAGE.write_text(f"{head}{BEGIN}\n{table}{END}{tail}", encoding="utf-8")


def planted_in(row: Callable[[Path], str]) -> str:
    """What the data of a row are."""
    return (row.__doc__ or "").splitlines()[0].rstrip(".")


def _said_by(version: Path, row: str, before: Path) -> str:
    """What a version concludes, in a process in which `emoact` is that version."""
    command = [sys.executable, __file__, "--before", str(before), "--rows", row, "--say"]
    paths = os.pathsep.join([str(version.resolve()), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return str(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
