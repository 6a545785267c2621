"""Steering: what a direction, and what its controls, are in vectors; no model is needed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.causes.direction import SMALLEST, random_directions
from emoact.causes.form import MOST_CLASSES, MOST_ROWS
from emoact.data.controls import MOST_DRAWS
from emoact.errors import RequestError
from emoact.numbers import short
from emoact.positions import POOLINGS, Pooling
from emoact.stats.design import Design, contrast_against
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.null.relabelling import OUTSIDE, shuffled_groups

LEAST_RANDOM = 100
LEAST_SHUFFLED = 20
"""Fewest draws from which a 95th percentile is taken: the largest of 20 is one."""
DOSES = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0)
"""Doses of a sweep."""

SWEEP_SENTENCES = 6
"""Test scenarios of a sweep where nothing else is said; all are scored for a single effect."""
N_TOP, N_DRAWN = 8192, 4096
"""Tokens whose logits are computed in place of all: the most probable, and draws from the rest."""
WIDER = 8
"""They are worth their choice where the vocabulary is this many times their number."""

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
class SteerSettings:
    """Settings of steering; all of them are saved with the result.

    Attributes:
        emotions: Classes whose directions are added.
        layers: Layers at whose input they are added.
        doses: Factors of the direction; 1 adds the whole difference of the class means.
        control_doses: Those of the doses at which all controls run and a verdict is given.
        n_shuffled: Directions of shuffled labels, and of shuffled emotions.
        train_share: Share of the scenarios that directions come from.
        n_sentences: Most test scenarios whose sentences are scored; None for all.
        alpha: Largest chance of any false alarm over all emotions, layers and control doses.
        seed: Of the split and of all draws.
        prefixes: Sentence that names an emotion in a prompt, where it is not that of `prefix_of`;
            under the neutral label, one that names none.
    """

    emotions: tuple[str, ...]
    layers: tuple[int, ...]
    doses: tuple[float, ...]
    control_doses: tuple[float, ...]
    neutral: str = "neutral"
    pooling: Pooling = "mean_content"
    n_random: int = LEAST_RANDOM
    n_shuffled: int = LEAST_SHUFFLED
    train_share: float = 0.6
    n_sentences: int | None = None
    alpha: float = 0.05
    seed: int = 0
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("emotions", "layers", "doses", "control_doses"):
            given = getattr(self, name)
            if not given or len(set(given)) != len(given):
                raise RequestError(f"{name} is {given}; at least one is needed, and none twice")
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
        if self.pooling not in POOLINGS:
            raise RequestError(f"pooling is {self.pooling!r}; allowed are {', '.join(POOLINGS)}")
        least = {"n_random": LEAST_RANDOM, "n_shuffled": LEAST_SHUFFLED}
        for name, number in least.items():
            if not number <= getattr(self, name) <= MOST_DRAWS:
                raise RequestError(
                    f"{name} is {getattr(self, name)}; at least {number} is needed, and at most "
                    f"{MOST_DRAWS:,}"
                )
        if self.seed < 0:
            raise RequestError(f"seed is {self.seed}; at least 0 is needed")
        if not 0 < self.train_share < 1 or not 0 < self.alpha < 1:
            raise RequestError("train_share and alpha are between 0 and 1")
        if self.n_sentences is not None and self.n_sentences < 1:
            raise RequestError(f"n_sentences is {self.n_sentences}; at least 1 is needed")
        for emotion, sentence in self.prefixes.items():
            if emotion not in (*self.emotions, self.neutral) or not sentence.strip():
                raise RequestError(
                    f"the prefix {sentence!r:.60} is for {emotion!r:.60}; a sentence for one of "
                    f"{', '.join((*self.emotions, self.neutral))} is needed"
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Scenarios that directions come from, and those whose sentences are scored."""

    train: Bool[np.ndarray, " prompt"]
    test: Bool[np.ndarray, " prompt"]
    train_scenarios: tuple[str, ...]
    test_scenarios: tuple[str, ...]


def split_scenarios(
    design: Design,
    names: Sequence[str],
    *,
    labels: Sequence[str],
    train_share: float,
    n_sentences: int | None,
    seed: int,
) -> Split:
    """The seeded split of the scenarios.

    A prompt without a scenario goes by its own name.

    Raises:
        RequestError: A class has no prompt on one of the two sides.
    """
    order = np.random.default_rng([seed, 16]).permutation(design.n_scenarios)
    n_train = round(train_share * design.n_scenarios)
    chosen = order[:n_train], order[n_train:][:n_sentences]
    members = [np.isin(design.scenario_of, scenarios) for scenarios in chosen]
    for side, own in zip(("train", "test"), members, strict=True):
        for label in dict.fromkeys(labels):
            if not (own & (design.label_of == design.index(label))).any():
                raise RequestError(
                    f"no {side} scenario has a prompt of {label}: {design.n_scenarios} scenarios "
                    f"are split into {n_train} to train and the rest to test",
                    remedy="Use another --seed, or more prompts.",
                )
    train, test = (tuple(dict.fromkeys(np.asarray(names)[own].tolist())) for own in members)
    return Split(train=members[0], test=members[1], train_scenarios=train, test_scenarios=test)


@dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """Directions of one emotion at one layer, and its controls.

    Attributes:
        own: mean(emotion) - mean(neutral) over the training prompts.
        others: The same of the other emotions, at their own norms.
        random: Draws with the covariance of the pooled neutral prompts, at the norm of `own`.
        shuffled: From labels exchanged between the emotion and neutral within scenarios.
        exchanged: Of every emotion, from labels exchanged between the emotions within scenarios: as
            emotional as any, and of no certain emotion. Draw r is one exchange of all labels.
    """

    own: Float64[np.ndarray, " d_model"]
    others: Mapping[str, Float64[np.ndarray, " d_model"]]
    random: Float64[np.ndarray, "random_draw d_model"]
    shuffled: Float64[np.ndarray, "shuffled_draw d_model"]
    exchanged: Mapping[str, Float64[np.ndarray, "exchanged_draw d_model"]]


def directions_of(
    pooled: Float[np.ndarray, "prompt d_model"],
    design: Design,
    emotion: str,
    settings: SteerSettings,
) -> Directions:
    """The directions of one layer, from training prompts only.

    Draw number r uses the same random numbers at every layer and for every emotion, so that the
    largest over layers and emotions of one draw is that of one experiment.

    Raises:
        RequestError: The prompts do not vary, so that there is no direction or no control.
    """
    pooled = pooled.astype(np.float64)
    labels, neutral = design.labels, settings.neutral
    plain = {
        label: contrast_direction(pooled, design, contrast_against(design, label, neutral))
        for label in labels
        if label != neutral
    }
    own = plain.pop(emotion)
    norm = float(np.linalg.norm(own))
    if not norm > SMALLEST * np.linalg.norm(pooled, axis=1).max():
        raise RequestError(f"{emotion} and {neutral} have the same mean: there is no direction")
    of_neutral = pooled[design.label_of == design.index(neutral)]
    random = random_directions(of_neutral, settings.n_random, [settings.seed, 17])
    return Directions(
        own=own,
        others=plain,
        random=random * (norm / np.linalg.norm(random, axis=1, keepdims=True)),
        # At their own norms, as the truth is one of their draws where labels mean nothing; a norm
        # that is made equal would blow what little they share with the truth up to all of it.
        shuffled=_shuffled(pooled, design, emotion, settings),
        exchanged=_exchanged(pooled, design, (emotion, *plain), settings) if plain else {},
    )


def _shuffled(
    pooled: np.ndarray, design: Design, emotion: str, settings: SteerSettings
) -> Float64[np.ndarray, "draw d_model"]:
    groups = np.full(design.n_prompts, OUTSIDE)
    groups[design.label_of == design.index(settings.neutral)] = 0
    groups[design.label_of == design.index(emotion)] = 1
    draws = shuffled_groups(design, groups, settings.n_shuffled, seed=settings.seed)[1:]
    return np.asarray(_means(draws == 1, pooled) - _means(draws == 0, pooled))


def _exchanged(
    pooled: np.ndarray, design: Design, emotions: Sequence[str], settings: SteerSettings
) -> dict[str, Float64[np.ndarray, "draw d_model"]]:
    groups = design.label_of.copy()
    groups[groups == design.index(settings.neutral)] = OUTSIDE
    draws = shuffled_groups(design, groups, settings.n_shuffled, seed=settings.seed)[1:]
    neutral = pooled[design.label_of == design.index(settings.neutral)].mean(axis=0)
    return {
        label: np.asarray(_means(draws == design.index(label), pooled) - neutral)
        for label in emotions
    }


def _means(chosen: np.ndarray, pooled: np.ndarray) -> Float64[np.ndarray, "draw d_model"]:
    means: Float64[np.ndarray, "draw d_model"] = chosen.astype(np.float64) @ pooled
    return np.asarray(means / chosen.sum(axis=1, keepdims=True))
