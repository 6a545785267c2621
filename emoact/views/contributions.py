"""Contributions one by one: to every saved prompt, and to every token of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from emoact.causes.heads import PROMPT_COLUMNS, prompts_of
from emoact.numbers import plural, significant
from emoact.views.activations import token_label
from emoact.views.chart import Axis, Box, Cells, Chart, Panel, of_emotion, span
from emoact.views.heads import RESULT, Heads, where, words_of
from emoact.views.text import coloured
from emoact.views.theme import by_emotion
from emoact.views.trajectory import N_SHOWN
from emoact.views.view import NOTHING, Choice, Remark, Shown, View, unbadged

_PLACES = ("position", "token", "projection")
_ROW, _HEAD = 34, 90
_TERMS: Mapping[str, str] = {
    "contribution": "what a component adds to the stream at one position, projected on the unit "
    "direction, in model units.",
    "projection": "the sum over all components: the stream at this position times the unit "
    "direction.",
    "all others": "the sum over the components that are not shown.",
}


def _show_prompts(source: Heads, choice: Choice) -> Shown:
    saved = source.chosen(choice)
    table = prompts_of(saved)
    names = [name for name in table if name not in PROMPT_COLUMNS]
    limits = span(*(table[name] for name in names), at_least=(0.0, 0.0))
    panels = [
        Panel(
            emotions=[emotion],
            marks=[
                Box(
                    values=own[name].astype(float),
                    name=name,
                    colour=of_emotion(emotion),
                    symbol=of_emotion(emotion),
                    texts=own["prompt"].tolist(),
                )
                for name in names
            ],
            x=Axis(title="contribution (model units)", range=limits),
            y=Axis(scale="category", categories=names),
        )
        for emotion, own in by_emotion(table)
    ]
    return Shown(
        table=table,
        chart=Chart(rows=[panels], heights=[_ROW * len(names) + _HEAD], unified=False),
        caption="Contributions of the largest components to every saved prompt along the direction "
        f"of {where(saved)}, in model units. Boxes reach from the first to the third quartile, "
        "whiskers to 1.5 interquartile ranges.",
        name=f"contributions-{saved.id[:6]}",
    )


def _show_tokens(source: Heads, choice: Choice) -> Shown:
    found = source.apart
    if found is None:
        return NOTHING
    table = found.by_token
    names = [name for name in table if name not in _PLACES]
    values = table[names].to_numpy(dtype=float).T
    tokens = [
        f"{position} {token_label(token)}"
        for position, token in zip(table["position"], table["token"], strict=True)
    ]
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    cells = Cells(
        values=values.tolist(),
        x=tokens,
        y=names,
        title="contribution",
        diverging=True,
        low=-largest,
        high=largest,
        hover="%{y} at %{x}: %{customdata[0]:.3g}",
    )
    panel = Panel(
        marks=[cells],
        x=Axis(scale="category", categories=tokens),
        y=Axis(scale="category", categories=names),
    )
    return Shown(
        table=table,
        chart=Chart(rows=[[panel]], heights=[26 * len(names) + 150], unified=False)
        if len(table)
        else None,
        caption=f"Contributions to every token of a text along the direction of "
        f"{where(source.chosen(choice))}, in model units; the colours end at "
        f"{significant(largest)}.",
        name="contributions-tokens",
        html=coloured(table["token"].tolist(), table["projection"].tolist()),
    )


def _tokens_answer(source: Heads, _choice: Choice, _: Shown) -> Sequence[str]:
    found = source.apart
    if found is None:
        return []
    n = len(found.looked.components)
    return [
        *unbadged(found.sentences, random=found.looked.random_weights),
        Remark(
            f"{plural(min(N_SHOWN, n), 'component')} of {n} by their contribution to the pooled "
            "text. Teal tokens project on the side of the emotion, brown ones on the other."
        ),
    ]


def _command(source: Heads, choice: Choice) -> list[str]:
    text = source.apart.looked.text if source.apart else ""
    return [*words_of("heads", source.chosen(choice)), "--by=token", f"--text={text}"]


OF_PROMPTS = View[Heads](
    name="largest-prompts",
    page="heads",
    title="The same by prompt",
    question="Do the largest components write the direction in every prompt, or in a few?",
    controls=(RESULT,),
    show=_show_prompts,
    terms=_TERMS,
    tab=False,
    below=lambda _source, tab: tab == "largest",
)
OF_TOKENS = View[Heads](
    name="tokens",
    page="heads",
    title="Contributions along a text",
    question="At which tokens of a text do which components write the direction?",
    controls=(RESULT,),
    show=_show_tokens,
    answer=_tokens_answer,
    terms=_TERMS,
    command=_command,
)
