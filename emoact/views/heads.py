"""Contributions to a direction: a map of the heads, components by layer, the largest ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from emoact.causes.asked import asked_by
from emoact.causes.asked import words_of as asked_words
from emoact.causes.chosen import DirectionRequest
from emoact.causes.contributions import Target
from emoact.causes.heads import ALPHA, N_LARGEST, layers_of, name_of, table_of
from emoact.causes.heads import HEADS as KIND
from emoact.causes.project import Along
from emoact.causes.saved import SavedCause
from emoact.decode import decode
from emoact.host.client import Looked
from emoact.models.registry import display_name
from emoact.numbers import plural, significant
from emoact.views.chart import (
    Axis,
    Band,
    Cells,
    Chart,
    Colour,
    Dash,
    Key,
    Level,
    Line,
    Mark,
    Panel,
    Points,
    span,
)
from emoact.views.trajectory import Apart, Trajectory
from emoact.views.view import Choice, Control, Remark, Shown, View

_IN_REPORT = 6
_ROW, _HEAD = 30, 70
_TERMS: Mapping[str, str] = {
    "contribution": "what a component adds to the residual stream, projected on the unit "
    "direction; all of them sum to the norm of the direction. Mean over the emotion's prompts "
    "minus mean over neutral ones, in model units.",
    "head l.h": "head h of layer l, z_h W_O, through the norm behind attention where there is one "
    "(its scale held). Query heads of one kv_group read the same keys and values.",
    "interval": "95 % over scenarios drawn with replacement, expanded for few of them, the "
    "direction held; none where a class has one scenario.",
    "chance": "mean of the contribution over relabellings: a component that writes much of what "
    "prompts differ in anyway contributes to any direction.",
    "p": "relabelled within scenarios with the direction made anew each time, against the largest "
    "of all components (Westfall & Young 1993).",
}


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Source of these views.

    Attributes:
        typed: A typed sentence with its attention patterns, or None.
        along: The saved prompts along the chosen direction, or None.
        trajectory: A typed sentence along the chosen direction, or None.
        apart: A typed sentence taken apart along it, or None.
        n_layers: Layers of a model on disk, by folder.
    """

    saved: tuple[SavedCause, ...]
    typed: Looked | None = None
    lenses: tuple[SavedCause, ...] = ()
    patterns: tuple[SavedCause, ...] = ()
    along: Along | None = None
    trajectory: Trajectory | None = None
    apart: Apart | None = None
    n_layers: Mapping[str, int] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, SavedCause]:
        """Results by the words that a picker shows."""
        return {label(each): each for each in self.saved}

    def chosen(self, choice: Choice) -> SavedCause:
        """The result of a choice."""
        return self.named[choice["result"]]

    def prompts(self, choice: Choice) -> dict[str, tuple[SavedCause, int]]:
        """Saved prompts with patterns of the chosen model: result and place, by name."""
        found: dict[str, tuple[SavedCause, int]] = {}
        for saved in self.patterns:
            if saved.found["model"] == self.chosen(choice).found["model"]:
                for at, name in enumerate(saved.found["names"]):
                    found.setdefault(f"{saved.found['emotion']}: {name}", (saved, at))
        return found

    def lens(self, choice: Choice) -> SavedCause | None:
        """The newest logit lens of the chosen direction."""
        own = self.chosen(choice).found
        fields = ("model", "emotion", "neutral", "target")
        same = (
            lens for lens in self.lenses if all(lens.found[each] == own[each] for each in fields)
        )
        return next(same, None)


def label(saved: SavedCause) -> str:
    """Model, emotion and place of a result, with the beginning of its id."""
    found, target = saved.found, saved.found["target"]
    place = f"{target['site']} {target['layer']}, {target['pooling']}"
    return f"{found['model']}: {found['emotion']}, {place} ({saved.id[:6]})"


RESULT = Control[Heads](
    name="result",
    label="Direction",
    kind="select",
    options=lambda source, _: list(source.named),
    help="A direction that was taken apart: model, emotion, place and pooling.",
    width=520,
    pinned=True,
)
_CLEAR = Control[Heads](
    name="clear",
    label="Significant only",
    kind="toggle",
    default=lambda source, choice: _any_clear(source.chosen(choice)),
    when=lambda source, choice: _any_clear(source.chosen(choice)),
    help="Grey cells do not differ from relabelled prompts.",
)


def _any_clear(saved: SavedCause) -> bool:
    """True where a head differs from relabelled prompts."""
    table = table_of(saved)
    return bool(((table["component"] == "head") & (table["p"] <= ALPHA)).any())


def _map(table: pd.DataFrame, *, clear: bool) -> Chart:
    heads = table[table["component"] == "head"]
    shown = heads["contrast"].where(heads["p"] <= ALPHA) if clear else heads["contrast"]
    words = [f"{row['contrast']:.3g}, {_bounds(row)}" for row in heads.to_dict("records")]
    cells = heads.assign(shown=shown, words=words)

    def grid(column: str) -> pd.DataFrame:
        return cells.pivot(index="layer", columns="head", values=column)

    largest = float(heads["contrast"].abs().max())
    values = grid("shown")
    marks = [
        Cells(
            values=values.to_numpy(dtype=float).tolist(),
            x=[int(head) for head in values.columns],
            y=[int(layer) for layer in values.index],
            title="contribution (model units)",
            diverging=True,
            low=-largest,
            high=largest,
            hover="head %{y}.%{x}: %{customdata[1]}",
            data=grid("words").fillna("").to_numpy().tolist(),
        )
    ]
    panel = Panel(
        marks=marks,
        x=Axis(title="head", scale="layer"),
        y=Axis(title="layer", scale="layer"),
    )
    return Chart(rows=[[panel]], heights=[max(260, 16 * len(values) + 80)], unified=False)


def _bounds(row: Mapping[str, Any]) -> str:
    known = not math.isnan(row["low"])
    interval = f"95 % {row['low']:.3g} to {row['high']:.3g}, " if known else ""
    return f"{interval}chance {row['chance']:.3g}, p = {significant(row['p'], 2)}"


def _show_map(source: Heads, choice: Choice) -> Shown:
    saved = source.chosen(choice)
    table = table_of(saved)
    heads = table[table["component"] == "head"].sort_values(["layer", "head"], kind="stable")
    clear = bool(choice.get("clear"))
    grey = (
        f" Grey: p > {ALPHA:g}, corrected for all components."
        if clear
        else ""
        if _any_clear(saved)
        else f" No head differs from relabelled prompts (p > {ALPHA:g}, corrected for all "
        "components); all are drawn."
    )
    return Shown(
        table=heads.reset_index(drop=True),
        chart=_map(table, clear=clear) if len(heads) else None,
        caption=f"Contribution of every head to the direction of {where(saved)}, in model units."
        f"{grey}",
        name=f"heads-{saved.id[:6]}",
        columns="heads",
    )


def _show_layers(source: Heads, choice: Choice) -> Shown:
    saved = source.chosen(choice)
    sums = layers_of(saved)
    bands, lines = list[Mark](), list[Mark]()
    dashes: tuple[tuple[str, Dash, str, Colour], ...] = (
        ("head", "solid", "all heads", "text"),
        ("mlp", "dash", "MLP", "accent"),
        ("bias", "dot", "bias of attention", "second"),
    )
    for kind, dash, name, colour in dashes:
        own = sums[sums["component"] == kind]
        if len(own):
            layers = own["layer"].astype(int).tolist()
            bands.append(Band(x=layers, low=own["low"], high=own["high"], colour=colour))
            lines.append(
                Line(
                    x=layers,
                    y=own["sum"].tolist(),
                    colour=colour,
                    dash=dash,
                    name=name,
                    symbol="circle" if kind == "head" else "square",
                    legend=True,
                    data=own[["low", "high"]].to_numpy(dtype=float).tolist(),
                    hover="%{y:,.3~r} (95 % %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r})",
                )
            )
    reach = ", with 95 % intervals over scenarios" if sums["low"].notna().any() else ""
    panel = Panel(
        marks=[Level(at=0.0, colour="axis", dash="solid"), *bands, *lines],
        x=Axis(title="layer", scale="layer"),
        y=Axis(title="contribution (model units)", zero=True),
    )
    return Shown(
        table=sums,
        chart=Chart(rows=[[panel]], heights=[360]) if lines else None,
        caption=f"What heads and MLP of each layer add to the direction of {where(saved)}{reach}, "
        "the direction held.",
        name=f"components-{saved.id[:6]}",
    )


def _show_largest(source: Heads, choice: Choice) -> Shown:
    saved = source.chosen(choice)
    table = table_of(saved).head(N_LARGEST)
    labels = [name_of(row) for row in table.to_dict("records")]
    table = table.assign(name=labels)
    marks = [
        Points(
            x=own["contrast"].tolist(),
            y=own["name"].tolist(),
            colour="text",
            name=name,
            size=9.0,
            filled=filled,
            error=list(own[["low", "high"]].itertuples(index=False, name=None)),
            data=own[["low", "high", "p"]].to_numpy(dtype=float).tolist(),
            hover="%{y}: %{x:.3g} (95 % %{customdata[0]:.3g} to %{customdata[1]:.3g}, "
            "p = %{customdata[2]:.2g})",
            opacity=1.0,
        )
        for filled, name in ((True, f"p ≤ {ALPHA:g}"), (False, f"p > {ALPHA:g}"))
        if len(own := table[(table["p"] <= ALPHA) == filled])
    ]
    marks.append(
        Points(
            x=table["chance"].tolist(),
            y=labels,
            colour="accent",
            name="chance",
            symbol="x",
            size=8.0,
            data=table[["chance"]].to_numpy(dtype=float).tolist(),
            hover="%{y} under relabelling: %{x:.3g}",
            opacity=1.0,
        )
    )
    panel = Panel(
        marks=marks,
        x=Axis(
            title="contribution (model units)",
            range=span(table["low"], table["high"], table["chance"], at_least=(0.0, 0.0)),
        ),
        y=Axis(scale="category", categories=labels),
    )
    key = [
        Key(name="95 % interval over scenarios", kind="line"),
        Key(name=f"p ≤ {ALPHA:g}", kind="marker", symbol="circle"),
        Key(name=f"p > {ALPHA:g}", kind="marker", symbol="circle-open"),
        Key(name="mean under relabelling", kind="marker", symbol="x", colour="accent"),
    ]
    return Shown(
        table=table,
        chart=Chart(rows=[[panel]], key=key, heights=[_ROW * len(labels) + _HEAD]),
        caption=f"The {plural(len(labels), 'component')} with the largest contributions to the "
        f"direction of {where(saved)}, with 95 % intervals over scenarios. Crosses: "
        "their means under relabelling.",
        name=f"largest-{saved.id[:6]}",
        columns="heads",
    )


def answer(source: Heads, choice: Choice, _: Shown) -> Sequence[str]:
    """Basis of the shares on the cards."""
    found = source.chosen(choice).found
    prompts, draws = plural(found["n_prompts"], "prompt"), found["n_permutations"]
    return [
        Remark(
            f"{prompts}; {draws:,} relabellings. The contributions sum to the projection of the "
            f"stream but for {significant(found['gap'], 1)} of the largest. A contribution is what "
            "a component writes; it does not say what would happen without it."
        ),
    ]


def _in_report(source: Heads) -> list[Choice]:
    """The newest result of each direction, some of them."""
    newest: dict[tuple[str, str], str] = {}
    for name, saved in source.named.items():
        newest.setdefault((saved.found["model"], saved.found["emotion"]), name)
    return [{"result": name} for name in list(newest.values())[:_IN_REPORT]]


def command(source: Heads, choice: Choice) -> list[str]:
    """Words of the shell command of a result."""
    return KIND.words(source.chosen(choice))


def words_of(name: str, saved: SavedCause, *, layer: int | None = None) -> list[str]:
    """Words of a shell command about the direction of a result."""
    asked = asked_by(DirectionRequest, {**saved.found, "results": str(saved.results)})
    if layer is not None:
        asked = replace(asked, target=replace(asked.target, layer=layer))
    return [name, *asked_words(asked), "--neutral", saved.found["neutral"]]


def where(saved: SavedCause) -> str:
    """Emotion, model and place of a direction, in a sentence."""
    found = saved.found
    target = decode(Target, found["target"], ignore_unknown=True)
    return place(found["emotion"], found["model"], target)


def place(emotion: str, model: str, target: Target) -> str:
    """The same of the direction of an emotion that was not taken apart."""
    return (
        f"{emotion} in {display_name(model)} ({target.site}, layer {target.layer}, "
        f"{target.pooling})"
    )


HEADS = View[Heads](
    name="heads",
    page="heads",
    title="Heads that write a direction",
    question="Which heads write the direction?",
    controls=(RESULT, _CLEAR),
    show=_show_map,
    answer=answer,
    terms=_TERMS,
    command=command,
    empty="No layer lies before layer 0, so that no head writes this direction.",
)
COMPONENTS = View[Heads](
    name="components",
    page="heads",
    title="Components by layer",
    question="At which layers is the direction written, by attention or by MLPs?",
    controls=(RESULT,),
    show=_show_layers,
    answer=answer,
    terms=_TERMS,
    command=command,
    empty="No layer lies before layer 0.",
)
LARGEST = View[Heads](
    name="largest",
    page="heads",
    title="Largest contributions",
    question="Which components contribute most, and how sure is that?",
    controls=(RESULT,),
    show=_show_largest,
    answer=answer,
    terms=_TERMS,
    command=command,
    in_report=_in_report,
)
