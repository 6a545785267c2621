"""Words of a text, for audits: letters and digits in small letters, one by one in CJK scripts."""

from __future__ import annotations

import re
import unicodedata

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])[^\W_])+(?:['’](?:(?![{_CJK}])[^\W_])+)*")

PERSONS: dict[str, frozenset[str]] = {
    "first": frozenset(
        (
            *("i", "me", "my", "mine", "myself", "i'm", "i've", "i'd", "i'll"),
            *("we", "us", "our", "ours", "ourselves", "we're", "we've", "we'd", "we'll"),
        )
    ),
    "second": frozenset(
        (
            *("you", "your", "yours", "yourself", "yourselves"),
            *("you're", "you've", "you'd", "you'll"),
        )
    ),
    "third": frozenset(
        (
            *("he", "him", "his", "himself", "he's", "he'd", "he'll"),
            *("she", "her", "hers", "herself", "she's", "she'd", "she'll"),
            *("it", "its", "itself", "it's", "it'd", "it'll"),
            *("they", "them", "their", "theirs", "themselves"),
            *("they're", "they've", "they'd", "they'll"),
        )
    ),
}
"""English pronouns, with contractions as the word pattern leaves them."""


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in order, in small letters and NFKC, apostrophes straight."""
    normal = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return tuple(_WORD.findall(normal))
