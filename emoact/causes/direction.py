"""A direction of saved prompts, and where prompts and tokens lie along it; no model is needed."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64

from emoact import sites as known
from emoact.causes.contributions import Target
from emoact.errors import RequestError
from emoact.positions import Pooling, Span, pool_sample
from emoact.store.unit import Samples, Unit

N_TOP = 20
"""Tokens and passages that are kept at each end."""

_AROUND = 8
"""Tokens before and after one that are kept with it."""

SMALLEST = 1e-8
"""A direction shorter than this share of the vectors it is made from is rounding error."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedDirection:
    """The plain direction of one emotion at one place, from saved prompts."""

    vector: Float64[np.ndarray, " d_model"]
    neutral: Float32[np.ndarray, "prompt d_model"]

    @property
    def norm(self) -> float:
        """Its norm: the projection of the mean of the emotion."""
        return float(np.linalg.norm(self.vector))

    @property
    def unit(self) -> Float64[np.ndarray, " d_model"]:
        """The vector of norm 1."""
        return np.asarray(self.vector / self.norm)

    @property
    def origin(self) -> float:
        """Product of the mean of the neutral prompts with `unit`."""
        return float(self.neutral.mean(axis=0, dtype=np.float64) @ self.unit)

    def project(self, rows: Float[np.ndarray, "row d_model"]) -> Float64[np.ndarray, " row"]:
        """(x − mean of neutral) · unit of every row, in model units.

        It is 0 at the mean of the neutral prompts, and the norm at that of the emotion.
        """
        return np.asarray(rows.astype(np.float64) @ self.unit - self.origin)

    def random(self, n: int, seed: int) -> Float64[np.ndarray, "draw d_model"]:
        """Draws with the covariance of the neutral prompts; `RequestError` if these do not vary."""
        return random_directions(self.neutral, n, [seed, 18])


def random_directions(
    neutral: Float[np.ndarray, "prompt d_model"], n: int, seed: Sequence[int]
) -> Float64[np.ndarray, "draw d_model"]:
    """Draws with the covariance of these prompts; `RequestError` if the prompts do not vary."""
    own = neutral.astype(np.float64)
    drawn = np.random.default_rng(seed).standard_normal((n, len(own)))
    found = drawn @ (own - own.mean(axis=0))
    if not (np.linalg.norm(found, axis=1) > SMALLEST * np.abs(own).max()).all():
        raise RequestError(
            "a random direction has no length: the neutral prompts do not vary",
            remedy="Use more prompts.",
        )
    return np.asarray(found)


def direction_of(emotion: Unit, neutral: Unit, target: Target) -> SavedDirection:
    """The direction from the unit of neutral to that of an emotion.

    Raises:
        RequestError: The files do not hold it, or have no direction.
    """
    first, second = pooled_at(emotion, target), pooled_at(neutral, target)
    if first.shape[1] != second.shape[1]:
        raise RequestError(
            f"{emotion.path} has vectors of {first.shape[1]} numbers and {neutral.path} of "
            f"{second.shape[1]}",
            remedy="Extract them again with one model.",
        )
    vector = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    if not np.linalg.norm(vector) > SMALLEST * np.abs(first).max():
        raise RequestError(
            f"{emotion.emotion} and {neutral.emotion} have the same mean: no direction"
        )
    return SavedDirection(vector=vector, neutral=second)


def pooled_at(unit: Unit, target: Target) -> Float32[np.ndarray, "prompt d_model"]:
    """The pooled vectors of a unit at a place; `RequestError` if the file does not hold them."""
    if unit.pooled:
        kept = unit.pooled.get((target.site, target.pooling))
        if kept is None:
            pairs = ", ".join(f"{site} by {pooling}" for site, pooling in unit.pooled)
            raise RequestError(
                f"{unit.path} does not keep {target.site} by {target.pooling}; it has {pairs}"
            )
        return np.asarray(kept(_place(unit, target))[:, 0], dtype=np.float32)
    responses = unit.response_spans or [None] * unit.n_samples
    return np.stack(
        [
            pool_sample(rows, pooling=target.pooling, content=span, response=response)
            for rows, span, response in zip(
                samples_at(unit, target), unit.content, responses, strict=True
            )
        ]
    )


def samples_at(unit: Unit, target: Target) -> Samples:
    """The arrays of every prompt at a place; `RequestError` if the file does not hold them."""
    target.check(unit.n_layers)
    return unit.site(target.site)[_place(unit, target)]


def _place(unit: Unit, target: Target) -> int:
    target.check(unit.n_layers)
    return 0 if known.site(target.site).layers == "last" else target.layer


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A text as a model saw it.

    Attributes:
        name: Id of the prompt, or number of the line.
        emotion: Its class; empty in a file of text.
        content: Positions of the text; the rest is BOS, chat template or response.
    """

    name: str
    emotion: str = ""
    strings: Sequence[str]
    content: Span
    response: Span | None = None

    @property
    def text(self) -> str:
        """The text, from its tokens."""
        return "".join(self.strings[slice(*self.content)])


class Extremes:
    """Tokens and passages that project most and least, one passage after the other.

    What is held does not grow with the number of passages.

    Args:
        n: Kept at each end.
        pooling: How the positions of a passage become one.
    """

    def __init__(self, n: int, pooling: Pooling) -> None:
        self._n, self._pooling = n, pooling
        self._kept: dict[tuple[str, str], list[tuple[float, int, dict[str, Any]]]] = {
            (by, side): [] for by in ("token", "passage") for side in ("most", "least")
        }
        self.n_tokens = self.n_passages = self._order = 0
        self._sum = self._squares = 0.0

    def add(self, passage: Passage, projections: Float64[np.ndarray, " pos"]) -> float:
        """Take one passage in; returns its pooled projection."""
        start, stop = passage.content
        own = projections[start:stop]
        finite = own[np.isfinite(own)]
        self.n_passages += 1
        self.n_tokens += len(own)
        self._sum += float(finite.sum())
        self._squares += float(np.square(finite).sum())
        order = np.argsort(own, kind="stable")
        for place in np.unique(np.concatenate([order[: self._n], order[-self._n :]])):
            at = start + int(place)
            self._keep("token", float(own[place]), lambda at=at: _token_row(passage, at))
        pooled = float(
            pool_sample(
                projections[:, None].astype(np.float32),
                pooling=self._pooling,
                content=passage.content,
                response=passage.response,
            )[0]
        )
        self._take(passage, pooled)
        return pooled

    def add_pooled(self, passage: Passage, pooled: float) -> None:
        """Take one passage in of which only the pooled projection is known."""
        self.n_passages += 1
        self._take(passage, pooled)

    def _take(self, passage: Passage, pooled: float) -> None:
        row = {"passage": passage.name, "emotion": passage.emotion, "text": passage.text}
        self._keep("passage", pooled, lambda: row)

    def _keep(self, by: str, value: float, row: Any) -> None:
        if not math.isfinite(value):
            return
        self._order += 1
        for side, sign in (("most", 1.0), ("least", -1.0)):
            heap = self._kept[by, side]
            if len(heap) < self._n:
                heapq.heappush(heap, (sign * value, -self._order, row()))
            elif sign * value > heap[0][0]:
                heapq.heapreplace(heap, (sign * value, -self._order, row()))

    @property
    def found(self) -> dict[str, Any]:
        """In plain JSON: counts, mean and standard deviation over tokens, rows by `by`.

        Rows of `token` and `passage` have `side` (`most`, `least`), `rank` and `projection`.
        """
        n = max(1, self.n_tokens)
        mean = self._sum / n
        rows: dict[str, list[dict[str, Any]]] = {"token": [], "passage": []}
        for (by, side), heap in self._kept.items():
            sign = 1.0 if side == "most" else -1.0
            ordered = sorted(heap, key=lambda kept: (-kept[0], -kept[1]))
            rows[by] += [
                {"side": side, "rank": rank, "projection": sign * value, **row}
                for rank, (value, _, row) in enumerate(ordered, 1)
            ]
        return {
            "n_passages": self.n_passages,
            "n_tokens": self.n_tokens,
            "mean": mean,
            "sd": math.sqrt(max(0.0, self._squares / n - mean**2)),
            "tokens": rows["token"],
            "passages": rows["passage"],
        }


def _token_row(passage: Passage, at: int) -> dict[str, Any]:
    start, stop = passage.content
    return {
        "token": passage.strings[at],
        "before": "".join(passage.strings[max(start, at - _AROUND) : at]),
        "after": "".join(passage.strings[at + 1 : min(stop, at + 1 + _AROUND)]),
        "passage": passage.name,
        "emotion": passage.emotion,
        "position": at,
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class Projected:
    """Projections of saved prompts on a direction.

    Attributes:
        found: As in `Extremes`; of pooled files without tokens.
        prompts: Pooled projection of every prompt, by emotion.
        tokens: Projection of every token of the texts, sorted; empty of pooled files.
    """

    found: dict[str, Any]
    prompts: dict[str, Float64[np.ndarray, " prompt"]]
    tokens: Float64[np.ndarray, " token"]

    def percentile(self, value: float) -> float:
        """Percent of all saved prompts whose projection is at most this one."""
        every = np.concatenate(list(self.prompts.values()))
        return float(100 * np.mean(every <= value))


def projected(
    units: Sequence[Unit], direction: SavedDirection, target: Target, *, n_top: int = N_TOP
) -> Projected:
    """Project every saved prompt and token on a direction.

    Raises:
        RequestError: A file does not hold the site.
    """
    extremes = Extremes(n_top, target.pooling)
    prompts: dict[str, np.ndarray] = {}
    tokens: list[np.ndarray] = []
    for unit in units:
        passages = _passages(unit)
        if unit.pooled:
            prompts[unit.emotion] = direction.project(pooled_at(unit, target))
            for passage, value in zip(passages, prompts[unit.emotion], strict=True):
                extremes.add_pooled(passage, float(value))
            continue
        own = []
        for passage, rows in zip(passages, samples_at(unit, target), strict=True):
            along = direction.project(rows)
            own.append(extremes.add(passage, along))
            tokens.append(along[slice(*passage.content)])
        prompts[unit.emotion] = np.array(own)
    every = np.concatenate(tokens) if tokens else np.empty(0)
    return Projected(found=extremes.found, prompts=prompts, tokens=np.sort(every))


def prompts_of(unit: Unit) -> Sequence[Mapping[str, Any]]:
    """The fields of every prompt; none of them where the file holds no prompts."""
    return unit.prompts or [{}] * unit.n_samples


def _passages(unit: Unit) -> list[Passage]:
    responses = unit.response_spans or [None] * unit.n_samples
    return [
        Passage(
            name=str(prompt.get("id", f"{unit.emotion} {at}")),
            emotion=unit.emotion,
            strings=unit.token_strings[at],
            content=unit.content[at],
            response=responses[at],
        )
        for at, prompt in enumerate(prompts_of(unit))
    ]
