"""Attention of a head over the tokens of a text, heads ranked by their contribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emoact.causes.attention import SHARES, means_of, shares_of
from emoact.causes.heads import table_of
from emoact.causes.patterns import read_pattern
from emoact.host.client import Looked
from emoact.numbers import plural, significant
from emoact.views.activations import token_label
from emoact.views.chart import Axis, Cells, Chart, Panel
from emoact.views.heads import RESULT, Heads
from emoact.views.text import md
from emoact.views.view import Choice, Control, Remark, Shown, View

_TERMS = {
    "pattern": "weights with which a position (row) reads each earlier one (column); a row sums to "
    "1. It says what a head reads; what it writes is its contribution.",
    "entropy": "−Σ a log₂ a of a row, in bits: 0 where one position has all the weight; mean over "
    "the tokens of the text.",
    "first mass": "weight on the first position, which is the BOS where one was prepended: a head "
    "that rests there does little (attention sink).",
    "previous mass": "weight on the position before.",
}


def ranked(source: Heads, choice: Choice) -> list[str]:
    """Names `layer.head` of the heads of a result, the largest contribution first."""
    table = table_of(source.chosen(choice))
    heads = table[table["component"] == "head"]
    return [f"{row.layer}.{row.head}" for row in heads.itertuples()]


HEAD = Control[Heads](
    name="head",
    label="Head",
    kind="select",
    options=ranked,
    help="layer.head, the largest contribution to the direction first.",
    width=130,
)


TYPED = "typed sentence"
TEXT = Control[Heads](
    name="text",
    label="Text",
    kind="select",
    options=lambda source, choice: [TYPED, *source.prompts(choice)],
    help="A sentence that you type, or a saved prompt whose patterns were written.",
    width=280,
)


def of_prompt(source: Heads, choice: Choice) -> Looked:
    """The patterns of the chosen saved prompt, as those of a sentence.

    Raises:
        FileRefusedError: Its file cannot be read.
    """
    saved, at = source.prompts(choice)[choice["text"]]
    read = read_pattern(saved, at)
    start, stop = read.content
    return Looked(
        text="".join(read.strings[start:stop]),
        token_strings=read.strings,
        content=read.content,
        bos={},
        random_weights=bool(saved.found["random_weights"]),
        arrays={"pattern": read.pattern, **read.shares},
        seconds=0.0,
    )


def _typed(source: Heads) -> Looked:
    if source.typed is None:
        raise ValueError("this view needs a typed sentence")
    return source.typed


def _pattern(source: Heads, choice: Choice) -> np.ndarray:
    layer, head = map(int, choice["head"].split("."))
    return np.asarray(_typed(source).arrays["pattern"][layer, head], dtype=np.float64)


def _shares(typed: Looked) -> dict[str, np.ndarray]:
    """Entropy and masses `[layer, head, query]`; of a reduced pattern those that were kept."""
    kept = {name: typed.arrays[name] for name in SHARES if name in typed.arrays}
    return kept or shares_of(typed.arrays["pattern"])


def _labels(typed: Looked) -> list[str]:
    """Tokens with their position, so that equal ones differ."""
    start, stop = typed.content
    return [
        f"{position} " + token_label(text, part="text" if start <= position < stop else "template")
        for position, text in enumerate(typed.token_strings)
    ]


def show(source: Heads, choice: Choice) -> Shown:
    """Weights of every position on every earlier one."""
    typed, pattern, labels = _typed(source), _pattern(source, choice), _labels(_typed(source))
    query, key = np.tril_indices(len(pattern))
    table = pd.DataFrame(
        {
            "position": query,
            "token": [typed.token_strings[at] for at in query],
            "reads_position": key,
            "reads_token": [typed.token_strings[at] for at in key],
            "weight": pattern[query, key],
        }
    )
    start, _ = typed.content
    inside = pattern[start:, start:]
    high = float(inside.max()) if inside.size and inside.max() > 0 else 1.0
    seen = np.tril(np.ones_like(pattern, dtype=bool))
    cells = Cells(
        values=np.where(seen, pattern, np.nan).tolist(),
        x=labels,
        y=labels,
        title="weight",
        low=0.0,
        high=high,
        hover="%{y} reads %{x}: %{customdata[0]:.3f}",
    )
    panel = Panel(
        marks=[cells],
        x=Axis(scale="category", categories=labels),
        y=Axis(scale="category", categories=labels),
    )
    name = choice["head"]
    return Shown(
        table=table,
        chart=Chart(rows=[[panel]], heights=[max(320, 22 * len(labels) + 140)], unified=False),
        caption=f"Attention weights of head {name} over a text: the token of a row reads "
        f"those of the columns. The colours end at {significant(high)}, the largest weight within "
        "the text. Grey: later positions.",
        name=f"attention-{name}",
    )


def answer(source: Heads, choice: Choice, _: Shown) -> Sequence[str]:
    """Contribution of the head, and where it looks."""
    typed, pattern = _typed(source), _pattern(source, choice)
    layer, head = map(int, choice["head"].split("."))
    table = table_of(source.chosen(choice))
    own = table[(table["layer"] == layer) & (table["head"] == head)].iloc[0]
    share = own["contrast"] / source.chosen(choice).found["total"]
    rows = slice(*typed.content)
    own_shares = {name: each[layer, head][rows] for name, each in _shares(typed).items()}
    said = [
        f"Head {md(choice['head'])} adds {100 * share:.1f} % of the direction (p = "
        f"{significant(own['p'], 2)}). On this text of {plural(len(pattern), 'position')} "
        f"{100 * own_shares['first_mass'].mean():.0f} % of its weight lies on the first one, and "
        f"its entropy is {own_shares['entropy'].mean():.2f} bits."
    ]
    if "entropy" in typed.arrays:
        said.append(Remark("Only the largest weights of each query were kept."))
    return said


def _show_heads(source: Heads, choice: Choice) -> Shown:
    typed = _typed(source)
    table = table_of(source.chosen(choice))
    heads = table[table["component"] == "head"][["layer", "head", "contrast", "p"]]
    heads = heads.astype({"layer": int, "head": int})
    measured = means_of(_shares(typed), typed.content)
    return Shown(
        table=heads.merge(measured, on=["layer", "head"], how="left"),
        chart=None,
        caption="Heads by their contribution, with entropy (bits) and weights on the first and on "
        "the previous position, means over the tokens of the sentence.",
        name="attention-heads",
    )


ATTENTION = View[Heads](
    name="attention",
    page="heads",
    title="Attention over a text",
    question="Which tokens of a text does a head read?",
    controls=(RESULT, HEAD, TEXT),
    show=show,
    answer=answer,
    terms=_TERMS,
)
ATTENTION_HEADS = View[Heads](
    name="attention-heads",
    page="heads",
    title="All heads on this text",
    question="Which heads that write the direction read the text, and which rest on the BOS?",
    controls=(RESULT, TEXT),
    show=_show_heads,
    terms=_TERMS,
    tab=False,
    below=lambda source, tab: tab == "attention" and source.typed is not None,
)
