"""An analysis of very many prompts holds a part of them at once, and gives the same tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from emoact.analysis import room
from emoact.stats import products, vectors
from emoact.stats.distances import distances
from emoact.stats.full import analyse_grid
from emoact.stats.probes import accuracy, lda
from emoact.stats.probes.baselines import TextClassifiers
from emoact.stats.probes.probes import MANY_PROMPTS
from emoact.stats.result import AnalysisResult
from emoact.stats.room import MEMORY, Room
from emoact.stats.settings import AnalysisSettings
from tests.support.planted_features import unit_of

SETTINGS = AnalysisSettings(
    sites=("resid_pre",),
    n_permutations=1000,
    n_bootstrap=20,
    n_splits=4,
    n_shuffles=1,
    probes=("mass_mean",),
)


def result(*, scenarios: bool, room: Room = MEMORY) -> AnalysisResult:
    rng = np.random.default_rng(3)
    units = []
    for label in ("joy", "fear", "neutral"):
        vectors = rng.normal(size=(30, 2, 20))
        vectors[:, 1:, 0] += label == "joy"
        vectors[:, :, 5] *= 7
        units.append(unit_of("m", label, {"resid_pre": vectors}, scenarios=scenarios))
    return analyse_grid(units, SETTINGS, workers=1, room=room)


def assert_same(found: AnalysisResult, expected: AnalysisResult) -> None:
    assert found.tables.keys() == expected.tables.keys()
    for name, table in expected.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table, rtol=1e-6, atol=1e-9, obj=name)
    for key, direction in expected.directions.items():
        np.testing.assert_allclose(found.directions[key], direction, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scenarios", [True, False])
def test_few_dimensions_at_once_of_vectors_on_the_disk_give_the_same_tables(
    scenarios: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = result(scenarios=scenarios)
    for module in (vectors, products, distances, accuracy):
        monkeypatch.setattr(module, "BLOCK_NUMBERS", 60)
    monkeypatch.setattr(room, "LEAST_BYTES", 0)
    assert_same(result(scenarios=scenarios, room=room.DiskRoom(tmp_path)), expected)
    assert not list(tmp_path.iterdir())


def test_lda_of_few_prompts_at_once_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    x, is_emotion = rng.normal(size=(300, 6)) + 50, np.arange(300) % 3 == 0
    x[is_emotion] += 1
    expected = lda.lda_decisions(x[:240], is_emotion[:240], x[240:])
    monkeypatch.setattr(lda, "BLOCK_NUMBERS", 60)
    found = lda.lda_decisions(x[:240], is_emotion[:240], x[240:])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["tfidf", "bag_of_words"])
def test_words_of_many_texts_are_weighed_as_scikit_learn_does(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LEAST_BYTES", 0)
    rng = np.random.default_rng(0)
    n = MANY_PROMPTS * 3 // 2
    is_emotion = np.arange(n) % 2 == 0
    texts = [
        " ".join([*rng.choice(list("abcdefgh"), 5), "yes" if own and rng.random() < 0.3 else "no"])
        for own in is_emotion
    ]
    test = np.arange(n) % 5 == 0
    classifiers = TextClassifiers(texts, np.full(n, 6), room.DiskRoom(tmp_path))
    found = classifiers.decisions(kind, is_emotion, [(~test, test)])  # type: ignore[arg-type]
    weighted = kind == "tfidf"
    counter = TfidfVectorizer(
        token_pattern=r"(?u)\b\w+\b",
        ngram_range=(1, 2 if weighted else 1),
        use_idf=weighted,
        sublinear_tf=weighted,
        norm="l2" if weighted else None,
    )
    every = np.array(texts)
    model = LogisticRegression(C=10.0 if weighted else 1.0, class_weight="balanced", tol=1e-3)
    model.fit(counter.fit_transform(every[~test]), is_emotion[~test])
    expected = model.decision_function(counter.transform(every[test]))
    np.testing.assert_allclose(found[test], expected, rtol=1e-6, atol=1e-6)
