"""Baselines: classifiers that see the text and no activations."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int

from emoact.stats.probes.logistic import kernel_decisions, logistic_decisions
from emoact.stats.probes.probes import MANY_PROMPTS, Split, standardised

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

    def __init__(self, texts: Sequence[str], n_tokens: Int[np.ndarray, " prompt"]) -> None:
        self._texts = list(texts)
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
            here, there = standardised(dense[train], dense[test])
            return logistic_decisions(here, labels, there)
        counts = self._characters if kind == "char_tfidf" else self._words
        return _sparse_decisions(
            counts[:, self._single] if kind == "bag_of_words" else counts,
            labels,
            train,
            test,
            weighted=kind != "bag_of_words",
        )

    @cached_property
    def _punctuation(self) -> Float64[np.ndarray, "prompt feature"]:
        return punctuation_features(self._texts)

    @cached_property
    def _words(self) -> csr_matrix:
        return self._counted_words[0]

    @cached_property
    def _single(self) -> Bool[np.ndarray, " feature"]:
        return np.array([" " not in name for name in self._counted_words[1]], dtype=bool)

    @cached_property
    def _counted_words(self) -> tuple[csr_matrix, Sequence[str]]:
        return _counted(self._texts, token_pattern=_WORDS, ngram_range=(1, 2))

    @cached_property
    def _characters(self) -> csr_matrix:
        return _counted(self._texts, analyzer="char_wb", ngram_range=(2, 4))[0]


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


def _counted(texts: Sequence[str], **options: Any) -> tuple[csr_matrix, Sequence[str]]:
    from scipy.sparse import csr_matrix, vstack
    from sklearn.feature_extraction.text import CountVectorizer

    analysed = CountVectorizer(**options).build_analyzer()
    names = sorted({word for text in texts for word in analysed(text)})
    if not names:
        return csr_matrix((len(texts), 1)), ["word"]
    counter = CountVectorizer(vocabulary=names, dtype=np.int32, **options)
    # What scikit-learn holds while it counts is several times what is left.
    blocks = [counter.transform(texts[at : at + _TEXTS]) for at in range(0, len(texts), _TEXTS)]
    for each in blocks:
        # A byte for each count where they are that small.
        each.data = each.data.astype(np.min_scalar_type(each.data.max(initial=0)))
    return vstack(blocks, format="csr"), names


def _sparse_decisions(
    counts: csr_matrix,
    labels: Bool[np.ndarray, " train"],
    train: Bool[np.ndarray, " prompt"],
    test: Bool[np.ndarray, " prompt"],
    *,
    weighted: bool,
) -> Float64[np.ndarray, " test"]:
    """Logistic decisions on counts, or on their TF-IDF, of the words of the training texts."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    own = counts[train]
    seen = np.zeros(counts.shape[1], dtype=bool)
    seen[own.indices] = True
    if not seen.any():
        return np.zeros(int(test.sum()))
    # New numbers for the columns in place of a choice of them: of very many texts copies are large.
    number = np.cumsum(seen, dtype=own.indices.dtype) - 1
    shape = (own.shape[0], int(seen.sum()))
    here = csr_matrix((own.data.astype(np.float64), number[own.indices], own.indptr), shape=shape)
    del own
    there = counts[test][:, seen].astype(np.float64)
    if weighted:
        transformer = TfidfTransformer(sublinear_tf=True).fit(here)
        here, there = (transformer.transform(part, copy=False) for part in (here, there))
    penalty_c = _TFIDF_C if weighted else 1.0
    if len(labels) <= MANY_PROMPTS:
        products, with_test = (here @ here.T).toarray(), (there @ here.T).toarray()
        return kernel_decisions(products, labels, with_test, penalty_c=penalty_c)
    fitted = LogisticRegression(C=penalty_c, class_weight="balanced", tol=1e-3, max_iter=500)
    return np.asarray(fitted.fit(here, labels).decision_function(there))
