from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from emoact.stats.audit.relabelling import exchange


def test_labels_of_matched_scenarios_are_exchanged_inside() -> None:
    emotions = ["anger", "joy", "neutral"] * 20
    scenarios = [f"s{index}" for index in range(20) for _ in range(3)]
    found = exchange(emotions, scenarios)
    draws = found.relabelled(np.random.default_rng(0), permutations=200)
    assert found.scheme == "within scenario"
    assert draws[0].tolist() == [0, 1, 2] * 20
    assert (np.sort(draws.reshape(201, 20, 3), axis=2) == np.arange(3)).all()


def test_every_arrangement_within_a_scenario_is_equally_likely() -> None:
    found = exchange(["a", "b", "c"], ["s", "s", "s"])
    draws = found.relabelled(np.random.default_rng(1), permutations=6000)[1:]
    counts = Counter(map(tuple, draws.tolist()))
    assert set(counts) == set(itertools.permutations(range(3)))
    assert max(abs(count - 1000) for count in counts.values()) < 5 * math.sqrt(1000)


def test_labels_without_scenarios_are_exchanged_over_all_prompts() -> None:
    emotions = ["a"] * 3 + ["b"] * 2
    found = exchange(emotions, [None] * 5)
    draws = found.relabelled(np.random.default_rng(2), permutations=4000)[1:]
    counts = Counter(map(tuple, draws.tolist()))
    assert found.scheme == "over all prompts"
    assert len(counts) == 10
    assert min(counts.values()) > 400 - 5 * 20


def test_scenarios_of_one_emotion_exchange_labels_as_a_whole() -> None:
    emotions = ["a"] * 6 + ["b"] * 6
    scenarios = [f"s{index // 3}" for index in range(12)]
    found = exchange(emotions, scenarios)
    draws = found.relabelled(np.random.default_rng(3), permutations=100)
    assert found.scheme == "over scenarios"
    assert all(len(set(row)) == 1 for draw in draws for row in draw.reshape(4, 3))
    assert len({tuple(draw) for draw in draws.tolist()}) == 6


def test_mixed_designs_exchange_inside_crossed_scenarios_and_over_the_rest() -> None:
    found = exchange(["a", "b", "a", "b", "b"], ["s", "s", None, None, "t"])
    draws = found.relabelled(np.random.default_rng(4), permutations=500)
    assert found.scheme == "mixed"
    assert {tuple(row) for row in draws[:, :2].tolist()} == {(0, 1), (1, 0)}
    assert {tuple(row) for row in draws[:, 2:].tolist()} == {(0, 1, 1), (1, 0, 1), (1, 1, 0)}


@pytest.mark.parametrize(
    ("emotions", "scenarios", "arrangements"),
    [
        (list("abab"), list("sstt"), 4),
        (list("abcabc"), list("sssttt"), 36),
        (list("aaabb"), [None] * 5, 10),
        (list("aaaabb"), list("ssttuu"), 3),
        (list("abab"), ["s", "s", None, None], 4),
        (list("aaaa"), [None] * 4, 1),
    ],
)
def test_the_number_of_arrangements_is_that_of_a_full_listing(
    emotions: list[str], scenarios: list[str | None], arrangements: int
) -> None:
    found = exchange(emotions, scenarios)
    draws = found.relabelled(np.random.default_rng(5), permutations=2000)
    assert len({tuple(row) for row in draws.tolist()}) == arrangements
    assert 10**found.log10_arrangements == pytest.approx(arrangements)


def test_a_scenario_may_bear_any_name() -> None:
    found = exchange(["a", "b", "a"], ["1", None, "1"])
    assert found.unit.tolist() == [0, 1, 0]
