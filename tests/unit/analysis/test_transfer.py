"""Transfer from one results folder to another: figures, refusals, command and view."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from emoact.analysis import room
from emoact.analysis.transfer import Transferred, TransferRequest, _computed, compute_transfer
from emoact.errors import RequestError
from emoact.stats.across import transfer
from emoact.stats.across.transfer_table import balanced
from emoact.stats.rank import auroc
from emoact.store.reading import read
from emoact.views.transfer import label_pairs, sentences
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios
from tests.support.typed import Typed


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two data sets of one model; the second has other scenarios and names of its own."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    plant_scenarios(first, "gpt2", n_layers=4)

    def change(rows: np.ndarray, site: str, layer: int, sample: int) -> None:
        rows += np.float32(0.2 * np.sin(sample))

    plant_scenarios(
        second, "gpt2", n=15, n_layers=4, scenario="t{}".format, change=change, noun="bread"
    )
    plant_scenarios(second, "other", n=6)
    return first, second


def transferred(folders: tuple[Path, Path], **changes: Any) -> Transferred:
    source, target = map(str, folders)
    return compute_transfer(TransferRequest(**{"source": source, "target": target, **changes}))


def test_weighted_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(size=60), 1)
    labels = rng.random(60) < 0.4
    weights = np.vstack([np.ones(60), rng.integers(4, size=(3, 60))]).astype(float)
    expected = [roc_auc_score(labels, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(auroc(scores, labels, weights), expected)
    scores[scores == 0] = 0.1
    expected = [balanced_accuracy_score(labels, scores > 0, sample_weight=w) for w in weights]
    np.testing.assert_allclose(balanced(scores, labels, weights), expected)


def vectors(folder: Path, emotion: str, layer: int) -> np.ndarray:
    unit = read(folder / "activations" / "gpt2" / f"activations_{emotion}.pkl")
    return np.stack([np.asarray(x)[1:].mean(0) for x in unit.site("resid_pre")[layer]])


def test_a_direction_of_the_first_folder_decides_on_the_second(folders: tuple[Path, Path]) -> None:
    first, second = folders
    found = transferred(folders)
    assert found.labels == {"anger": "anger", "gratitude": "gratitude", "neutral": "neutral"}
    rows = found.tables["transfer_layers"]
    for layer in range(4):
        a, n = (vectors(first, name, layer) for name in ("anger", "neutral"))
        x = np.concatenate([a, n])
        direction = (a.mean(0) - n.mean(0)) / x.std(0) ** 2
        tested = np.concatenate([vectors(second, name, layer) for name in ("anger", "neutral")])
        scores = (tested - (a.mean(0) + n.mean(0)) / 2) @ direction
        labels = np.arange(30) < 15
        row = rows[
            (rows["emotion"] == "anger") & (rows["layer"] == layer) & (rows["probe"] == "mass_mean")
        ].iloc[0]
        assert row["auroc"] == pytest.approx(roc_auc_score(labels, scores))
        assert row["balanced_accuracy"] == pytest.approx(
            balanced_accuracy_score(labels, scores > 0)
        )
        assert row["balanced_low"] <= row["balanced_accuracy"] <= row["balanced_high"]


def test_the_headline_is_the_median_beside_the_best_words(folders: tuple[Path, Path]) -> None:
    found = transferred(folders)
    whole, layers = found.tables["transfer"], found.tables["transfer_layers"]
    own = whole[(whole["emotion"] == "anger") & (whole["classifier"] == "lda")].iloc[0]
    band = layers[
        (layers["emotion"] == "anger") & (layers["probe"] == "lda") & layers["layer"].isin([1, 2])
    ]
    assert own["layers"] == "1-2"
    assert own["balanced_accuracy"] == pytest.approx(band["balanced_accuracy"].median())
    assert own["n_train"] == 24
    assert own["n"] == 30
    words = whole[(whole["emotion"] == "anger") & (whole["classifier"] == own["baseline"])].iloc[0]
    # The planted texts name their emotion.
    assert words["balanced_accuracy"] == 1
    assert own["difference"] == pytest.approx(own["balanced_accuracy"] - 1)
    assert {"tfidf", "char_tfidf", "bag_of_words", "length", "layer_0"} <= set(whole["classifier"])


def test_labels_are_matched_on_request_and_the_others_named(folders: tuple[Path, Path]) -> None:
    found = transferred(folders, labels=label_pairs("anger=gratitude"))
    targets = found.tables["transfer"].set_index("emotion")["target"]
    assert set(targets.loc["anger"]) == {"gratitude"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": (("joy", "anger"),)}, "'joy' .* is no label of the first data set"),
        ({"labels": (("anger", "joy"),)}, "'joy' .* is no label of the second data set"),
        ({"neutral": "calm"}, "without a counterpart"),
        ({"model": "other"}, "model 'other' is not in both folders"),
        ({"sites": ("resid_mid",)}, "has no resid_mid"),
    ],
)
def test_what_cannot_be_matched_is_named(
    folders: tuple[Path, Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        transferred(folders, **changes)


@pytest.mark.parametrize(
    ("provenance", "field"),
    [
        ({"dtype": "bfloat16"}, "dtype is float32 .* and bfloat16"),
        ({"bos": {"policy": "none"}}, "bos is prepend .* and none"),
        ({"revision": "other"}, "revision is main .* and other"),
        ({"generation": {"tokens": "greedy"}}, "generation is none .* and tokens greedy"),
    ],
)
def test_folders_made_differently_are_refused_with_the_field(
    folders: tuple[Path, Path], tmp_path: Path, provenance: dict[str, Any], field: str
) -> None:
    plant_scenarios(tmp_path, "gpt2", provenance=provenance, n_layers=4)
    with pytest.raises(RequestError, match=field):
        transferred((folders[0], tmp_path))


def test_only_new_scenarios_count(folders: tuple[Path, Path], tmp_path: Path, typed: Typed) -> None:
    some, all_of_them = tmp_path / "some", tmp_path / "all"
    plant_scenarios(some, "gpt2", n=20, n_layers=4, noun="bread")
    words = ["transfer", "--from", str(folders[0]), "--to", str(some), "--json"]
    found = typed(*words).json
    assert found["n_repeated"] == 0
    assert found["n_shared_scenarios"] == 3 * 12
    assert {row["n"] for row in found["transfer"]} == {2 * 8}
    assert "36 prompts of the second data set belong to scenarios of the training" in str(
        found["answer"]
    )
    plant_scenarios(all_of_them, "gpt2", n=12, n_layers=4, noun="bread")
    with pytest.raises(RequestError, match=r"every prompt of anger, .* scenario"):
        transferred((folders[0], all_of_them))


def test_prompts_of_both_folders_are_not_tested(folders: tuple[Path, Path], tmp_path: Path) -> None:
    longer, same = tmp_path / "longer", tmp_path / "same"
    plant_scenarios(longer, "gpt2", n=18, n_layers=4)
    found = transferred((folders[0], longer))
    assert found.n_repeated == 3 * 12
    assert set(found.tables["transfer"]["n"]) == {2 * 6}
    plant_scenarios(same, "gpt2", n=12, n_layers=4)
    with pytest.raises(RequestError, match="every prompt of anger, gratitude, neutral"):
        transferred((folders[0], same))


def test_the_command_prints_answer_and_document(folders: tuple[Path, Path], typed: Typed) -> None:
    words = ("transfer", "--from", str(folders[0]), "--to", str(folders[1]))
    said = typed(*words).out
    assert "layers 1-2" in said
    assert "anger (15 prompts against 15)" in said
    assert "not shown to be better than this classifier" in said
    document = typed(*(*words, "--map", "anger=gratitude", "--json")).json
    assert document["labels"]["anger"] == "gratitude"
    assert document["transfer"][0]["n_train"] == 24
    typed(*(*words, "--map", "anger"), code=2)


def test_few_scenarios_are_not_compared(folders: tuple[Path, Path], tmp_path: Path) -> None:
    plant_scenarios(
        tmp_path, "gpt2", n=15, n_layers=4, scenario=lambda i: f"u{i % 5}", noun="bread"
    )
    found = transferred((folders[0], tmp_path))
    rows = found.tables["transfer"]
    assert set(rows["n_scenarios_least"]) == {5}
    assert set(rows["n"]) == {30}
    said = " ".join(sentences(found, "resid_pre"))
    assert "there are too few scenarios" in said
    rows = found.tables["transfer"]
    told = rows[rows["classifier"].isin(["mass_mean", "logistic", rows["baseline"].iloc[-1]])]
    at_chance = sum(row["balanced_low"] <= 0.5 for row in told.to_dict("records"))
    assert said.count("not shown to be above chance") == at_chance > 0


def test_the_view_shows_the_same_figures(folders: tuple[Path, Path], typed: Typed) -> None:
    first, second = (str(folder) for folder in folders)
    plant_analysis(folders[0])
    words = ("view", "transfer", "--results", first, "--json")
    shown = typed(*(*words, "--choice", f"to={second}", "map=anger=gratitude")).json
    found = transferred(folders, labels=(("anger", "gratitude"),))
    expected = found.tables["transfer"].to_dict("records")
    assert [row["auroc"] for row in shown["rows"]] == [row["auroc"] for row in expected]
    assert "anger as gratitude" in " ".join(shown["answer"])
    assert typed(*words).json["rows"] == []
    assert "no activations" in " ".join(typed(*(*words, "--choice", "to=/nowhere")).json["answer"])


def test_blocks_give_the_same(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = transferred(folders, seed=7)
    seen = list[tuple[int, ...]]()

    def spied(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        seen.append(weights.shape)
        return auroc(scores, labels, weights)

    # Vectors and draws are then in files, and three draws of the 30 prompts are weighed at once.
    monkeypatch.setattr(room, "LEAST_BYTES", 1)
    monkeypatch.setattr(transfer, "BLOCK_NUMBERS", 90)
    monkeypatch.setattr(transfer, "auroc", spied)
    _computed.cache_clear()
    parts = transferred(folders, seed=7)
    assert set(seen) == {(1, 30), (3, 30)}
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(table, parts.tables[name], check_exact=True)
