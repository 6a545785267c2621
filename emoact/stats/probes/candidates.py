"""Baselines of one emotion, and the choice of the one that counts among the training prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float64

from emoact.measures import Cell, Columns
from emoact.stats.directions.contrast import Contrast
from emoact.stats.features import ModelFeatures
from emoact.stats.probes.accuracy import (
    Accuracies,
    accuracy_columns,
    balanced_accuracy,
    balanced_columns,
    n_prompts,
)
from emoact.stats.probes.baselines import TEXT_KINDS, BaselineKind, TextClassifiers
from emoact.stats.probes.probes import (
    CROSS_VALIDATED,
    TRANSFER,
    Question,
    Split,
    ask,
    correctness,
    fold_splits,
    inner_splits,
)

Correct = Float16[np.ndarray, " prompt"]
Decide = Callable[[Sequence[Split]], Float64[np.ndarray, " prompt"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """One classifier that sees less than the activations.

    Attributes:
        correct: Correctness of each prompt by evaluation.
        inner: Correctness among training prompts by evaluation, `[fold, prompt]`: for each fold by
            classifiers that did not see it; one row for the transfer.
    """

    correct: Mapping[str, Correct]
    inner: Mapping[str, Float16[np.ndarray, "fold prompt"]]


Candidates = Mapping[str, Candidate]


def question_of(model: ModelFeatures, contrast: Contrast) -> Question:
    """An emotion against its reference."""
    return ask(
        [prompt.subset for prompt in model.prompts],
        contrast.is_emotion,
        contrast.used,
        contrast.folds,
    )


def judge_texts(model: ModelFeatures, contrast: Contrast, texts: TextClassifiers) -> Candidates:
    """Every baseline that needs no activations; those on words only where the texts are known."""
    question = question_of(model, contrast)
    found = dict[str, Candidate]()
    for kind in texts.kinds:

        def decide(
            splits: Sequence[Split], kind: BaselineKind = kind
        ) -> Float64[np.ndarray, " prompt"]:
            return texts.decisions(kind, question.is_emotion, splits)

        found[kind] = candidate(decide, question)
    return found


def candidate(decide: Decide, question: Question) -> Candidate:
    """Correctness of a classifier, and among the training prompts of every split."""
    is_emotion, used, folds = question.is_emotion, question.used, question.folds
    # 0, 1/2, 1 and NaN need two bytes.
    kind = np.float16
    correct = {
        name: correctness(decide(splits), is_emotion).astype(kind)
        for name, splits in question.splits.items()
    }
    among = np.full((int(folds.max()) + 1, len(folds)), np.nan, dtype=kind)
    for (first, second), train in inner_splits(used, folds).items():
        tested = used & ((folds == first) | (folds == second))
        found = correctness(decide([(train, tested)]), is_emotion)
        among[first, folds == second] = found[folds == second]
        among[second, folds == first] = found[folds == first]
    inner = {CROSS_VALIDATED: among}
    if TRANSFER in question.splits:
        ((train, _),) = question.splits[TRANSFER]
        inner[TRANSFER] = correctness(decide(fold_splits(train, folds)), is_emotion).astype(kind)[
            None
        ]
    return Candidate(correct=correct, inner=inner)


def chosen_baseline(
    candidates: Candidates, contrast: Contrast, evaluation: str
) -> tuple[str, Correct]:
    """The text baseline that is best among the training prompts, and its correctness.

    It is chosen anew for every fold, because the best on the tested prompts would be a biased
    choice. The name is the one that is chosen most often.
    """
    kinds = [kind for kind in ("layer_0", *TEXT_KINDS) if kind in candidates]
    correct, names = np.full(len(contrast.folds), np.nan, dtype=np.float16), []
    n_choices = len(candidates[kinds[0]].inner[evaluation])
    for choice in range(n_choices):
        balanced = [
            balanced_accuracy(candidates[kind].inner[evaluation][choice], contrast.is_emotion)
            for kind in kinds
        ]
        best = kinds[int(np.nanargmax(balanced)) if np.isfinite(balanced).any() else 0]
        tested = contrast.folds == choice if evaluation == CROSS_VALIDATED else slice(None)
        correct[tested] = candidates[best].correct[evaluation][tested]
        names.append(best)
    return Counter(names).most_common(1)[0][0], correct


def baseline_cells(
    model: str, emotion: str, named: Mapping[tuple[str, str, str], Accuracies]
) -> Iterator[Cell]:
    """Cells of the table `baselines`, from accuracies by name, site and evaluation."""
    for (baseline, site, evaluation), median in named.items():
        if median.n:
            ids = {
                "model": model,
                "emotion": emotion,
                "baseline": baseline,
                "evaluation": evaluation,
            }
            yield Cell(table="baselines", ids=ids, source=(site, median))


_baselines = Columns("baselines")

MEASURES = (
    *accuracy_columns(
        _baselines,
        "Share of held-out prompts that the baseline classifies correctly; of several layers the "
        "median",
        lambda found: found[1],
    ),
    *balanced_columns(
        _baselines,
        "Mean over the two classes of the share of held-out prompts that are classified correctly; "
        "of several layers the median",
        lambda found: found[1],
    ),
    n_prompts(_baselines, "n", lambda found: found[1]),
    _baselines(
        "site",
        "Hook point of contextless and shuffled_words, which are probed at the layers of the "
        "headline; empty for the others",
        lambda found: found[0],
        kind="str",
    ),
)
