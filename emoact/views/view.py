"""The `View` record: one question, with its controls, table, figure and answer.

Pages, exports, shell commands and the report iterate over these records. A view is pure: from a
source (a saved analysis, or the summaries of activation files) and a choice it makes values. It
imports no Streamlit; `emoact.ui` draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import pandas as pd

from emoact.views.chart import Chart
from emoact.views.text import md

Source = TypeVar("Source")
Choice = Mapping[str, Any]
"""Values of the controls by name."""


class Caution(str):
    """A sentence of an answer that warns; pages draw it as a warning."""


class Remark(str):
    """A sentence of an answer that explains; pages draw it in small print."""


class Carded(str):
    """A sentence whose figures stand on a card of the page; reports print it."""


def unbadged(sentences: Iterable[str], *, random: bool) -> list[str]:
    """The sentences as Markdown, without the last one of random weights, which is a badge."""
    said = [md(sentence) for sentence in sentences]
    return said[:-1] if random else said


ControlKind = Literal["one", "select", "many", "list", "toggle", "layer", "text"]


@dataclass(frozen=True, kw_only=True)
class Control(Generic[Source]):
    """One choice of a view; its name is the parameter in the address of the page.

    Attributes:
        name: Parameter in the address, and key of the choice.
        label: Shown beside the control, as the reader sees it.
        kind: `one` of few options side by side, `select` from a list, `many` of several options
            side by side, `list` of several from a list, `toggle` on or off, `layer` a slider over
            whole numbers, `text` a line of text.
        options: Allowed values for this source; of a `layer`, the layers.
        default: Value where the address names none; the first option (`many`: all) when None.
        help: One sentence on what the control decides.
        when: The control is shown where this holds of the choices before it.
        width: Pixels, or None.
        pinned: The value is written into the address even where it is the default, since the
            default depends on what is on disk.
    """

    name: str
    label: str
    kind: ControlKind
    options: Callable[[Source, Choice], Sequence[Any]] = lambda _source, _choice: ()
    default: Callable[[Source, Choice], Any] | None = None
    help: str | Callable[[Source], str] = ""
    when: Callable[[Source, Choice], bool] = lambda _source, _choice: True
    width: int | None = None
    pinned: bool = False

    @property
    def several(self) -> bool:
        """True where the value is a list."""
        return self.kind in ("many", "list")

    def allowed(self, source: Source, choice: Choice) -> list[Any]:
        """Values that the control may take; of a line of text none are listed."""
        return [False, True] if self.kind == "toggle" else list(self.options(source, choice))

    def start(self, source: Source, choice: Choice) -> Any:
        """Value where the address names none."""
        if self.default is not None:
            return self.default(source, choice)
        allowed = self.allowed(source, choice)
        if self.several:
            return allowed
        return allowed[0] if allowed else ""

    def value(self, asked: Sequence[str], source: Source, choice: Choice) -> Any:
        """Value for the words of an address or of a command line; unknown ones are ignored."""
        if self.kind == "text":
            return asked[0] if asked else self.start(source, choice)
        allowed = self.allowed(source, choice)
        found = [each for each in allowed if word(each) in asked]
        if not found:
            return self.start(source, choice)
        return found if self.several else found[0]

    def unknown(self, asked: Sequence[str], source: Source, choice: Choice) -> list[str]:
        """Those of the words that are no value of this control."""
        allowed = {word(each) for each in self.allowed(source, choice)}
        return [] if self.kind == "text" else [each for each in asked if each not in allowed]


def word(value: Any) -> str:
    """A value of a control as an address and a command line have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Table and chart of a view for one source and choice.

    Attributes:
        table: Exactly what the figure draws, tidy; the CSV export.
        chart: None where a table says it all, or there is nothing to draw.
        caption: What the figure shows and of what, for a reader who has only the image or who
            cannot see it.
        name: Of exported files, without an ending.
        columns: Name of the table in `emoact.stats.catalogue` that describes the columns.
        html: Text with colours above the chart, without scripts; the table has its values.
        of_values: End of the caption that holds of these values, and not of another model's.
    """

    table: pd.DataFrame
    chart: Chart | None
    caption: str
    name: str
    columns: str = ""
    html: str = ""
    of_values: str = ""


NOTHING = Shown(table=pd.DataFrame(), chart=None, caption="", name="nothing")
"""Of a source without what a view is about."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """Text about a selected mark, and the page that shows more of it."""

    text: str
    label: str
    page: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class View(Generic[Source]):
    """One tab of a page, or a part below all of its tabs.

    Attributes:
        name: Value of the parameter `view` in the address.
        page: Name of the page that shows it: `activations`, `directions`, `distances`, `across`.
        title: Heading of its section in the report and label of its tab.
        question: The question that it answers, as one sentence.
        answer: Sentences in Markdown, each with its figures; the answer comes before the figure.
            A `Caution` is drawn as a warning, a `Remark` in small print.
        terms: Term to definition, with formula and source, for "What am I looking at".
        command: Words of the shell command that writes the same table; after `python -m emoact`.
        empty: The sentence in place of a table without a row.
        selected: What is said of the mark that the reader selected, from its row of `data`.
        hint: How to select a mark.
        tab: False for a part below the tabs of the page; it shares their choices.
        below: Of a part: True below the tab of this name.
        single: Names of controls for several values of which the view takes the first.
        in_report: Choices for which the report has this view, given the source; none when None.
    """

    name: str
    page: str
    title: str
    question: str
    show: Callable[[Source, Choice], Shown]
    answer: Callable[[Source, Choice, Shown], Sequence[str]] = lambda _source, _choice, _shown: ()
    controls: Sequence[Control[Source]] = ()
    terms: Mapping[str, str] | Callable[[Source, Choice], Mapping[str, str]] = field(
        default_factory=dict
    )
    command: Callable[[Source, Choice], Sequence[str]] | None = None
    empty: str | Callable[[Source, Choice], str] = "There is nothing to draw."
    selected: Callable[[Source, Choice, Shown, Sequence[Any]], Link | None] | None = None
    hint: str = ""
    tab: bool = True
    below: Callable[[Source, str], bool] = lambda _source, _tab: True
    single: Sequence[str] = ()
    in_report: Callable[[Source], Sequence[Choice]] | None = None

    def choice(self, source: Source, asked: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """A value for every control shown, from words by its name; unknown ones are ignored."""
        choice: dict[str, Any] = {}
        for control in self.controls:
            if control.when(source, choice):
                words = asked.get(control.name, ())
                value = control.value(words, source, choice)
                choice[control.name] = value[:1] if control.name in self.single else value
        return choice
