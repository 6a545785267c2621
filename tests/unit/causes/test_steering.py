"""Directions of steering, their controls and the split they rest on."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from emoact.causes.settings import SteerSettings
from emoact.causes.steering import Split, directions_of, split_scenarios
from emoact.errors import RequestError
from emoact.stats.design import Design, design_of

LABELS = ("anger", "apology", "neutral")
SETTINGS = SteerSettings(emotions=("anger",), layers=(0,), doses=(1.0,), control_doses=(1.0,))


def design(n: int) -> tuple[Design, list[str]]:
    names = [f"s{number}" for number in range(n)] * len(LABELS)
    return design_of([label for label in LABELS for _ in range(n)], names), names


def pooled(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(n * len(LABELS), 16)) * np.arange(1, 17)
    found[:n, 0] += 30
    found[n : 2 * n, 1] += 30
    return found


def split(n: int, *, seed: int = 0, n_sentences: int | None = None) -> Split:
    settings = dataclasses.replace(SETTINGS, n_sentences=n_sentences)
    return split_scenarios(*design(n), LABELS, settings, seed=seed)


def test_scenarios_are_split_whole_and_by_the_seed() -> None:
    _, names = design(10)
    found = split(10)
    assert len(found.train_scenarios) == 6
    assert len(found.test_scenarios) == 4
    assert set(found.train_scenarios) | set(found.test_scenarios) == set(names)
    assert found.train.sum() == 18
    assert not (found.train & found.test).any()
    assert split(10, seed=1).train_scenarios != found.train_scenarios
    fewer = split(10, n_sentences=2)
    assert len(fewer.test_scenarios) == 2
    assert set(fewer.test_scenarios) < set(found.test_scenarios)
    with pytest.raises(RequestError, match="no test scenario has a prompt of anger"):
        split(1)


def test_the_direction_is_the_difference_of_the_class_means_and_controls_have_its_norm() -> None:
    whole, _ = design(40)
    values = pooled(40)
    found = directions_of(values, whole, "anger", SETTINGS)
    expected = values[:40].mean(axis=0) - values[80:].mean(axis=0)
    np.testing.assert_allclose(found.own, expected)
    np.testing.assert_allclose(
        found.others["apology"], values[40:80].mean(axis=0) - values[80:].mean(axis=0)
    )
    assert found.shuffled.shape == found.exchanged["anger"].shape == (20, 16)
    # One exchange of all labels: what one emotion gains in a draw, the other loses.
    both = found.exchanged["anger"] + found.exchanged["apology"]
    np.testing.assert_allclose(both, np.tile(found.own + found.others["apology"], (20, 1)))
    assert found.random.shape == (100, 16)
    np.testing.assert_allclose(np.linalg.norm(found.random, axis=1), np.linalg.norm(expected))


def test_random_directions_have_the_covariance_of_the_neutral_prompts() -> None:
    whole, _ = design(300)
    values = pooled(300, seed=4)
    many = dataclasses.replace(SETTINGS, n_random=4000)
    drawn = directions_of(values, whole, "anger", many).random
    covariance = np.cov(values[600:].T)
    normal = np.random.default_rng(1).multivariate_normal(np.zeros(16), covariance, size=4000)
    expected, found = (
        np.mean((each / np.linalg.norm(each, axis=1, keepdims=True)) ** 2, axis=0)
        for each in (normal, drawn)
    )
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_exchanged_emotions_are_emotional_and_shuffled_labels_are_not() -> None:
    whole, _ = design(200)
    found = directions_of(pooled(200, seed=5), whole, "anger", SETTINGS)
    unit = found.own / np.linalg.norm(found.own)
    emotional = np.array([1.0, 1.0, *[0.0] * 14]) / np.sqrt(2)
    drawn = found.exchanged["anger"]
    assert (drawn @ emotional > 0.7 * np.linalg.norm(drawn, axis=1)).all()
    assert abs(np.mean(found.shuffled @ unit)) < 0.3 * np.linalg.norm(found.own)


def test_classes_without_a_difference_have_no_direction() -> None:
    whole, _ = design(4)
    with pytest.raises(RequestError, match="the same mean"):
        directions_of(np.ones((12, 3)), whole, "anger", SETTINGS)


def test_every_label_has_a_sentence_of_its_own_a_known_one_or_a_general_one() -> None:
    given = {"anger": "My blood boils."}
    settings = dataclasses.replace(SETTINGS, emotions=("anger", "apology", "joy"), prefixes=given)
    said = [settings.prefix_of(emotion) for emotion in settings.emotions]
    assert said == ["My blood boils.", "I am so sorry.", "I feel joy."]
    for wrong in ({"awe": "I am in awe."}, {"anger": " "}):
        with pytest.raises(RequestError, match="a sentence for one of anger, neutral is needed"):
            dataclasses.replace(SETTINGS, prefixes=wrong)
    with pytest.raises(RequestError, match="has 501 characters; a sentence of at most 500"):
        dataclasses.replace(SETTINGS, prefixes={"anger": "a" * 501})


@pytest.mark.parametrize(
    "many",
    [{"emotions": tuple(map(str, range(201)))}, {"doses": tuple(map(float, range(1, 20_002)))}],
)
def test_more_than_one_result_holds_is_refused_before_any_pass(many: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="one result holds at most 200 and 20,000"):
        dataclasses.replace(SETTINGS, **many)
