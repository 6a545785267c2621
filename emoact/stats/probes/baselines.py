"""Baselines: classifiers that see the text and no activations."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int

from emoact.stats.probes.logistic import class_weights, kernel_decisions, logistic_decisions
from emoact.stats.probes.probes import MANY_PROMPTS, Split, standardised
from emoact.stats.room import MEMORY, Room, set_down

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BaselineKind = Literal["majority", "length", "punctuation", "bag_of_words", "tfidf", "char_tfidf"]

BASELINE_KINDS: tuple[BaselineKind, ...] = get_args(BaselineKind)
TEXT_KINDS: tuple[BaselineKind, ...] = BASELINE_KINDS[:0:-1]
"""Candidates for the text baseline that counts; the first of equals is taken."""

_TFIDF_C = 10.0
"""Rows of TF-IDF have length 1; C = 1 would keep all weights near 0."""

_TEXTS = 2048
"""Texts that are counted at once."""
_WORDS = r"(?u)\b\w+\b"
"""Single letters are words too: "I" and "you" separate apology from anger."""


class TextClassifiers:
    """The baselines of a list of texts; features are counted once and fitted for each split.

    `majority` follows the larger class, `length` sees the number of tokens, `punctuation` counts
    of each punctuation mark and the last character, `bag_of_words` word counts, `tfidf` weighted
    words and pairs of words, `char_tfidf` weighted runs of two to four characters, which also
    serves languages that do not separate words.
    """

    def __init__(
        self, texts: Sequence[str], n_tokens: Int[np.ndarray, " prompt"], room: Room = MEMORY
    ) -> None:
        self._texts, self._room = texts, room
        self._lengths = n_tokens[:, None].astype(np.float64)

    @property
    def kinds(self) -> tuple[BaselineKind, ...]:
        """Every kind; without texts only those that need none."""
        known = any(text.strip() for text in self._texts)
        return BASELINE_KINDS if known else ("majority", "length")

    def decisions(
        self,
        kind: BaselineKind,
        is_emotion: Bool[np.ndarray, " prompt"],
        splits: Sequence[Split],
    ) -> Float64[np.ndarray, " prompt"]:
        """Decision values of the tested prompts; positive is the emotion.

        NaN for prompts that are in no test, and where the training prompts lack a class.
        """
        found = np.full(len(self._texts), np.nan)
        for train, test in splits:
            labels = is_emotion[train]
            if test.any() and labels.any() and not labels.all():
                found[test] = self._decide(kind, labels, train, test)
        return found

    def _decide(
        self,
        kind: BaselineKind,
        labels: Bool[np.ndarray, " train"],
        train: Bool[np.ndarray, " prompt"],
        test: Bool[np.ndarray, " prompt"],
    ) -> Float64[np.ndarray, " test"]:
        if kind == "majority":
            return np.full(int(test.sum()), float(labels.sum() - (~labels).sum()))
        if kind in ("length", "punctuation"):
            dense = self._lengths if kind == "length" else self._punctuation
            here, there = standardised(dense, (train, test))
            return logistic_decisions(here, labels, there)
        blocks, weighted = self._counts(kind), kind != "bag_of_words"
        if train.sum() > MANY_PROMPTS:
            scale = np.ones(blocks[0].shape[1]) if weighted else self._single.astype(np.float64)
            return _many_decisions(blocks, labels, train, test, scale=scale, weighted=weighted)
        counts = _joined(blocks)
        return _sparse_decisions(
            counts if weighted else counts[:, self._single], labels, train, test, weighted=weighted
        )

    @cached_property
    def _punctuation(self) -> Float64[np.ndarray, "prompt feature"]:
        return punctuation_features(self._texts)

    def _counts(self, kind: BaselineKind) -> Sequence[csr_matrix]:
        return self._characters if kind == "char_tfidf" else self._counted_words[0]

    @cached_property
    def _single(self) -> Bool[np.ndarray, " feature"]:
        return self._counted_words[1]

    @cached_property
    def _counted_words(self) -> tuple[Sequence[csr_matrix], Bool[np.ndarray, " feature"]]:
        return _counted(self._texts, self._room, token_pattern=_WORDS, ngram_range=(1, 2))

    @cached_property
    def _characters(self) -> Sequence[csr_matrix]:
        return _counted(self._texts, self._room, analyzer="char_wb", ngram_range=(2, 4))[0]


def punctuation_features(texts: Sequence[str]) -> Float64[np.ndarray, "prompt feature"]:
    """Counts of each punctuation mark that occurs, and the last character of the text."""
    marks = sorted({c for text in texts for c in text if unicodedata.category(c).startswith("P")})
    last = {text.rstrip()[-1:] for text in texts}
    endings = sorted(c for c in last if unicodedata.category(c or " ").startswith("P"))
    found = np.empty((len(texts), len(marks) + len(endings) + 1))
    for row, text in enumerate(texts):
        end = text.rstrip()[-1:]
        counts = (text.count(mark) for mark in marks)
        found[row] = [*counts, *(end == ending for ending in endings), len(marks) == 0]
    return found


def _counted(
    texts: Sequence[str], room: Room, **options: Any
) -> tuple[Sequence[csr_matrix], Bool[np.ndarray, " feature"]]:
    """Counts of each word in each text, in blocks of `_TEXTS` texts, and which words are single."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    analysed = CountVectorizer(**options).build_analyzer()
    found, longest, n_words = set[str](), 0, 0
    for text in texts:
        own = analysed(text)
        longest, n_words = max(longest, len(own)), n_words + len(own)
        found.update(own)
    names = sorted(found)
    del found
    single = np.array([" " not in name for name in names] or [True])
    if not names:
        empty = (csr_matrix((min(_TEXTS, len(texts) - at), 1)) for at in _starts(len(texts)))
        return list(empty), single
    counter = CountVectorizer(vocabulary=names, dtype=np.int32, **options)
    del names
    # What scikit-learn holds while it counts is several times what is left.
    data = room.table((n_words,), np.min_scalar_type(longest))
    indices = room.table((n_words,), np.int32)
    blocks, end = list[csr_matrix](), 0
    for at in _starts(len(texts)):
        block = counter.transform(texts[at : at + _TEXTS])
        start, end = end, end + block.nnz
        data[start:end], indices[start:end] = block.data, block.indices
        block.data, block.indices = data[start:end], indices[start:end]
        blocks.append(block)
        set_down(data)
        set_down(indices)
    return blocks, single


def _starts(n_texts: int) -> range:
    return range(0, n_texts, _TEXTS)


def _joined(blocks: Sequence[csr_matrix]) -> csr_matrix:
    from scipy.sparse import vstack

    return vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]


def _sparse_decisions(
    counts: csr_matrix,
    labels: Bool[np.ndarray, " train"],
    train: Bool[np.ndarray, " prompt"],
    test: Bool[np.ndarray, " prompt"],
    *,
    weighted: bool,
) -> Float64[np.ndarray, " test"]:
    """Logistic decisions on counts, or on their TF-IDF, of the words of the training texts."""
    from sklearn.feature_extraction.text import TfidfTransformer

    seen = np.bincount(counts[train].indices, minlength=counts.shape[1]) > 0
    if not seen.any():
        return np.zeros(int(test.sum()))
    here, there = (counts[side][:, seen].astype(np.float64) for side in (train, test))
    if weighted:
        transformer = TfidfTransformer(sublinear_tf=True).fit(here)
        here, there = (transformer.transform(part, copy=False) for part in (here, there))
    products, with_test = (here @ here.T).toarray(), (there @ here.T).toarray()
    penalty_c = _TFIDF_C if weighted else 1.0
    return kernel_decisions(products, labels, with_test, penalty_c=penalty_c)


def _many_decisions(
    counts: Sequence[csr_matrix],
    labels: Bool[np.ndarray, " train"],
    train: Bool[np.ndarray, " prompt"],
    test: Bool[np.ndarray, " prompt"],
    *,
    scale: Float64[np.ndarray, " word"],
    weighted: bool,
) -> Float64[np.ndarray, " test"]:
    """The same of very many texts, of which no copy is made but a few rows at a time.

    A TF-IDF is the count's logarithm times a factor of its column and one of its row. A word that
    no training text has gets the weight 0.
    """
    from scipy.optimize import minimize
    from scipy.sparse import csr_matrix

    def rows() -> Iterator[tuple[slice, csr_matrix]]:
        for at, own in zip(_starts(len(train)), counts, strict=True):
            data = own.data.astype(np.float64)
            data = 1 + np.log(data) if weighted else data
            yield slice(at, at + _TEXTS), csr_matrix((data, own.indices, own.indptr), own.shape)
            set_down(own.data)
            set_down(own.indices)

    lengths = np.ones(len(train))
    if weighted:
        n_train, held = int(train.sum()), np.zeros(len(scale))
        for at, own in rows():
            held += np.bincount(own[train[at]].indices, minlength=len(held))
        scale = np.where(held > 0, np.log((1 + n_train) / (1 + held)) + 1, 0.0)
        for at, own in rows():
            lengths[at] = np.sqrt(own.power(2) @ scale**2)
        lengths[lengths == 0] = 1

    def values_of(moved: Float64[np.ndarray, " parameter"]) -> Float64[np.ndarray, " prompt"]:
        along = scale * moved[:-1]
        values = np.concatenate([own @ along for _, own in rows()])
        return np.asarray(values / lengths + moved[-1])

    sign, weight = np.zeros(len(train)), np.zeros(len(train))
    sign[train] = np.where(labels, 1.0, -1.0)
    weight[train] = class_weights(labels) / len(labels)
    penalty = 1 / (_TFIDF_C if weighted else 1.0) / len(labels)

    def loss(
        moved: Float64[np.ndarray, " parameter"],
    ) -> tuple[float, Float64[np.ndarray, " parameter"]]:
        values = sign * values_of(moved)
        pull = -weight * sign / (1 + np.exp(np.clip(values, -500, 500)))
        slope = sum(own.T @ (pull / lengths)[at] for at, own in rows()) * scale
        gradient = np.append(slope + penalty * moved[:-1], pull.sum())
        square = penalty * float(moved[:-1] @ moved[:-1]) / 2
        return float(weight @ np.logaddexp(0, -values)) + square, gradient

    start = np.zeros(len(scale) + 1)
    options = {"maxiter": 500, "gtol": 1e-3, "ftol": 1e-11}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return np.asarray(values_of(found)[test])
