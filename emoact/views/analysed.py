"""The source of the views of a saved analysis, and the controls and words that they share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emoact import sites as known
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError
from emoact.measures import Measure
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.views.chart import Axis, Mark, Panel, wrapped
from emoact.views.text import folders_help, listed, md
from emoact.views.theme import by_emotion
from emoact.views.view import Choice, Control

_POOLINGS = {
    "mean_content": "the mean over the positions of its text",
    "mean_typical": "the mean over the positions of its text that are massive at no layer",
    "last_template": "the last position before the response",
    "mean_response": "the mean over the positions of the response; the word baselines read the "
    "prompt and the response",
    "last": "the last token; at layer 0 that is its embedding only, so effects at layer 0 are "
    "lexical or positional",
    "mean_all": "the mean over all positions, the BOS included: a diagnostic",
}


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """A saved analysis as views read it.

    Attributes:
        read: Table by name; a page keeps tables between runs of its script.
        texts: Texts of the prompts of a model by emotion and prompt id, as far as they are on disk.
    """

    saved: SavedAnalysis
    read: Callable[[str], pd.DataFrame]
    texts: Callable[[str], Mapping[tuple[str, str], str]] = lambda _model: {}

    @property
    def sites(self) -> list[str]:
        """Sites of the analysis in the order of every page."""
        return list(known.in_order(self.saved.sites))

    def rows(self, table: str, **wanted: Any) -> pd.DataFrame:
        """Rows of a table whose columns have these values; a list or tuple allows several."""
        return of(self.read(table), **wanted)

    def of_choice(self, table: str, choice: Choice) -> pd.DataFrame:
        """Rows of the chosen model and sites."""
        return self.rows(table, model=choice["model"], site=choice["site"])

    def n_shared_classes(self, model_a: str, model_b: str) -> int:
        """Classes, neutral among them, that both models have."""
        classes = [
            {each.emotion for each in self.saved.inputs if each.folder == model}
            for model in (model_a, model_b)
        ]
        return len(classes[0] & classes[1])


def texts_in(
    results: str | os.PathLike[str], saved: SavedAnalysis, model: str
) -> dict[tuple[str, str], str]:
    """Texts of a model's prompts by emotion and id, from the files that were analysed.

    Behind an arrow stands what the model wrote, where it was asked to.
    """
    texts: dict[tuple[str, str], str] = {}
    for each in saved.inputs:
        if each.folder == model:
            with suppress(EmoactError):
                unit = read(ResultsRoot(results).file(each.file))
                for number, prompt in enumerate(unit.prompts or ()):
                    key = each.emotion, str(prompt.get("id", number))
                    wrote = f" → {unit.responses[number]}" if unit.responses else ""
                    texts[key] = str(prompt.get("text", "")) + wrote
    return texts


def of(rows: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows whose columns have these values; a list or tuple allows several."""
    for column, value in wanted.items():
        allowed = value if isinstance(value, list | tuple) else [value]
        rows = rows[rows[column].isin(list(allowed))]
    return rows


MODEL = Control[Analysed](
    name="model",
    label="Model",
    kind="select",
    options=lambda source, _: source.saved.models,
    help=lambda source: folders_help(source.saved.models),
    width=180,
    pinned=True,
)
SITES = Control[Analysed](
    name="site",
    label="Site",
    kind="many",
    options=lambda source, _: source.sites,
    help=lambda source: known.definitions(source.sites),
)


def _layers(source: Analysed, choice: Choice) -> list[int]:
    known = source.rows("strength", model=choice["model"])["layer"]
    return list(range(int(known.max()) + 1)) if len(known) else [0]


LAYER = Control[Analysed](
    name="layer",
    label="Layer",
    kind="layer",
    options=_layers,
    default=lambda source, choice: len(_layers(source, choice)) // 2,
)


def site_words(site: str) -> str:
    """A site within a sentence: `residual stream` for `resid_pre`."""
    return known.words(site)


def sites_words(choice: Choice) -> str:
    """The chosen sites within a sentence."""
    return " and ".join(map(site_words, choice["site"]))


def measure_help(measures: Iterable[Measure]) -> str:
    """Help text of a picker of measures: each with its label and definition."""
    return "  \n".join(f"`{each.name}`: {each.label}. {each.definition}." for each in measures)


def names(labels: list[str]) -> str:
    """Labels within a sentence."""
    return listed([md(label) for label in labels])


def by_site_and_emotion(
    drawn: pd.DataFrame,
    marks: Callable[[pd.DataFrame, str], Sequence[Mark]],
    y: Callable[[pd.DataFrame], Axis],
) -> list[list[Panel]]:
    """Panels by layer, a row for each site: marks by rows and emotion, an axis by site."""
    rows: list[list[Panel]] = []
    for site in known.in_order(drawn["site"]):
        own = drawn[drawn["site"] == site]
        axis = y(own)
        panels = [
            Panel(
                emotions=[emotion],
                title=known.title(site),
                marks=marks(part, emotion),
                x=Axis(title="layer", scale="layer"),
                y=axis,
            )
            for emotion, part in by_emotion(own)
        ]
        rows += wrapped(panels)
    return rows


def vector_terms(source: Analysed, choice: Choice) -> dict[str, str]:
    """Definitions of the vectors and of a direction, which every view of an analysis rests on."""
    settings = source.saved.settings
    reference = (
        f"minus that of {md(settings.neutral)}"
        if settings.reference == "neutral"
        else "minus the mean of all class means"
    )
    sites = choice.get("site") or [choice["hook"]]
    return {
        "vectors": "; ".join(known.site(site).explained() for site in sites)
        + f". One vector for each prompt: {_POOLINGS[settings.pooling]}.",
        "direction": f"$d_l$ = mean of the emotion's prompts {reference}, at each layer; positive "
        "towards the emotion ([Marks & Tegmark 2310.06824](https://arxiv.org/abs/2310.06824)).",
    }
