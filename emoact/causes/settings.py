"""Settings of steering and of ablations: what they allow, and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from emoact.causes.asked import Checked, option
from emoact.data.controls import MOST_DRAWS
from emoact.errors import RequestError
from emoact.numbers import short
from emoact.positions import POOLINGS, Pooling

PartKind = Literal["direction", "directions", "layer", "mlp", "head", "group"]
PART_KINDS: tuple[PartKind, ...] = get_args(PartKind)
By = Literal["zero", "mean", "resample"]
BYS: tuple[By, ...] = get_args(By)

MOST_CLASSES = 200
"""Classes, each of which has a panel."""
MOST_ROWS = 20_000
"""Rows of a table: heads, or parts, of the largest published models are 17,515."""

LEAST_RANDOM = 100
LEAST_SHUFFLED = 20
"""Fewest draws from which a 95th percentile is taken: the largest of 20 is one."""
DOSES = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0)
"""Doses of a sweep."""

SWEEP_SENTENCES = 6
"""Test scenarios of a sweep where nothing else is said; all are scored for a single effect."""

_SAID: Mapping[str, str] = {
    "gratitude": "I am so grateful.",
    "anger": "I am so angry.",
    "apology": "I am so sorry.",
}
_NEUTRAL_SAID = (
    "I am in the kitchen.",
    "I am at the station.",
    "The train has left.",
    "It is three o'clock.",
    "The book is on the table.",
)
"""As short as those, and of no emotion."""
_LONGEST_PREFIX = 500
_LARGEST_DOSE = 1e6


@dataclass(frozen=True, kw_only=True)
class SteerSettings(Checked):
    """Settings of steering; all of them are saved with the result.

    Attributes:
        emotions: Classes whose directions are added; empty for all.
        layers: Layers at whose input they are added; empty for five over the depth.
        doses: Factors of the direction; 1 adds the whole difference of the class means.
        control_doses: Those of the doses at which all controls run and a verdict is given. Empty
            for 1, or the dose next to it; for all where one emotion is steered at one layer with
            up to three doses.
        n_shuffled: Directions of shuffled labels, and of shuffled emotions.
        n_sentences: Most test scenarios whose sentences are scored; None for six, and for all where
            one emotion is steered at one layer with up to three doses.
        prefixes: Sentence that names an emotion in a prompt, where it is not that of `prefix_of`;
            under the neutral label, one that names none.
        train_share: Share of the scenarios that directions come from.
        alpha: Largest chance of any false alarm over all emotions, layers and control doses.
        seed: Of the split and of all draws.
    """

    emotions: tuple[str, ...] = option("--emotion", ())
    layers: tuple[int, ...] = option("--layer", ())
    doses: tuple[float, ...] = option("--dose", DOSES)
    control_doses: tuple[float, ...] = option("--control-dose", ())
    neutral: str = option("--neutral", "neutral")
    pooling: Pooling = option("--pooling", "mean_content", choices=POOLINGS)
    n_random: int = option("--random", LEAST_RANDOM, least=LEAST_RANDOM, most=MOST_DRAWS)
    n_shuffled: int = option("--shuffled", LEAST_SHUFFLED, least=LEAST_SHUFFLED, most=MOST_DRAWS)
    n_sentences: int | None = option("--sentences", None, least=1)
    prefixes: Mapping[str, str] = option("--prefix", {})
    train_share: float = 0.6
    alpha: float = 0.05
    seed: int = option("--seed", 0, least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("emotions", "layers", "doses", "control_doses"):
            chosen = getattr(self, name)
            if len(set(chosen)) != len(chosen):
                raise RequestError(f"{name} is {chosen}; none is needed twice")
        cells = len(self.emotions) * len(self.layers) * len(self.doses)
        if len(self.emotions) > MOST_CLASSES or cells > MOST_ROWS:
            raise RequestError(
                f"{len(self.emotions):,} emotions and {cells:,} cells (emotions × layers × doses) "
                f"are asked for; one result holds at most {MOST_CLASSES} and {MOST_ROWS:,}"
            )
        if self.neutral in self.emotions:
            raise RequestError(f"{self.neutral} is the class that directions are measured from")
        if not all(0 < abs(dose) <= _LARGEST_DOSE for dose in self.doses):
            raise RequestError(
                f"doses are {', '.join(map(short, self.doses))}; allowed are numbers other than 0 "
                f"up to {_LARGEST_DOSE:,.0f}, with a point for decimals"
            )
        if not set(self.control_doses) <= set(self.doses):
            raise RequestError(f"control doses {self.control_doses} are not all among the doses")
        if not 0 < self.train_share < 1 or not 0 < self.alpha < 1:
            raise RequestError("train_share and alpha are between 0 and 1")
        named = (*self.emotions, self.neutral)
        for emotion, sentence in self.prefixes.items():
            # Where no emotion is named, the files say which there are.
            if self.emotions and (emotion not in named or not sentence.strip()):
                raise RequestError(
                    f"the prefix {sentence!r:.60} is for {emotion!r:.60}; a sentence for one of "
                    f"{', '.join(named)} is needed"
                )
            if len(sentence) > _LONGEST_PREFIX:
                raise RequestError(
                    f"the prefix for {emotion!r:.60} has {len(sentence)} characters; a sentence of "
                    f"at most {_LONGEST_PREFIX} is allowed"
                )

    def prefix_of(self, emotion: str) -> str:
        """The sentence that a prompt alone would use to name an emotion."""
        return self.prefixes.get(emotion) or _SAID.get(emotion, f"I feel {emotion}.")

    @property
    def neutral_prefixes(self) -> tuple[str, ...]:
        """Sentences that name no emotion, for what any sentence before a text does."""
        own = self.prefixes.get(self.neutral)
        return _NEUTRAL_SAID if own is None else (own,)


@dataclass(frozen=True, kw_only=True)
class AblateSettings(Checked):
    """Settings of ablations; all of them are saved with the result.

    Attributes:
        emotion: Class whose direction is read out.
        layer: Layer at whose input it is read out.
        parts: Kinds of part that are ablated one by one; `directions` takes the direction out at
            all layers at once.
        at: Layers of the parts; empty for all before `layer`.
        by: What stands in place of a part: nothing, the mean over the neutral training prompts, or
            the mean over the neutral prompt of the same scenario.
        neutral: Class that the direction is measured from.
        n_sentences: Most test scenarios that are read out; None for all.
        words: Class words, whose log-odds as the next token are read out; empty for the label.
        seed: Of the split and of the draws.
        train_share: Share of the scenarios that the direction comes from.
        n_bootstrap: Draws of scenarios for the intervals.
    """

    emotion: str = option("--emotion")
    layer: int = option("--layer")
    parts: tuple[PartKind, ...] = option(
        "--part", ("direction", "layer", "mlp", "head"), choices=PART_KINDS
    )
    at: tuple[int, ...] = option("--at", ())
    by: By = option("--by", "mean", choices=BYS)
    neutral: str = option("--neutral", "neutral")
    n_sentences: int | None = option("--sentences", None, least=1)
    words: tuple[str, ...] = option("--word", ())
    seed: int = option("--seed", 0, least=0)
    train_share: float = 0.6
    n_bootstrap: int = option("", 1000, least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.emotion == self.neutral:
            raise RequestError(f"{self.emotion!r} cannot be contrasted with itself")
        if not self.parts:
            raise RequestError(f"no part is named; parts are {', '.join(PART_KINDS)}")
        if self.layer < 1:
            raise RequestError("no part comes before layer 0; read out at layer 1 or above")
        for layer in self.at:
            if not 0 <= layer < self.layer:
                raise RequestError(f"layer {layer} does not come before layer {self.layer}")
        if not all(word.strip() for word in self.words):
            raise RequestError("a class word is empty", remedy="Leave out --word for the label.")

    @property
    def class_words(self) -> tuple[str, ...]:
        """Words whose log-odds are read out."""
        return self.words or (self.emotion,)
