"""The strings of a report in one language, filled with what they speak of."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from emoact.errors import RequestError
from emoact.report.document import Code, Strong, Text
from emoact.report.english import STRINGS as ENGLISH
from emoact.report.japanese import STRINGS as JAPANESE
from emoact.report.japanese_views import TERMS, VIEWS, ViewWords
from emoact.sites import site, title

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
_STRINGS: Mapping[Language, Mapping[str, str]] = {"en": ENGLISH, "ja": JAPANESE}
_MARKED = re.compile(r"`([^`]*)`|\*\*(.+?)\*\*")


@dataclass(frozen=True, kw_only=True)
class Words:
    """Looks strings up by their key.

    In a string, backticks mark code, two asterisks what stands out, braces what is filled in. What
    is filled in is never looked at for marks: a name in a data set stays a name.
    """

    lang: Language

    def __call__(self, key: str, **values: str | int | Text) -> Text:
        """The string as pieces of text."""
        template = _STRINGS[self.lang][key]
        pieces: list[str] = []
        end = 0
        for found in _MARKED.finditer(template):
            pieces += _filled(template[end : found.start()], values, None)
            pieces += _filled(found[1] or found[2], values, Code if found[1] else Strong)
            end = found.end()
        return tuple(piece for piece in [*pieces, *_filled(template[end:], values, None)] if piece)

    def plain(self, key: str, **values: str | int) -> str:
        """The string without any distinction between its pieces."""
        return "".join(self(key, **values))

    def has(self, key: str) -> bool:
        """True if the language has such a string."""
        return key in _STRINGS[self.lang]

    def site(self, name: str) -> str:
        """The label of a site."""
        return title(name, self.lang)

    def site_contents(self, name: str) -> Text:
        """A site with its definition and the shape of an array."""
        known = site(name)
        shape = Code(f"float32 [{known.shape.replace(' ', ', ')}]")
        return (Strong(self.site(name)), ": ", known.definition.of(self.lang), " (", shape, ")")

    def site_hook(self, name: str) -> Text:
        """The hook of a site, and its label."""
        return (Code(site(name).hook), ": ", self.site(name))

    def either(self, key: str, other: str, **values: str | int | Text) -> Text:
        """The string of the language where it has one, else the text of a record as it is."""
        return self(key, **values) if self.has(key) else (other,)

    def view(self, name: str) -> ViewWords | None:
        """Sentences of the language for a view; English has those of the view itself."""
        return None if self.lang == "en" else VIEWS.get(name)

    def term(self, text: str) -> str:
        """A word of a chart or table of a view in the language; an unknown one stays as it is."""
        known = {} if self.lang == "en" else TERMS
        # Of 感謝（gratitude） a chart has room for the first word.
        return known.get(text) or self.emotion(text).partition("（")[0]

    def counted(self, noun: str, number: int) -> str:
        """A number with the word that fits it: `1 file`, `12 files`."""
        return self.plain(f"count.{noun}.{'one' if number == 1 else 'many'}", number=number)

    def emotion(self, label: str) -> str:
        """Name of a label; labels without a translation stay as they are."""
        return "".join(self.either(f"emotion.{label}", label))

    def joined(self, names: list[str] | tuple[str, ...]) -> str:
        """Names one after the other, as the language lists them."""
        return self.plain("list.separator").join(names)


def words_of(lang: str) -> Words:
    """The strings of a language.

    Raises:
        RequestError: There are none.
    """
    for known in LANGUAGES:
        if lang == known:
            return Words(lang=known)
    raise RequestError(f"language is {lang!r}; allowed are {', '.join(LANGUAGES)}")


def _filled(
    template: str, values: Mapping[str, str | int | Text], mark: type[Code | Strong] | None
) -> list[str]:
    """A stretch of a string with its fields filled in; all of it marked, where it stands so."""
    pieces: list[str] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        pieces.append(literal)
        if name is not None:
            value = values[name]
            pieces += value if isinstance(value, tuple) else [_shown(value)]
    return pieces if mark is None else [mark("".join(pieces))]


def _shown(value: str | int) -> str:
    # `str()` of a `Code` would make it plain.
    return value if isinstance(value, str) else f"{value:,}"
