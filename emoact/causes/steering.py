"""Steering: what a direction, and what its controls, are in vectors; no model is needed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.causes.direction import SMALLEST, random_directions
from emoact.causes.settings import AblateSettings, SteerSettings
from emoact.errors import RequestError
from emoact.stats.design import Design, contrast_against
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.null.relabelling import OUTSIDE, shuffled_groups

N_TOP, N_DRAWN = 8192, 4096
"""Tokens whose logits are computed in place of all: the most probable, and draws from the rest."""
WIDER = 8
"""They are worth their choice where the vocabulary is this many times their number."""


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
    labels: Sequence[str],
    settings: SteerSettings | AblateSettings,
    *,
    seed: int,
) -> Split:
    """The seeded split of the scenarios.

    A prompt without a scenario goes by its own name.

    Raises:
        RequestError: A class has no prompt on one of the two sides.
    """
    order = np.random.default_rng([seed, 16]).permutation(design.n_scenarios)
    n_train = round(settings.train_share * design.n_scenarios)
    chosen = order[:n_train], order[n_train:][: settings.n_sentences]
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
