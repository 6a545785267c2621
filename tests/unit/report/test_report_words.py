import re
import string
from pathlib import Path
from typing import get_args

import pytest

from emoact.errors import RequestError
from emoact.models.registry import REGISTRY
from emoact.report.document import code
from emoact.report.words import strings, words_of
from emoact.stats.audit.aspects import ASPECTS
from emoact.stats.findings.finding import FINDING_KINDS
from emoact.stats.probes.accuracy import Verdict
from emoact.stats.probes.baselines import BASELINE_KINDS

ENGLISH, JAPANESE = strings("en"), strings("ja")
PACKAGE = Path(__file__).resolve().parents[3] / "emoact" / "report"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_japanese_has_every_key_and_those_that_english_takes_from_records() -> None:
    assert set(ENGLISH) - set(JAPANESE) == set()
    further = {key.partition(".")[0] for key in set(JAPANESE) - set(ENGLISH)}
    assert further == {
        "analysis",
        "aspect",
        "emotion",
        "finding",
        "layers",
        "remedy",
        "sink",
        "view",
    }


def test_both_languages_fill_in_the_same_things() -> None:
    # English pads the numbers of a date.
    different = [
        key for key in ENGLISH if fields(ENGLISH[key]) != fields(JAPANESE[key]) and key != "date"
    ]
    assert different == []


def test_every_key_that_is_written_out_in_the_code_is_there() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.glob("*.py"))
    used = set(re.findall(r'words(?:\.plain)?\(\s*"([a-z0-9_.]+)"', source))
    assert len(used) > 60
    assert used - set(JAPANESE) == set()


def test_everything_that_is_named_by_what_was_found_has_its_string() -> None:
    needed = {f"finding.{kind}{part}" for kind in FINDING_KINDS for part in _PARTS}
    needed |= {f"verdict.{verdict}" for verdict in get_args(Verdict)}
    needed |= {f"aspect.{aspect.name}" for aspect in ASPECTS}
    needed |= {f"remedy.{aspect.name}" for aspect in ASPECTS}
    needed |= {f"baseline.{kind}" for kind in (*BASELINE_KINDS, "layer_0")}
    needed |= {f"footnote.{spec.name}" for spec in REGISTRY if spec.footnote}
    assert needed - set(JAPANESE) == set()


_PARTS = ("", ".title", ".meaning", ".phase3")


def test_japanese_is_japanese() -> None:
    kana = re.compile(r"[぀-ヿ一-鿿]")
    latin = {
        key
        for key, text in JAPANESE.items()
        if not kana.search(text) and re.search(r"[A-Za-z]{3}", re.sub(r"\{.*?\}|`.*?`", "", text))
    }
    # Names of the field that Japanese papers leave as they are.
    assert latin == {
        "column.sha256",
        "column.bos",
        "baseline.bag_of_words",
        "baseline.tfidf",
        "directions.transfer",
    }


def test_what_is_filled_in_is_text_unless_it_is_markdown() -> None:
    said = words_of("en")("files.lead", folder="**b** `c` {d} | <i>")
    assert said == "Saved in \\*\\*b\\*\\* \\`c\\` \\{d\\} \\| &lt;i&gt;:"
    assert words_of("en")("files.lead", folder=code("a_b")) == "Saved in `a_b`:"


def test_another_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(RequestError, match="'fr'; allowed are en, ja"):
        words_of("fr")
