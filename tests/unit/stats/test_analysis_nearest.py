import numpy as np
import pytest

from emoact.stats.distances.nearest import class_distances, held_out, nearest_prompts


def planted(
    shift: float, seed: int = 0, n: int = 40, d: int = 20
) -> tuple[np.ndarray, list[str], list[str]]:
    rng = np.random.default_rng(seed)
    labels = [label for label in ("anger", "neutral") for _ in range(n)]
    scenarios = [f"s{i:02d}" for _ in range(2) for i in range(n)]
    values = rng.normal(size=(2 * n, d)) * np.linspace(1, 100, d)
    values[:n, 3] += shift * np.linspace(1, 100, d)[3]
    return values.astype(np.float32), labels, scenarios


def test_distances_agree_with_a_plain_computation() -> None:
    values, labels, _ = planted(1.0)
    classes, found = class_distances(values, labels, values[:3])
    wide, owner = values.astype(float), np.array(labels)
    within = np.concatenate([wide[owner == c] - wide[owner == c].mean(axis=0) for c in classes])
    sd = np.sqrt((within**2).sum(axis=0) / (len(wide) - 2))
    for column, label in enumerate(classes):
        away = (wide[:3] - wide[owner == label].mean(axis=0)) / sd
        np.testing.assert_allclose(found[:, column], np.sqrt((away**2).mean(axis=1)), rtol=1e-10)


def test_held_out_accuracy_is_chance_without_and_high_with_a_difference() -> None:
    none = held_out(*planted(0.0, n=200))
    some = held_out(*planted(6.0, n=200))
    assert none is not None
    assert some is not None
    # A binomial standard error is .025 at 400 prompts.
    assert none.accuracy == pytest.approx(0.5, abs=0.08)
    assert some.accuracy > 0.95
    assert (none.chance, none.n, none.grouped) == (0.5, 400, True)
    assert set(some.by_class) == {"anger", "neutral"}


def test_whole_scenarios_are_held_out() -> None:
    # Every scenario has its own vector, nearly the same for both classes. A rule that has seen the
    # scenario can tell its classes; one that has not cannot.
    rng = np.random.default_rng(1)
    base = rng.normal(size=(60, 400))
    values = np.concatenate([base, base + 0.01 * rng.normal(size=base.shape)]).astype(np.float32)
    labels = ["a"] * 60 + ["b"] * 60
    scenarios = [f"s{i}" for i in range(60)] * 2
    found = held_out(values, labels, scenarios)
    assert found is not None
    assert found.accuracy == pytest.approx(0.5, abs=0.2)


def test_prompts_without_scenarios_are_held_out_one_by_one() -> None:
    values, labels, _ = planted(6.0)
    found = held_out(values, labels, [None] * len(labels))
    assert found is not None
    assert not found.grouped


def test_too_few_prompts_have_no_accuracy() -> None:
    assert held_out(np.ones((2, 3), np.float32), ["a", "b"], ["s1", "s2"]) is None


def test_a_dimension_without_spread_says_nothing() -> None:
    values, labels, _ = planted(1.0)
    values[:, 5] = 7.0
    _, found = class_distances(values, labels, values[:2])
    _, without = class_distances(
        np.delete(values, 5, axis=1), labels, np.delete(values, 5, axis=1)[:2]
    )
    np.testing.assert_allclose(found, without)


def test_the_nearest_prompt_is_its_copy_and_broken_ones_are_left_out() -> None:
    values, _, _ = planted(0.0)
    values[9] = values[2]
    values[4] = np.nan
    found = nearest_prompts(values, 2, most=100)
    assert found[0] == (9, 0.0)
    assert {index for index, _ in found} == set(range(80)) - {2, 4}
    assert nearest_prompts(values, 4) == []
