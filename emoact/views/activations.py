"""The source of the views of saved activations, and the controls and words that they share."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emoact import sites as known
from emoact.host.client import Looked
from emoact.positions import NORM_KINDS, NormKind
from emoact.sites import SiteName
from emoact.stats.findings.activations import activation_findings
from emoact.stats.findings.finding import ActivationFinding
from emoact.stats.norms.norm_tables import NormTable
from emoact.store.summaries.measures import UnitMeasures
from emoact.views.chart import Band, Dash, Line, of_emotion
from emoact.views.text import folders_help, md
from emoact.views.theme import by_emotion, emotion_order
from emoact.views.view import Choice, Control, Remark

KIND_TITLES: Mapping[NormKind, str] = {"l2": "L2 norm", "l1": "L1 norm", "rms": "RMS"}
_FORMULAS: Mapping[NormKind, str] = {
    "l2": r"\sqrt{\sum_d x_d^2}",
    "l1": r"\sum_d |x_d|",
    "rms": r"\sqrt{\tfrac{1}{d}\sum_d x_d^2}",
}


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Summaries of the activation files of one results folder.

    Attributes:
        units: Every readable file; folders in order, emotions in the order of every page.
    """

    results: str
    units: tuple[UnitMeasures, ...]
    typed: Looked | None = None

    @property
    def folders(self) -> list[str]:
        """Models, by folder."""
        return list(dict.fromkeys(unit.folder for unit in self.units))

    @property
    def sites(self) -> list[SiteName]:
        """Sites with norms at every layer that any file has, in the order of every page."""
        return layer_sites(self.units)

    def chosen(self, choice: Choice) -> list[UnitMeasures]:
        """Files of the chosen models, in the order of the choice."""
        return [unit for name in choice["model"] for unit in self.units if unit.folder == name]

    def of_one(self, choice: Choice) -> list[UnitMeasures]:
        """Files of the first chosen model that have the first chosen site."""
        folder, site = one(choice)
        return [unit for unit in self.units if unit.folder == folder and site in unit.sites]

    def command(self, table: NormTable) -> list[str]:
        """Words of the shell command that writes the same table."""
        name = "norms" if table.by == "layer" else table.by
        return ["norms", *table.words(), "--results", self.results, "--csv", f"{name}.csv"]

    def emotions(self, choice: Choice) -> list[str]:
        """Emotions of `of_one`."""
        return emotion_order(unit.emotion for unit in self.of_one(choice))


MODELS = Control[Activations](
    name="model",
    label="Model",
    kind="list",
    options=lambda source, _: source.folders,
    default=lambda source, _: source.folders[:1],
    help=lambda source: (
        "Folders under activations; each has one file for each emotion. "
        + folders_help(source.folders)
    ),
    width=280,
    pinned=True,
)
SITES = Control[Activations](
    name="site",
    label="Site",
    kind="many",
    options=lambda source, _: source.sites,
    default=lambda source, _: source.sites[:2],
    help=lambda source: f"Hook points. {known.definitions(source.sites)}",
)
NORM = Control[Activations](
    name="norm",
    label="Norm",
    kind="one",
    options=lambda _source, _choice: NORM_KINDS,
    help="Of one position: l2 is the root of the sum of squares, l1 the sum of absolute values, "
    "rms is l2 over the root of d_model.",
)
SCALE = Control[Activations](
    name="scale", label="Scale", kind="one", options=lambda _source, _choice: ("linear", "log")
)
EMOTION = Control[Activations](
    name="emotion",
    label="Emotion",
    kind="select",
    options=lambda source, choice: source.emotions(choice),
    width=220,
)
FIRST = Control[Activations](
    name="first",
    label="Position 0",
    kind="toggle",
    help="Include what is not of the text: the BOS, if one was prepended, the chat template, and "
    "the response.",
)


TEMPLATE_TOKENS = " Tokens in ⟨ ⟩ are of the chat template."
RESPONSE_TOKENS = " Tokens in « » are of the response."


@functools.lru_cache(maxsize=64)
def findings(units: tuple[UnitMeasures, ...]) -> tuple[ActivationFinding, ...]:
    """Unusual properties of these files together, computed once."""
    return activation_findings(units)


def layer_control() -> Control[Activations]:
    """A slider over the layers that all files of the view have; the middle one at first."""

    def layers(source: Activations, choice: Choice) -> range:
        units, (_, site) = source.of_one(choice), one(choice)
        return range(min((unit.sites[site].n_layers for unit in units), default=0))

    return Control[Activations](
        name="layer",
        label="Layer",
        kind="layer",
        options=layers,
        default=lambda source, choice: len(layers(source, choice)) // 2,
        when=lambda _source, choice: choice.get("of") != "lengths",
        width=340,
    )


def one(choice: Choice) -> tuple[str, Any]:
    """Model and site of a view that shows one of each; empty where none is chosen."""
    return next(iter(choice["model"]), ""), next(iter(choice["site"]), "")


def layer_sites(units: Sequence[UnitMeasures]) -> list[SiteName]:
    """Sites with norms at every layer that any of the files has, in the order of every page."""
    found = known.in_order(site for unit in units for site in unit.sites)
    return [site for site in found if known.site(site).layers == "all"]


def same_width(units: Sequence[UnitMeasures]) -> tuple[list[UnitMeasures], list[str]]:
    """The units with the width of the first one, and a remark that names the others.

    Files of one folder differ in width only where they were put together by hand.
    """
    kept = [unit for unit in units if unit.d_model == units[0].d_model]
    others = [md(unit.emotion) for unit in units if unit.d_model != units[0].d_model]
    if not others:
        return kept, []
    return kept, [Remark(f"Left out, as d_model is not {kept[0].d_model}: {', '.join(others)}.")]


def curves(
    rows: pd.DataFrame,
    value: str,
    band: Sequence[str] = (),
    *,
    data: Sequence[str],
    hover: str,
    dash: Dash = "solid",
    legend: bool = True,
) -> list[Band | Line]:
    """A line over the layers for each emotion, in front of the bands between two columns."""
    parts = by_emotion(rows)
    bands = [
        Band(x=own["layer"], low=own[band[0]], high=own[band[1]], colour=of_emotion(emotion))
        for emotion, own in parts
        if band
    ]
    lines = [
        Line(
            x=own["layer"],
            y=own[value],
            data=own[[*data]].to_numpy().tolist(),
            colour=of_emotion(emotion),
            symbol=of_emotion(emotion),
            name=emotion,
            dash=dash,
            hover=hover,
            legend=legend,
        )
        for emotion, own in parts
    ]
    return [*bands, *lines]


def site_terms(choice: Choice) -> dict[str, str]:
    """Definitions of the chosen sites."""
    return {site: f"{known.site(site).explained()}." for site in choice.get("site", ())}


def norm_terms(_source: Activations, choice: Choice) -> dict[str, str]:
    """Definitions of the sites and of the norm."""
    kind: NormKind = choice.get("norm", "l2")
    return {
        **site_terms(choice),
        KIND_TITLES[kind]: f"of one position: ${_FORMULAS[kind]}$, in the model's own units. Raw "
        "norms are not comparable between models, and between layers only with care: most models "
        "write larger values the deeper they are.",
        "prompt": "a prompt counts with the mean over its content positions, that is, all but the "
        "BOS. Lines are medians over prompts, bands reach from the first to the third quartile. "
        "This is a mean of norms, which is not the norm of a mean.",
    }


_BRACKETS = {"bos": "⟨⟩", "template": "⟨⟩", "response": "«»"}


def token_label(text: str, most: int = 14, *, part: str = "text") -> str:
    """A token on an axis: spaces and line breaks visible, long ones cut, non-text in brackets."""
    if part in _BRACKETS:
        return _BRACKETS[part][0] + token_label(text, most - 2) + _BRACKETS[part][1]
    shown = text.replace("Ġ", "␣").replace("▁", "␣").replace(" ", "␣").replace("\n", "⏎")
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
