"""The tokens of one saved prompt along a direction that was made without its scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from emoact.errors import EmoactError
from emoact.numbers import percent, plural, significant
from emoact.sites import words
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.store.summaries.measures import UnitMeasures
from emoact.views.activations import (
    EMOTION,
    MODELS,
    SITES,
    Activations,
    layer_control,
    one,
    same_width,
    site_terms,
    token_label,
)
from emoact.views.chart import Axis, Band, Chart, Key, Level, Line, Panel, Values, of_emotion
from emoact.views.prompt import PROMPT
from emoact.views.text import coloured, md
from emoact.views.view import Caution, Choice, Control, Remark, Shown, View

_NEUTRAL = "neutral"
_HEIGHT = 300


def _targets(source: Activations, choice: Choice) -> list[str]:
    emotions = source.emotions(choice)
    return [each for each in emotions if each != _NEUTRAL] if _NEUTRAL in emotions else []


TOWARDS = Control[Activations](
    name="towards",
    label="Direction",
    kind="select",
    options=_targets,
    help="The mean of the prompts of this emotion minus that of neutral, at the chosen layer.",
    width=180,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Along:
    """Projections on a direction at one layer, in model units; 0 at the mean of neutral.

    Attributes:
        tokens: Of each position of the prompt.
        prompt: Mean over the text of the prompt.
        saved: Of the saved prompts of other scenarios, by class.
        start: First position of the text.
        strings: Tokens of the text.
    """

    tokens: Float64[np.ndarray, " pos"]
    prompt: float
    saved: dict[str, Float64[np.ndarray, " prompt"]]
    start: int
    strings: tuple[str, ...]


def along(source: Activations, choice: Choice) -> Along | None:
    """Projections of a prompt; None where there is no direction or no text.

    Raises:
        EmoactError: The file of the prompt cannot be read, or keeps no positions.
    """
    (_, site), layer = one(choice), choice["layer"]
    units = same_width(source.of_one(choice))[0]
    by_class = {unit.emotion: unit for unit in units if layer < unit.sites[site].n_layers}
    unit = by_class.get(choice["emotion"])
    known = {choice.get("towards"), _NEUTRAL} <= set(by_class)
    if unit is None or not choice["prompt"] or not known:
        return None
    ids = [unit.prompt_id(at) for at in range(unit.n_samples)]
    sample = ids.index(choice["prompt"])
    start, stop = unit.content[sample]
    vectors = {name: _others(each, site, layer, unit, sample) for name, each in by_class.items()}
    if stop <= start or not (len(vectors[choice["towards"]]) and len(vectors[_NEUTRAL])):
        return None
    origin = vectors[_NEUTRAL].mean(axis=0)
    direction = vectors[choice["towards"]].mean(axis=0) - origin
    direction /= np.linalg.norm(direction) or np.nan
    path = ResultsRoot(source.results).unit_path(unit.folder, unit.emotion)
    rows = read(path).site(site)[layer][sample][start:stop].astype(np.float64)
    own = unit.sites[site].pooled[layer][sample].astype(np.float64)
    return Along(
        tokens=(rows - origin) @ direction,
        prompt=float((own - origin) @ direction),
        saved={name: (each - origin) @ direction for name, each in vectors.items()},
        start=start,
        strings=unit.token_strings[sample][start:stop],
    )


def _others(
    unit: UnitMeasures, site: Any, layer: int, of: UnitMeasures, sample: int
) -> Float64[np.ndarray, "prompt d_model"]:
    """Finite pooled vectors of a class, without the prompt and the others of its scenario."""
    scenario = of.scenario(sample)
    vectors = np.asarray(unit.sites[site].pooled[layer], dtype=np.float64)
    kept = [
        at
        for at, row in enumerate(vectors)
        if np.isfinite(row).all()
        and not (unit is of and at == sample)
        and (scenario is None or unit.scenario(at) != scenario)
    ]
    return np.asarray(vectors[kept])


def _found(source: Activations, choice: Choice) -> tuple[Along | None, str]:
    """The projections, or why there are none."""
    try:
        return along(source, choice), ""
    except EmoactError as error:
        return None, error.message


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart of the projections of every token of the text."""
    (folder, site), towards = one(choice), choice.get("towards", "")
    found, _ = _found(source, choice)
    name = f"direction-{folder}-{site}-{choice['prompt']}-layer{choice['layer']}"
    if found is None:
        return Shown(table=pd.DataFrame(), chart=None, caption="", name=name)
    places = list(range(len(found.strings)))
    table = pd.DataFrame(
        {
            "position": [found.start + at for at in places],
            "token": list(found.strings),
            "projection": found.tokens,
        }
    )
    bands = [
        Band(x=places, low=[low] * len(places), high=[high] * len(places), colour=of_emotion(label))
        for label in dict.fromkeys((towards, _NEUTRAL))
        for low, high in [np.quantile(found.saved[label], (0.25, 0.75))]
    ]
    key = [
        Key(name=f"middle half of {label}", kind="band", colour=of_emotion(label))
        for label in dict.fromkeys((towards, _NEUTRAL))
    ]
    return Shown(
        table=table,
        chart=token_chart(found.strings, found.tokens, bands, key),
        caption=f"Projection of the tokens of prompt {choice['prompt']} ({choice['emotion']}) on "
        f"the direction of {towards} in the {words(site)} at layer {choice['layer']}; 0 is the "
        "mean of neutral. Bands hold the middle half of saved prompts of other scenarios, each by "
        "its mean.",
        name=name,
        html=coloured(found.strings, found.tokens.tolist()),
    )


def token_chart(
    strings: Sequence[str], values: Values, bands: Sequence[Band] = (), key: Sequence[Key] = ()
) -> Chart:
    """Projections of the tokens of a text in their order, above bands of saved prompts.

    `values` are in model units; 0 is the mean of neutral.
    """
    line = Line(
        x=list(range(len(strings))),
        y=values,
        colour="text",
        symbol="circle",
        # Every token has its marker, however many there are.
        filled=[True] * len(strings),
        name="projection",
        data=[[token] for token in strings],
        hover="%{customdata[0]}: %{y:.3~g}",
    )
    panel = Panel(
        marks=[Level(at=0.0), *bands, line],
        x=Axis(title="token", ticks=[token_label(token) for token in strings]),
        y=Axis(title="projection, model units", zero=True, format=",.3~r"),
    )
    return Chart(rows=[[panel]], heights=[_HEIGHT], key=key, unified=False)


def answer(source: Activations, choice: Choice, _shown: Shown) -> Sequence[str]:
    """Place of the prompt among the saved ones, and its token furthest towards the emotion."""
    found, problem = _found(source, choice)
    if found is None:
        return [Caution(md(problem))] if problem else []
    places = [
        f"{percent((values <= found.prompt).mean())} of {plural(len(values), 'prompt')} of "
        f"{md(label)}"
        for label, values in found.saved.items()
        if len(values) and label in (choice["towards"], _NEUTRAL)
    ]
    finite = np.nan_to_num(found.tokens, nan=-np.inf)
    top = int(finite.argmax())
    return [
        f"The mean of this prompt projects {significant(found.prompt)} model units on the "
        f"direction of {md(choice['towards'])} at layer {choice['layer']}{_spread(found)}: at "
        f"least as much as {' and '.join(places)}. Its token furthest towards "
        f"{md(choice['towards'])} is “{md(found.strings[top].strip() or found.strings[top])}” "
        f"({significant(finite[top])} model units).",
        Remark(
            "Teal tokens lie on the side of the emotion, brown ones on the other. The direction "
            "and the percentages leave out the scenario of this prompt."
        ),
    ]


def _spread(found: Along) -> str:
    """The projection of the prompt in standard deviations of neutral prompts, in brackets."""
    neutral = found.saved[_NEUTRAL]
    spread = float(neutral.std(ddof=1)) if len(neutral) > 1 else 0.0
    if not spread > 0:
        return ""
    return f" ({significant(found.prompt / spread)} standard deviations of the neutral prompts)"


TOKEN_DIRECTION = View[Activations](
    name="direction",
    page="activations",
    title="Tokens of one prompt along a direction",
    question="Which tokens of this prompt lie on the side of an emotion?",
    controls=(
        MODELS,
        SITES,
        EMOTION,
        PROMPT,
        TOWARDS,
        layer_control(),
    ),
    single=("model", "site"),
    show=show,
    answer=answer,
    terms=lambda _source, choice: {
        **site_terms(choice),
        "projection": "(x − mean of neutral) · unit direction, in model units. The direction is "
        "the mean of the emotion's prompts minus that of neutral, each prompt by the mean over its "
        "text.",
    },
    empty="There is no direction: it needs prompts of an emotion and of neutral, and another "
    "scenario than that of the prompt.",
)
