import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoact.stats.audit import counts
from emoact.stats.audit.counts import similar_pairs
from emoact.stats.audit.text import words_of

WORDS = st.lists(st.sampled_from("abcdefghij"), max_size=9)


@given(texts=st.lists(WORDS, max_size=14))
@settings(max_examples=300, deadline=None)
def test_no_similar_pair_is_lost_by_comparing_only_likely_ones(texts: list[list[str]]) -> None:
    expected = {
        (one, other)
        for one, other in itertools.combinations(range(len(texts)), 2)
        if texts[one] != texts[other]
        and set(texts[one]) & set(texts[other])
        and len(set(texts[one]) & set(texts[other])) * 5
        >= 3 * len(set(texts[one]) | set(texts[other]))
    }
    pairs, complete = similar_pairs(texts)
    assert set(pairs) == expected
    assert len(pairs) == len(expected)
    assert complete


def test_a_search_that_would_take_too_long_ends_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counts, "_MOST_COMPARISONS", 1_000)
    texts = [["the", "same", "words", "again", f"{n}"] for n in range(200)]
    assert similar_pairs(texts)[1] is False
    # Long texts take as long as many short ones.
    monkeypatch.setattr(counts, "_MOST_COMPARISONS", 100)
    few = [["the", "same"] * 600 + [f"{n}"] for n in range(5)]
    assert similar_pairs(text[-20:] for text in few)[1] is True
    assert similar_pairs(few)[1] is False


def test_words_are_letters_in_any_script_with_their_apostrophes() -> None:
    text = "Don’t SHOUT, I'm tired: naïve café 42! ＡＢＣ 'quoted'"
    assert words_of(text) == (
        *("don't", "shout", "i'm", "tired", "naïve", "café", "42", "abc", "quoted"),
    )
    assert words_of("ありがとう、田中さん ok") == (*"ありがとう田中さん", "ok")
    assert words_of("... !?") == ()
