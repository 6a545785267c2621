"""The strings of a report in one language, filled with what they speak of.

`words.csv` holds both languages side by side. A key without English has it from a record, such as
a finding; rows of the key `term` translate the words of charts and tables.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from emoact.errors import RequestError
from emoact.report.document import Block, Marked, Section, Table, marked
from emoact.sites import title

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Format = Literal["html", "md"]
FORMATS: tuple[Format, ...] = get_args(Format)
_TERM = "term"


@functools.cache
def strings(lang: Language) -> Mapping[str, str]:
    """The strings of a language by key, in Markdown with fields in braces."""
    return {row["key"]: row[lang] for row in _rows() if row["key"] != _TERM and row[lang]}


@functools.cache
def _terms() -> Mapping[str, str]:
    return {row["en"]: row["ja"] for row in _rows() if row["key"] == _TERM}


def _rows() -> list[dict[str, str]]:
    with Path(__file__).with_name("words.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True, kw_only=True)
class Words:
    """Looks strings up by their key.

    What is filled in is escaped, unless it is Markdown: a name in a data set stays a name.
    """

    lang: Language

    def __call__(self, key: str, **values: str | int) -> Marked:
        """The string as Markdown."""
        return Marked(self.plain(key, **{k: marked(_shown(v)) for k, v in values.items()}))

    def plain(self, key: str, **values: str | int) -> str:
        """The string with its fields as they are, for text that is no Markdown."""
        filled = {name: _shown(value) for name, value in values.items()}
        return strings(self.lang)[key].format_map(filled)

    def has(self, key: str) -> bool:
        """True if the language has such a string."""
        return key in strings(self.lang)

    def section(
        self, name: str, blocks: Iterable[Block], *, level: int = 2, title: str = ""
    ) -> Section:
        """A section without its empty blocks; its name gives the title that is not given."""
        heading, parts = title or self(f"{name}.title"), tuple(each for each in blocks if each)
        return Section(name=name, title=heading, level=level, blocks=parts)

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        numeric: Collection[int] = (),
        caption: str = "",
    ) -> Table:
        """A table whose columns have the names of these strings."""
        head = [self.plain(f"column.{name}") for name in columns]
        return Table(head=head, rows=rows, numeric=numeric, caption=caption)

    def site(self, name: str) -> str:
        """The label of a site."""
        return title(name, self.lang)

    def either(self, key: str, other: str) -> str:
        """The string of the language where it has one, else the text of a record as it is."""
        return self(key) if self.has(key) else other

    def term(self, text: str) -> str:
        """A word of a chart or table of a view in the language; an unknown one stays as it is."""
        known = {} if self.lang == "en" else _terms()
        # Of 感謝（gratitude） a chart has room for the first word.
        return known.get(text) or self.emotion(text).partition("（")[0]

    def counted(self, noun: str, number: int) -> str:
        """A number with the word that fits it: `1 file`, `12 files`."""
        return self.plain(f"count.{noun}.{'one' if number == 1 else 'many'}", number=number)

    def emotion(self, label: str) -> str:
        """Name of a label; labels without a translation stay as they are."""
        return strings(self.lang).get(f"emotion.{label}", label)

    def joined(self, names: Iterable[str]) -> str:
        """Names one after the other, as the language lists them."""
        return self.plain("list.separator").join(names)


def words_of(lang: str) -> Words:
    """The strings of a language; `RequestError` if there are none."""
    for known in LANGUAGES:
        if lang == known:
            return Words(lang=known)
    raise RequestError(f"language is {lang!r}; allowed are {', '.join(LANGUAGES)}")


def _shown(value: str | int) -> str:
    # `str()` of Markdown would make it text.
    return value if isinstance(value, str) else f"{value:,}"
