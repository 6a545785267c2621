"""The direction itself: its tokens through the unembedding, and what lies where along it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emoact.causes import lens
from emoact.causes.project import Along, said_of, table_by
from emoact.numbers import plural
from emoact.views.chart import Axis, Chart, Key, Panel, Points, span
from emoact.views.heads import RESULT, Heads, place, where, words_of
from emoact.views.text import coloured, md
from emoact.views.token_direction import token_chart
from emoact.views.view import NOTHING, Choice, Control, Remark, Shown, View, unbadged

_ROW, _HEAD = 24, 70
_LENS_TERMS: Mapping[str, str] = {
    "logit": "unembedding(norm(v)) − unembedding(norm(0)) of the direction at a root mean square "
    "of 1, less its mean over the vocabulary. Raised tokens have the largest, lowered ones the "
    "smallest.",
    "random": "95th percentile, at the same rank, of directions drawn with the covariance of the "
    "neutral prompts. Every direction has some tokens with the largest logits.",
    "p": "share of directions, this one included, whose first logit is at least as far out; above "
    "random is p ≤ 0.025 at an end.",
}
_TERMS: Mapping[str, str] = {
    "projection": "(x − mean of the neutral prompts) · unit direction, in model units: 0 at the "
    "mean of neutral prompts, the norm of the direction at that of the emotion.",
    "percentile": "percent of the tokens of the saved prompts that project at most as much. The "
    "direction was made from these prompts.",
}


def _show_lens(source: Heads, choice: Choice) -> Shown:
    saved = source.lens(choice)
    if saved is None:
        return NOTHING
    table = lens.table_of(saved)
    labels = [f"{row.rank}. {row.token!r} ({row.side})" for row in table.itertuples()]
    marks = [
        Points(
            x=table["logit"].tolist(),
            y=labels,
            colour="text",
            name="direction",
            size=9.0,
            hover="%{y}: %{x:.3g}",
        ),
        Points(
            x=table["random_95"].tolist(),
            y=labels,
            colour="accent",
            name="random",
            symbol="x",
            hover="95 % of random directions end at %{x:.3g}",
        ),
    ]
    panel = Panel(
        marks=marks,
        x=Axis(
            title="logit less its mean",
            range=span(table["logit"], table["random_95"], at_least=(0.0, 0.0)),
        ),
        y=Axis(scale="category", categories=labels),
    )
    key = [
        Key(name="the direction", kind="marker", symbol="circle"),
        Key(
            name="95 % of random directions, same rank",
            kind="marker",
            symbol="x",
            colour="accent",
        ),
    ]
    return Shown(
        table=table,
        chart=Chart(rows=[[panel]], key=key, heights=[_ROW * len(labels) + _HEAD]),
        caption="Tokens that the unembedding raises and lowers most along the direction of "
        f"{where(source.chosen(choice))}, beside the 95th percentile of random directions.",
        name=f"lens-{saved.id[:6]}",
        columns="lens",
    )


def _lens_answer(source: Heads, choice: Choice, _: Shown) -> Sequence[str]:
    saved = source.lens(choice)
    if saved is None:
        return []
    return unbadged(lens.sentences_of(saved), random=saved.found["random_weights"])


BY = Control[Heads](
    name="by",
    label="Rows",
    kind="one",
    options=lambda _source, _choice: ("token", "passage"),
    help="Single tokens of the texts, or whole prompts, pooled.",
)


def _layers(source: Heads, choice: Choice) -> range:
    """Layers at whose input the direction can be; behind the last layer there is one place."""
    found = source.chosen(choice).found
    if found["target"]["site"] == "resid_post":
        return range(0)
    return range(source.n_layers.get(found["model"], 0))


LAYER = Control[Heads](
    name="layer",
    label="Layer",
    kind="layer",
    options=_layers,
    default=lambda source, choice: source.chosen(choice).found["target"]["layer"],
    help="The direction is made anew at this layer, of the same prompts.",
    width=340,
)


def _show_projections(source: Heads, choice: Choice) -> Shown:
    if source.along is None:
        return NOTHING
    by = choice["by"]
    return Shown(
        table=table_by(source.along.document, by),
        chart=None,
        caption=f"What projects most and least on the direction of {_where(source.along)}.",
        name=f"projections-{by}",
    )


def _projections_answer(source: Heads, _choice: Choice, _: Shown) -> Sequence[str]:
    if source.along is None:
        return []
    found = source.along.document
    return [
        md(said_of(found)),
        Remark(
            f"{plural(found['n_passages'], 'saved prompt')} of {md(found['emotion'])} and "
            f"{md(found['neutral'])}, which made the direction themselves."
        ),
    ]


def _show_trajectory(source: Heads, _choice: Choice) -> Shown:
    found = source.trajectory
    if found is None:
        return NOTHING
    table = found.table
    text = table[table["part"] == "text"]
    strings, values = text["token"].tolist(), text["projection"].tolist()
    return Shown(
        table=table,
        chart=token_chart(strings, values) if strings else None,
        caption=f"Projection along a typed sentence on the direction of "
        f"{_where(found.along)}. 0 is the mean of neutral prompts.",
        name="trajectory",
        html=coloured(strings, values, limit=found.limit),
    )


def _trajectory_answer(source: Heads, _choice: Choice, _: Shown) -> Sequence[str]:
    found = source.trajectory
    if found is None:
        return []
    return [
        *unbadged(found.sentences, random=found.looked.random_weights),
        Remark(
            "Teal tokens project on the side of the emotion, brown ones on the other; a colour is "
            "full from the size that 95 % of the saved tokens do not reach."
        ),
    ]


def _where(along: Along) -> str:
    return place(along.emotion, along.folder, along.target)


def _words(source: Heads, choice: Choice, name: str) -> list[str]:
    return words_of(name, source.chosen(choice), layer=choice.get("layer"))


def _typed_words(source: Heads, choice: Choice) -> list[str]:
    text = source.trajectory.looked.text if source.trajectory else ""
    return [*_words(source, choice, "project"), f"--text={text}"]


LENS = View[Heads](
    name="lens",
    page="heads",
    title="Tokens of the direction",
    question="Which tokens does the direction stand for, and does chance do as much?",
    controls=(RESULT,),
    show=_show_lens,
    answer=_lens_answer,
    terms=_LENS_TERMS,
    command=lambda source, choice: _words(source, choice, "lens"),
    in_report=lambda source: [
        {"result": name} for name in source.named if source.lens({"result": name}) is not None
    ],
)
PROJECTIONS = View[Heads](
    name="projections",
    page="heads",
    title="Tokens and prompts along the direction",
    question="Which tokens and prompts project most and least on the direction?",
    controls=(RESULT, LAYER, BY),
    show=_show_projections,
    answer=_projections_answer,
    terms=_TERMS,
    command=lambda source, choice: [*_words(source, choice, "project"), "--by", choice["by"]],
)
TRAJECTORY = View[Heads](
    name="trajectory",
    page="heads",
    title="A sentence along the direction",
    question="Which tokens of a sentence lie on the side of the emotion?",
    controls=(RESULT, LAYER),
    show=_show_trajectory,
    answer=_trajectory_answer,
    terms=_TERMS,
    command=_typed_words,
)
