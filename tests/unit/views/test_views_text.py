import html
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from emoact.report.document import marked
from emoact.views.text import coloured, listed, md, mono, prose, shortened, unbroken
from emoact.views.theme import plain

MARKDOWN = MarkdownIt("commonmark", {"html": True})

HOSTILE = [
    "<script>alert(1)</script>",
    "*bold* _soft_ ~~gone~~",
    "[link](javascript:alert(1))",
    "![x](http://elsewhere/pixel.png)",
    "a\n\n# heading",
    "$x^2$ and :red[word] and :material/home:",
    "`code` ``more``",
    "- item\n- item",
    "&amp; &lt;",
    "back\\slash \\* |pipe|",
]


def shown(markdown: str) -> str:
    """What a reader sees, as CommonMark has it; the oracle is not our code."""
    rendered = MARKDOWN.renderInline(markdown)
    assert not re.search(r"<(?!/?code>|br)", rendered), rendered
    return html.unescape(re.sub(r"</?code>", "", rendered))


def test_a_figure_stays_on_one_line_and_code_as_it_is() -> None:
    said = unbroken("84 % (p ≤ 0.05, d = −1) at layer 3 of `--layer 3 %`, 3 times")
    assert said == "84\xa0% (p\xa0≤\xa00.05, d\xa0=\xa0−1) at layer\xa03 of `--layer 3 %`, 3 times"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("escape", [md, mono])
def test_a_reader_sees_the_characters_as_they_are(text: str, escape: object) -> None:
    assert callable(escape)
    assert shown(escape(text)).replace("\u2060", "") == text.replace("\n", " ")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_no_printable_text_becomes_markup(text: str) -> None:
    assert shown(md(text)).replace("\u2060", "") == text
    assert shown(mono(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "see http://evil.example/a now",
        "HTTPS://evil.example",
        "www.evil.example",
        "Www.evil.example/x",
        "mail me@evil.example",
        "mailto:me@evil.example",
        "xhttp://a.b",
    ],
)
def test_an_address_does_not_become_a_link(text: str) -> None:
    # The rules of GitHub's autolinks, as the library that Streamlit uses applies them to text.
    rules = (r"(?:https?://|www(?=\.))[-.\w]+[^ \t\r\n]*", r"[-.\w+]+@[-\w]+(?:\.[-\w]+)+")
    seen = shown(md(text))
    assert not any(re.search(rule, seen, re.IGNORECASE | re.ASCII) for rule in rules)
    assert seen.replace("\u2060", "") == text


@pytest.mark.parametrize(
    "show", [md, mono, prose, plain, marked, lambda text: coloured([text], [1.0])]
)
def test_no_text_turns_the_direction_of_what_follows(show: Callable[[str], str]) -> None:
    turns = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert not set(show(f"a{turns}b")) & set(turns)
    # Marks of Hebrew and Arabic text end with their word, and stay.
    assert "\u200f" in show("\u05d0\u200f")


def test_streamlit_directives_and_formulas_are_escaped() -> None:
    for text in (":red[word]", ":material/home:", "$x$", ":smile:"):
        assert not re.search(r"(?<!\\):[a-z]|(?<!\\)\$", md(text))
    # A shortcode is broken so that it stays text.
    assert ":smile:" not in md("a:smile:b").replace("\\", "")


def test_backticks_of_a_message_become_code_and_the_rest_stays_text() -> None:
    assert prose("run `emoact models list` <now>") == "run `emoact models list` \\<now\\>"
    assert prose("a lone ` stays") == "a lone \\` stays"


def test_a_long_path_keeps_its_end() -> None:
    assert shortened("results") == "results"
    assert shortened("/a/very/long/way/to/the/results", 10) == "…e/results"
    assert len(shortened("x" * 100, 10)) == 10


def test_lists_read_as_a_sentence() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
