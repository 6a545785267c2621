"""Steering and ablation: dose curves with their controls, layers, and what parts do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from emoact.causes import ablate, steer_result
from emoact.causes.ablate import ABLATE
from emoact.causes.saved import SavedCause
from emoact.causes.steer import STEER
from emoact.models.registry import display_name
from emoact.numbers import plural, short
from emoact.views.chart import Axis, Band, Chart, Key, Level, Line, Panel, Points, of_emotion, span
from emoact.views.text import listed, md
from emoact.views.theme import by_emotion
from emoact.views.view import NOTHING, Caution, Choice, Control, Remark, Shown, View, unbadged

_LARGEST, _IN_REPORT = 12, 3
_ROW, _HEAD, _HEIGHT = 30, 70, 320
_DRAWN = ("own", "others", "neutral", "random_low", "random_high", "own_low", "own_high")
_NATS = "change of log-probability (nats a token)"
_TERMS: Mapping[str, str] = {
    "dose": "factor of the direction (mean of the emotion minus mean of neutral over the training "
    "scenarios) that is added at every position after BOS.",
    "own, others, neutral": "change of the log-probability per token of the test sentences of the "
    "emotion, of the other emotions (mean of the classes) and of neutral: the last is the cost. "
    "The coloured band is the 95 % interval of own over test scenarios, the split held.",
    "own_splits": "smallest and largest own of other splits of the scenarios into training and "
    "test ones, at doses with controls.",
    "other_directions": "change of the emotion's sentences under the other emotions' directions, "
    "at their own norms and the same dose.",
    "prompt_only, prompt_neutral": "change of the emotion's sentences without steering, behind a "
    "sentence that names the emotion, and behind sentences that name none (mean).",
    "random, shuffled": "directions of the same norm with the covariance of neutral prompts, and "
    "directions from labels exchanged within scenarios. The grey band spans the random ones. "
    "random_95 and shuffled_95 are the 95th percentiles of one cell, not corrected; p is "
    "corrected, and never below 1 / (1 + number of shuffled directions).",
    "causal": "the own change has the sign of the dose, and own and own − neutral are beyond the "
    "random and the shuffled directions, corrected over all emotions, layers and doses with "
    "controls.",
    "specific": "own − others and own − other_directions are both beyond directions made after the "
    "emotions were exchanged within scenarios; asked where an effect is causal.",
}
_ABLATED: Mapping[str, str] = {
    "total": "change of the distance between emotion and neutral along the direction, further up, "
    "in model units, when the part is taken out; interval over test scenarios.",
    "direct": "the part of it in what the ablated part itself adds to the stream.",
    "repair": "total − direct: what later layers do in answer.",
    "log_prob": "change of the log-probability per token of the test sentences, in nats.",
    "log_odds": "change of the log-odds that the token after a test sentence is the first one of a "
    "class word: of the label, unless other words were named. Means over the sentences of the "
    "emotion and of neutral.",
    "tied": "another part has exactly the same effect.",
}


@dataclass(frozen=True, kw_only=True)
class Causes:
    """Source of these views."""

    steered: tuple[SavedCause, ...] = ()
    ablated: tuple[SavedCause, ...] = ()

    def named(self, kind: str) -> dict[str, SavedCause]:
        """Results of a kind by the words that a picker shows."""
        saved = self.steered if kind == STEER.name else self.ablated
        return {label(each): each for each in saved}

    def steering(self, choice: Choice) -> SavedCause | None:
        """The chosen result of steering; None where there is none."""
        return self.named(STEER.name).get(choice.get(STEERED.name, ""))

    def ablation(self, choice: Choice) -> SavedCause | None:
        """The chosen result of ablation; None where there is none."""
        return self.named(ABLATE.name).get(choice.get(ABLATED.name, ""))

    def model_of(self, choice: Choice) -> str:
        """Display name of the model that was steered; empty where none was."""
        saved = self.steering(choice)
        return display_name(saved.found["model"]) if saved else ""


def label(saved: SavedCause) -> str:
    """Model, emotions and layers of a result, with the beginning of its id."""
    settings = saved.found["settings"]
    if saved.kind == STEER.name:
        layers = "layer" if len(settings["layers"]) == 1 else "layers"
        of = settings["emotions"]
        what = f"{', '.join(of)}, {layers} {', '.join(map(str, settings['layers']))}"
    else:
        what = f"{settings['emotion']}, layer {settings['layer']}, {settings['by']}"
    return f"{saved.found['model']}: {what} ({saved.id[:6]})"


STEERED = Control[Causes](
    name="result",
    label="Steering",
    kind="select",
    options=lambda source, _: list(source.named(STEER.name)),
    help="Model, emotions and layers that were steered.",
    width=520,
    pinned=True,
)
ABLATED = Control[Causes](
    name="ablation",
    label="Ablation",
    kind="select",
    options=lambda source, _: list(source.named(ABLATE.name)),
    help="Model, emotion, layer of the read-out, and what stood in place of the parts.",
    width=520,
    pinned=True,
)
LAYER = Control[Causes](
    name="layer",
    label="Layer",
    kind="select",
    options=lambda source, choice: (
        list(map(str, saved.found["settings"]["layers"]))
        if (saved := source.steering(choice))
        else []
    ),
    default=lambda source, choice: (
        str(steer_result.strongest(saved)["layer"]) if (saved := source.steering(choice)) else None
    ),
    help="Layer at whose input the direction was added; first that with the smallest p.",
    width=130,
)


def _show_doses(source: Causes, choice: Choice) -> Shown:
    saved = source.steering(choice)
    if saved is None:
        return NOTHING
    table = steer_result.table_of(saved).replace(_WORDS)
    own = table[table["layer"].astype(str) == choice["layer"]].reset_index(drop=True)
    panels = [
        _panel(_with_zero(rows).sort_values("dose"), emotion, x="dose", every=own)
        for emotion, rows in by_emotion(own)
    ]
    return Shown(
        table=own,
        chart=Chart(rows=[panels], key=_key(), heights=[_HEIGHT]) if panels else None,
        caption="Change of the log-probability of held-out sentences of "
        f"{display_name(saved.found['model'])} when a direction is added at layer "
        f"{choice['layer']}, by dose. Grey: smallest to largest of random directions of the same "
        f"norm, {listed(_drawn(own))}. Coloured: 95 % interval over test scenarios.",
        name=f"doses-{saved.id[:6]}",
    )


_WORDS = {"nothing": "no effect shown", "not specific": "not shown specific"}
"""Verdicts of a saved result as a table says them."""


def _drawn(rows: pd.DataFrame) -> list[str]:
    """Number of random directions that the band rests on, by dose."""
    doses = rows.drop_duplicates("dose").groupby("n_random")["dose"]
    return [f"{n} at dose {', '.join(map(short, own))}" for n, own in doses]


def _show_layers(source: Causes, choice: Choice) -> Shown:
    saved = source.steering(choice)
    if saved is None:
        return NOTHING
    table = steer_result.table_of(saved).replace(_WORDS)
    dose = min(saved.found["settings"]["control_doses"], key=lambda each: abs(each - 1))
    own = table[table["dose"] == dose].reset_index(drop=True)
    panels = [_panel(rows, emotion, x="layer", every=own) for emotion, rows in by_emotion(own)]
    return Shown(
        table=own,
        chart=Chart(rows=[panels], key=_key(), heights=[_HEIGHT]) if panels else None,
        caption="Change of the log-probability of held-out sentences of "
        f"{display_name(saved.found['model'])} when {short(dose)} times the direction is added, by "
        "the layer at whose input it is. Grey: smallest to largest of random directions of that "
        "norm. Coloured: 95 % interval over test scenarios.",
        name=f"steering-{saved.id[:6]}",
    )


def _with_zero(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the dose 0, which changes nothing."""
    zero = dict.fromkeys(_DRAWN, 0.0)
    first = rows.head(1).assign(dose=0.0, verdict="", specific="", **zero)
    return pd.concat([rows, first])


def _panel(rows: pd.DataFrame, emotion: str, *, x: str, every: pd.DataFrame) -> Panel:
    at = rows[x].tolist()
    return Panel(
        emotions=[emotion],
        marks=[
            Level(at=0.0),
            Band(x=at, low=rows["random_low"], high=rows["random_high"], colour="null"),
            Band(x=at, low=rows["own_low"], high=rows["own_high"], colour=of_emotion(emotion)),
            Line(
                x=at,
                y=rows["own"],
                colour=of_emotion(emotion),
                symbol=of_emotion(emotion),
                filled=(rows["verdict"] == "causal").tolist(),
                name="own",
                hover="own %{y:+.3f} (%{customdata[0]})",
                data=[[str(verdict)] for verdict in rows["verdict"]],
            ),
            Line(x=at, y=rows["others"], colour="text", dash="dash", name="other emotions"),
            Line(x=at, y=rows["neutral"], colour="muted", dash="dot", name="neutral"),
        ],
        x=Axis(title=x, scale="layer" if x == "layer" else "linear"),
        # The panels share their axis.
        y=Axis(title=_NATS, range=span(*(every[name] for name in _DRAWN), at_least=(0.0, 0.0))),
    )


def _key() -> list[Key]:
    return [
        Key(name="own sentences", kind="line", colour="accent", symbol="circle"),
        Key(name="other emotions", kind="line", dash="dash"),
        Key(name="neutral: cost", kind="line", colour="muted", dash="dot"),
        Key(name="own: 95 % interval", kind="band", colour="accent"),
        Key(name="random directions", kind="band", colour="null"),
        Key(name="filled: causal", kind="marker", symbol="circle"),
    ]


def answer(source: Causes, choice: Choice, _: Shown) -> Sequence[str]:
    """Remarks on all verdicts, which stand on the cards."""
    saved = source.steering(choice)
    if saved is None:
        return []
    found, settings = saved.found, saved.found["settings"]
    said: list[str] = [Caution(md(each)) for each in steer_result.warnings_of(saved)]
    doses = ", ".join(map(short, settings["control_doses"]))
    if len(settings["layers"]) > 1:
        said.append(Remark("A layer was chosen by its p, so its change is likely too large."))
    said.append(
        Remark(
            f"Directions come from {plural(len(found['train_scenarios']), 'scenario')}, sentences "
            f"from {plural(len(found['test_scenarios']), 'other', 'others')}; all controls and a "
            f"verdict at dose {doses}. No effect beyond the controls is no proof that there is "
            f"none. {steer_result.basis_of(saved)}"
        )
    )
    return said


def command(source: Causes, choice: Choice) -> list[str]:
    """Words of the shell command of a result of steering."""
    saved = source.steering(choice)
    if saved is None:
        return ["steer"]
    return STEER.words(saved)


def _show_ablated(source: Causes, choice: Choice) -> Shown:
    saved = source.ablation(choice)
    if saved is None:
        return NOTHING
    table = ablate.table_of(saved)
    sound = ablate.sound_of(saved)
    rows = sound.head(_LARGEST)
    names = [ablate.name_of(row) for row in rows.to_dict("records")]
    marks = [
        Points(
            x=rows["total"].tolist(),
            y=names,
            colour="text",
            name="total",
            size=9.0,
            error=list(rows[["low", "high"]].itertuples(index=False, name=None)),
            hover="%{y}: total %{x:.3g}",
            opacity=1.0,
        ),
        Points(
            x=rows["direct"].tolist(),
            y=names,
            colour="accent",
            symbol="diamond",
            name="direct",
            size=8.0,
            filled=False,
            hover="%{y}: direct %{x:.3g}",
        ),
    ]
    panel = Panel(
        marks=marks,
        x=Axis(
            title="change of the distance to neutral (model units)",
            range=span(rows["low"], rows["high"], rows["direct"], at_least=(0.0, 0.0)),
        ),
        y=Axis(scale="category", categories=names),
    )
    key = [
        Key(name="total, 95 % interval", kind="marker", symbol="circle"),
        Key(name="direct", kind="marker", symbol="diamond-open", colour="accent"),
    ]
    return Shown(
        table=table,
        chart=Chart(rows=[[panel]], key=key, heights=[_ROW * len(names) + _HEAD])
        if names
        else None,
        caption=f"The {plural(len(names), 'part')} of "
        f"{display_name(saved.found['model'])} whose ablation changes the read-out most"
        + (
            f", without {len(table) - len(sound)} that break the model (neutral sentences lose "
            f"more than {ablate.BREAKING:g} nats a token; see the table)."
            if len(table) > len(sound)
            else "."
        ),
        name=f"ablations-{saved.id[:6]}",
    )


def _ablated_answer(source: Causes, choice: Choice, _: Shown) -> Sequence[str]:
    saved = source.ablation(choice)
    if saved is None:
        return []
    return unbadged(ablate.sentences_of(saved), random=saved.found["random_weights"])


def _ablated_command(source: Causes, choice: Choice) -> list[str]:
    saved = source.ablation(choice)
    if saved is None:
        return ["ablate"]
    return ABLATE.words(saved)


def _in_report(source: Causes) -> list[Choice]:
    """The newest result of steering of each model, at its layer with the smallest p-value."""
    newest: dict[str, tuple[str, SavedCause]] = {}
    for name, saved in source.named(STEER.name).items():
        newest.setdefault(saved.found["model"], (name, saved))
    return [
        {"result": name, "layer": str(steer_result.strongest(saved)["layer"])}
        for name, saved in list(newest.values())[:_IN_REPORT]
    ]


def _ablated_in_report(source: Causes) -> list[Choice]:
    newest: dict[tuple[str, str], str] = {}
    for name, saved in source.named(ABLATE.name).items():
        newest.setdefault((saved.found["model"], saved.found["settings"]["emotion"]), name)
    return [{"ablation": name} for name in list(newest.values())[:_IN_REPORT]]


DOSE_CURVES = View[Causes](
    name="doses",
    page="causes",
    title="Dose curves",
    question="Does adding the direction make held-out text of the emotion more probable?",
    controls=(STEERED, LAYER),
    show=_show_doses,
    answer=answer,
    terms=_TERMS,
    command=command,
    empty="No direction was steered yet.",
    in_report=_in_report,
)
STEERED_LAYERS = View[Causes](
    name="layers",
    page="causes",
    title="Steering by layer",
    question="At which layers does adding the direction have an effect?",
    controls=(STEERED,),
    show=_show_layers,
    answer=answer,
    terms=_TERMS,
    command=command,
    empty="No direction was steered yet.",
)
ABLATIONS = View[Causes](
    name="ablations",
    page="causes",
    title="Ablations",
    question="What changes further up when a part of the model is taken out?",
    controls=(ABLATED,),
    show=_show_ablated,
    answer=_ablated_answer,
    terms=_ABLATED,
    command=_ablated_command,
    empty="No part was taken out yet.",
    in_report=_ablated_in_report,
)
