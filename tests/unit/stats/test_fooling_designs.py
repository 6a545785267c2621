"""False claims on data that were planted to deceive the analysis: no class differs in its mean."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from emoact.analysis.sentences import badges_of, sentences_of
from emoact.stats.design import design_of
from emoact.stats.findings.remarks import excess_of_distances
from emoact.stats.full import analyse_grid
from emoact.stats.null.permutation import (
    max_statistic_test,
    permuted_statistics,
    prepare_relabellings,
)
from emoact.stats.null.relabelling import relabellings
from emoact.stats.result import AnalysisResult
from emoact.stats.vectors import centre, inverse_sd
from tests.support.planted_features import QUICK, SITE, unit_of, units_of

WIDTH, LAYERS, N = 16, 3, 20
Planted = tuple[np.ndarray, np.ndarray, list[str]]
"""Vectors of emotion and of neutral, and the scenarios of both, one after the other."""


def noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Neighbouring layers correlate."""
    shared = rng.normal(size=(n, 1, WIDTH))
    return np.asarray(0.8 * shared + 0.6 * rng.normal(size=(n, LAYERS, WIDTH)))


def one_each(emotion: np.ndarray, neutral: np.ndarray) -> Planted:
    return emotion, neutral, [str(i) for i in range(len(emotion))] * 2


def scenarios_shift_both(rng: np.random.Generator) -> Planted:
    shift = 5 * noise(rng, N)
    return one_each(noise(rng, N) + shift, noise(rng, N) + shift)


def heavy_tails(rng: np.random.Generator) -> Planted:
    return one_each(*rng.standard_t(2, size=(2, N, LAYERS, WIDTH)))


def one_outlier(rng: np.random.Generator) -> Planted:
    emotion = noise(rng, N)
    emotion[0] += 100 * rng.normal(size=WIDTH)
    return one_each(emotion, noise(rng, N))


def one_class_spreads_more(rng: np.random.Generator) -> Planted:
    return one_each(4 * noise(rng, N), noise(rng, N))


def rogue_noise(rng: np.random.Generator) -> Planted:
    scale = np.where(np.arange(WIDTH) < 3, 100.0, 1.0)
    return one_each(noise(rng, N) * scale, noise(rng, N) * scale)


def labels_swapped_in_half_of_the_scenarios(rng: np.random.Generator) -> Planted:
    side = rng.choice([-1.0, 1.0], size=(N, 1, 1)) * 3 * rng.normal(size=WIDTH)
    return one_each(noise(rng, N) + side, noise(rng, N))


def noise_grows_with_the_order(rng: np.random.Generator) -> Planted:
    time = np.linspace(-3, 3, N)[:, None, None]
    return one_each(*(noise(rng, N) * np.exp(time / 3) + time for _ in range(2)))


def constant_layer_and_dimensions(rng: np.random.Generator) -> Planted:
    classes = [noise(rng, N) for _ in range(2)]
    for each in classes:
        each[:, 0], each[:, :, :4] = 1.0, 2.0
    return one_each(*classes)


def seven_scenarios(rng: np.random.Generator) -> Planted:
    return one_each(noise(rng, 7), noise(rng, 7))


def prompts_of_a_scenario_and_class_alike(rng: np.random.Generator) -> Planted:
    classes = [np.repeat(noise(rng, N), 2, axis=0) + 0.5 * noise(rng, 2 * N) for _ in range(2)]
    return classes[0], classes[1], [str(i // 2) for i in range(2 * N)] * 2


def few_wide_against_many_narrow(rng: np.random.Generator) -> Planted:
    scenarios = [str(i) for i in range(N)] + [str(i // 4) for i in range(4 * N)]
    return 4 * noise(rng, N), noise(rng, 4 * N), scenarios


DESIGNS: tuple[Callable[[np.random.Generator], Planted], ...] = (
    scenarios_shift_both,
    heavy_tails,
    one_outlier,
    one_class_spreads_more,
    rogue_noise,
    labels_swapped_in_half_of_the_scenarios,
    noise_grows_with_the_order,
    constant_layer_and_dimensions,
    seven_scenarios,
    prompts_of_a_scenario_and_class_alike,
    few_wide_against_many_narrow,
)


@pytest.mark.parametrize("plant", DESIGNS, ids=lambda plant: plant.__name__)
def test_classes_of_one_mean_seldom_differ_significantly(
    plant: Callable[[np.random.Generator], Planted],
) -> None:
    n, alarms = 60, 0
    for seed in range(n):
        emotion, neutral, scenarios = plant(np.random.default_rng([21, seed]))
        design = design_of(["a"] * len(emotion) + ["n"] * len(neutral), scenarios)
        vectors = centre(np.concatenate([emotion, neutral]))
        draws = relabellings(design, "a", ("n",), 300, seed=seed)
        plan = prepare_relabellings(design, draws, np.ones(design.n_prompts, dtype=bool))
        found = permuted_statistics(plan, vectors, inverse_sd(vectors.std(axis=0)))
        alarms += int(max_statistic_test(found).p_family <= 0.05)
    assert alarms <= binom.ppf(0.999, n, 0.07)


def test_copies_of_scenarios_are_named() -> None:
    classes = {name: noise(np.random.default_rng(k), 10) for k, name in enumerate(("a", "neutral"))}
    copied = {name: np.concatenate([x, x[:4]]) for name, x in classes.items()}
    (finding,) = (
        each
        for each in analyse_grid(units_of(copied), QUICK, workers=1).findings
        if each.code == "repeated_prompts"
    )
    assert "8 prompts are copies" in finding.message
    codes = {each.code for each in analyse_grid(units_of(classes), QUICK, workers=1).findings}
    assert "repeated_prompts" not in codes


def test_emotions_that_differ_in_spread_alone_are_not_called_separated() -> None:
    chance = 0
    for seed in range(6):
        rng = np.random.default_rng([41, seed])
        classes = {name: noise(rng, 30) for name in ("joy", "anger", "neutral")}
        classes["joy"] *= 3
        (row,) = analyse_grid(units_of(classes), QUICK, workers=1).tables["pairs"].itertuples()
        chance += row.p_holm <= 0.05
        assert row.verdict in ("no_separation", "threshold_moved")
        assert row.p_permutation > 0.05
    # The accuracy of the probe alone would have called them so.
    assert chance


def test_emotions_that_differ_in_their_mean_are_called_separated() -> None:
    rng = np.random.default_rng(42)
    classes = {name: noise(rng, 30) for name in ("joy", "anger", "neutral")}
    classes["joy"][:, :, 0] += 3
    (row,) = analyse_grid(units_of(classes), QUICK, workers=1).tables["pairs"].itertuples()
    assert row.verdict == "separated"
    few = {name: each[:5] for name, each in classes.items()}
    (row,) = analyse_grid(units_of(few), QUICK, workers=1).tables["pairs"].itertuples()
    assert row.verdict == "undecided"


def test_near_copies_in_other_scenarios_are_named() -> None:
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(2000, 9).astype(str)) for _ in range(12)]
    # Another last word, or another mark.
    near = [f"{text.rsplit(' ', 1)[0]} Anna" for text in texts[:3]] + [f"{texts[3]}!"]

    def found(own: list[str]) -> AnalysisResult:
        units = [
            unit_of("m", name, {SITE: noise(rng, len(own))}, texts=[f"{name} {t}" for t in own])
            for name in ("a", "neutral")
        ]
        return analyse_grid(units, QUICK)

    copied = found([*texts, *near])
    (finding,) = (each for each in copied.findings if each.code == "near_copies")
    assert finding.message.startswith("8 prompts share")
    said = "prompts nearly repeat one another"
    assert [said in text for text in (sentences_of(copied)["m"], *badges_of(copied))] == [True] * 2
    assert "near_copies" not in {each.code for each in found(texts).findings}


def far(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(np.where(rng.random((n, 1, 1)) < 0.05, 8, 1) * noise(rng, n))


def t_of_3(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(np.sqrt(3 / rng.chisquare(3, size=(n, 1, 1))) * noise(rng, n))


@pytest.mark.parametrize(("draw", "least"), [(noise, 0), (far, 75), (t_of_3, 60)])
@pytest.mark.parametrize("spectrum", ["even", "steep", "steep and rotated", "rogue and rotated"])
def test_prompts_that_lie_far_away_are_named(
    draw: Callable[..., np.ndarray], least: int, spectrum: str
) -> None:
    named, n = 0, 100
    for seed in range(n):
        rng = np.random.default_rng([51, seed])
        scale = np.arange(1, WIDTH + 1) ** -0.75 if "steep" in spectrum else np.ones(WIDTH)
        scale = np.where(np.arange(WIDTH) < 3, 30.0, scale) if "rogue" in spectrum else scale
        turned = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
        labels = np.repeat([0, 1], 25)
        vectors = draw(rng, 50) * scale @ (turned if "rotated" in spectrum else np.eye(WIDTH))
        vectors += labels[:, None, None] * 3 * rng.normal(size=WIDTH)
        named += excess_of_distances(labels, vectors)[1] > 0
    assert named >= least if least else named <= 0.05 * n
