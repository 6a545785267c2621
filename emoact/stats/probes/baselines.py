"""Baselines: classifiers that see the text and no activations."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int

from emoact.stats.probes.logistic import logistic_decisions
from emoact.stats.probes.probes import trained_decisions

BaselineKind = Literal["majority", "length", "punctuation", "bag_of_words", "tfidf", "char_tfidf"]

BASELINE_KINDS: tuple[BaselineKind, ...] = get_args(BaselineKind)
LEXICAL_KINDS: tuple[BaselineKind, ...] = ("bag_of_words", "tfidf", "char_tfidf")

_TFIDF_C = 10.0
"""Rows of TF-IDF have length 1; C = 1 would keep all weights near 0."""


def baseline_decisions(
    kind: BaselineKind,
    texts: Sequence[str],
    n_tokens: Int[np.ndarray, " prompt"],
    is_emotion: Bool[np.ndarray, " prompt"],
    train: Bool[np.ndarray, " prompt"],
    test: Bool[np.ndarray, " prompt"],
) -> Float64[np.ndarray, " test"]:
    """Decision values of the test prompts; positive is the emotion.

    They are NaN where the training prompts lack a class. `majority` follows the larger class,
    `length` sees the number of tokens, `punctuation` counts of each punctuation mark and the last
    character, `bag_of_words` word counts, `tfidf` weighted words and pairs of words, `char_tfidf`
    weighted runs of two to four characters, which also serves languages that do not separate words.
    """
    labels = is_emotion[train]
    if labels.all() or not labels.any():
        return np.full(int(test.sum()), np.nan)
    if kind == "majority":
        return np.full(int(test.sum()), float(labels.sum() - (~labels).sum()))
    if kind == "length":
        features = n_tokens[:, None].astype(np.float64)
        return trained_decisions(logistic_decisions, features, is_emotion, train, test)
    if kind == "punctuation":
        features = punctuation_features(texts)
        return trained_decisions(logistic_decisions, features, is_emotion, train, test)
    penalty_c = 1.0 if kind == "bag_of_words" else _TFIDF_C
    train_features, test_features = _word_features(
        kind,
        [text for text, chosen in zip(texts, train, strict=True) if chosen],
        [text for text, chosen in zip(texts, test, strict=True) if chosen],
    )
    return logistic_decisions(train_features, labels, test_features, penalty_c=penalty_c)


def baseline_cross_validated(
    kind: BaselineKind,
    texts: Sequence[str],
    n_tokens: Int[np.ndarray, " prompt"],
    is_emotion: Bool[np.ndarray, " prompt"],
    used: Bool[np.ndarray, " prompt"],
    folds: Int[np.ndarray, " prompt"],
) -> Float64[np.ndarray, " prompt"]:
    """Decision value of each used prompt by a baseline that saw the other folds; NaN elsewhere."""
    decisions = np.full(len(texts), np.nan)
    for fold in np.unique(folds[used]):
        test = used & (folds == fold)
        decisions[test] = baseline_decisions(
            kind, texts, n_tokens, is_emotion, used & (folds != fold), test
        )
    return decisions


def punctuation_features(texts: Sequence[str]) -> Float64[np.ndarray, "prompt feature"]:
    """Counts of each punctuation mark that occurs, and the last character of the text."""
    marks = sorted({c for text in texts for c in text if unicodedata.category(c).startswith("P")})
    last = [text.rstrip()[-1:] for text in texts]
    endings = sorted({c for c in last if unicodedata.category(c or " ").startswith("P")})
    return np.array(
        [
            [
                *(float(text.count(mark)) for mark in marks),
                *(float(end == ending) for ending in endings),
                float(len(marks) == 0),
            ]
            for text, end in zip(texts, last, strict=True)
        ],
        dtype=np.float64,
    )


def _word_features(
    kind: BaselineKind, train: Sequence[str], test: Sequence[str]
) -> tuple[Float64[np.ndarray, "train feature"], Float64[np.ndarray, "test feature"]]:
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    # Single letters are words too: "I" and "you" separate apology from anger.
    words = r"(?u)\b\w+\b"
    if kind == "bag_of_words":
        vectoriser = CountVectorizer(token_pattern=words)
    elif kind == "tfidf":
        vectoriser = TfidfVectorizer(token_pattern=words, ngram_range=(1, 2), sublinear_tf=True)
    else:
        vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    try:
        train_features = vectoriser.fit_transform(train).toarray().astype(np.float64)
    except ValueError:
        # Texts without a word leave an empty vocabulary and no feature.
        return np.zeros((len(train), 1)), np.zeros((len(test), 1))
    return train_features, vectoriser.transform(test).toarray().astype(np.float64)
