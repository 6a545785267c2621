from collections import Counter
from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emoact.data.controls import count_one_word, lone_tokens, shuffle_words

TEXT = "I am sorry, I lost your keys."


def shuffled(text: str = TEXT, *, prompt_id: str = "p", number: int = 0, seed: int = 0) -> str:
    return shuffle_words(text, prompt_id=prompt_id, number=number, seed=seed)


@given(st.text(), st.text(), st.integers(0, 99))
def test_a_shuffle_keeps_every_word_with_its_punctuation(text: str, name: str, number: int) -> None:
    found = shuffled(text, prompt_id=name, number=number)
    assert Counter(found.split()) == Counter(text.split())
    assert shuffled(text, prompt_id=name, number=number) == found


def test_a_shuffle_depends_on_prompt_text_number_and_seed() -> None:
    found = {
        shuffled(),
        shuffled(prompt_id="q"),
        shuffled(number=1),
        shuffled(seed=1),
        shuffled(TEXT + " Again."),
    }
    assert len(found) == 5


def test_every_order_is_equally_likely() -> None:
    drawn = Counter(shuffled("a b c", number=number) for number in range(600))
    assert set(drawn) == {" ".join(order) for order in permutations("abc")}
    # Five degrees of freedom: the .999 quantile of chi-squared is 20.5.
    assert sum((count - 100) ** 2 / 100 for count in drawn.values()) < 20.5


def test_one_word_is_its_own_shuffle_and_is_counted() -> None:
    assert shuffled("Sorry!") == "Sorry!"
    assert count_one_word(["Sorry!", "Thank you", " "]) == 2


def test_each_distinct_token_stands_alone_behind_bos() -> None:
    prompts = [np.array([9, 4, 2, 4]), np.array([9, 2, 7])]
    found = lone_tokens(prompts, [(1, len(ids)) for ids in prompts])
    assert [ids.tolist() for ids in found] == [[9, 2], [9, 4], [9, 7]]


def test_without_bos_each_token_stands_alone() -> None:
    found = lone_tokens([np.array([4, 2, 4])], [(0, 3)])
    assert [ids.tolist() for ids in found] == [[2], [4]]
