"""Steering of held-out sentences, in the process that has the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import numpy as np

from emoact.causes.contributions import Target
from emoact.causes.direction import pooled_at
from emoact.causes.loaded import Loaded, design_of_units, saved_texts, scenarios_of
from emoact.causes.passes import Text, UpperLayers
from emoact.causes.prepared import multiplied
from emoact.causes.saved import cause_id, read_cause, save_cause
from emoact.causes.settings import SteerSettings
from emoact.causes.steer import BAND, N_SPLITS, STEER, n_evaluations
from emoact.causes.steering import Directions, Split, directions_of, split_scenarios
from emoact.causes.unembedding import Unembedding
from emoact.causes.verdict import Cell, effects_of
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.stats.design import contrast_against
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.null.uncertainty import bootstrap_counts, small_sample_interval

PART = "steer_part"
"""Kind of the saved result of one emotion at one layer, which a resumed run uses again."""

_N_BOOTSTRAP = 1000
Key = TypeVar("Key")
"""Name of some directions."""


def found_effects(asked: Loaded) -> dict[str, Any]:
    """Effects of the directions that are asked for.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The disk failed.
        RequestError: There is no direction, or no control.
    """
    return _Steering(asked).found()


class _Steering:
    """The parts of one run, each on disk as soon as it is done."""

    def __init__(self, asked: Loaded) -> None:
        units, settings = asked.units, asked.request.settings
        self._root, self._units, self._request = asked.root, units, asked.request
        self._settings: SteerSettings = settings
        self._reporter, self._engine, self._direct = asked.reporter, asked.engine, asked.direct
        self._design, names = design_of_units(units), scenarios_of(units)

        def split(seed: int) -> Split:
            return split_scenarios(self._design, names, self._design.labels, settings, seed=seed)

        self._split, self._other_splits = split(settings.seed), []
        for seed in range(settings.seed + 1, settings.seed + 1 + N_SPLITS):
            # Of few scenarios a split may lack a class.
            with suppress(RequestError):
                self._other_splits.append(split(seed))
        self._every = saved_texts(units)
        scored = np.flatnonzero(self._split.test)
        self._texts = [self._every[at] for at in scored]
        self._class_of = [self._design.labels[self._design.label_of[at]] for at in scored]
        self._part_size = n_evaluations(self._settings, len(self._design.labels))
        costs = {layer: multiplied(units[0], layer) for layer in self._settings.layers}
        # Lower layers take longer, and progress is that of time.
        mean = sum(costs.values()) / len(costs)
        self._weights = {layer: each / mean for layer, each in costs.items()}
        self._prompted: dict[str, tuple[float, float]] = {}
        scored_design = self._design.take(self._split.test)
        self._scenario_of = scored_design.scenario_of
        self._drawn = bootstrap_counts(scored_design, _N_BOOTSTRAP, seed=settings.seed)
        self._weight = 1.0
        self._planned = float(len(self._settings.emotions) * len(costs) * self._part_size)
        self._done, self._detail = 0.0, ""
        self._unembedding = (
            Unembedding(asked.engine.bridge.original_model) if self._direct else None
        )

    def found(self) -> dict[str, Any]:
        """The result in plain JSON."""
        settings = self._settings
        cells: list[Cell] = []
        for layer in settings.layers:
            upper = self._upper(layer)
            for emotion in settings.emotions:
                part = self._part(emotion, layer, "effects", self._effects, upper)
                cells += [_cell(emotion, layer, row) for row in part]
        rows = self._rows(cells)
        for at, row in enumerate(rows):
            if row["verdict"] == "causal" and len(self._design.labels) > 2:
                cell = cells[at]
                upper = self._upper(cell.layer)
                part = self._part(cell.emotion, cell.layer, "specificity", self._specificity, upper)
                drawn = {each["dose"]: each["drawn"] for each in part}
                cells[at] = dataclasses.replace(cell, exchanged=_known(drawn[cell.dose]))
        return {
            "settings": encode(settings),
            "train_scenarios": list(self._split.train_scenarios),
            "test_scenarios": list(self._split.test_scenarios),
            "n_tokens": {label: int(self._lengths(label).sum()) for label in self._design.labels},
            "prefixes": {emotion: settings.prefix_of(emotion) for emotion in settings.emotions},
            "neutral_prefixes": list(settings.neutral_prefixes),
            "n_splits": len(self._other_splits),
            "effects": self._rows(cells),
        }

    def _rows(self, cells: Sequence[Cell]) -> list[dict[str, Any]]:
        settings = self._settings
        return effects_of(
            cells,
            neutral=settings.neutral,
            control_doses=settings.control_doses,
            alpha=settings.alpha,
        )

    def _upper(self, layer: int, texts: Sequence[Text] | None = None) -> UpperLayers:
        return UpperLayers(
            self._engine.bridge,
            self._texts if texts is None else texts,
            layer=layer,
            direct=self._direct,
            unembedding=self._unembedding,
        )

    def _part(
        self,
        emotion: str,
        layer: int,
        what: str,
        compute: Callable[[str, np.ndarray, UpperLayers], list[dict[str, Any]]],
        upper: UpperLayers,
    ) -> list[dict[str, Any]]:
        """One part, from the disk where a run before has computed it."""
        own = (emotion, self._settings.neutral)
        said = {key: said for key, said in self._settings.prefixes.items() if key in own}
        settings = dataclasses.replace(
            self._settings, emotions=(emotion,), layers=(layer,), prefixes=said
        )
        asked = dataclasses.replace(self._request, settings=settings)
        basis = {**STEER.basis(asked, self._units), "part": what}
        saved = read_cause(self._root, PART, cause_id(PART, basis))
        self._detail = f"{emotion}, layer {layer}: {what}"
        self._weight = self._weights[layer]
        if saved is not None and what == "effects":
            self._done += self._weight * self._part_size
        self._tell()
        if saved is None:
            place = Target(layer=layer, pooling=self._settings.pooling)
            pooled = np.concatenate([pooled_at(unit, place) for unit in self._units])
            rows = compute(emotion, pooled, upper)
            saved = save_cause(self._root, PART, basis, {"rows": rows})
        return [dict(row) for row in saved.found["rows"]]

    def _directions(self, emotion: str, pooled: np.ndarray) -> Directions:
        train = self._split.train
        return directions_of(pooled[train], self._design.take(train), emotion, self._settings)

    def _effects(
        self, emotion: str, pooled: np.ndarray, upper: UpperLayers
    ) -> list[dict[str, Any]]:
        directions = self._directions(emotion, pooled)
        settings, neutral = self._settings, self._settings.neutral
        doses = np.array(settings.doses)
        own = {"own": doses[:, None] * directions.own}
        controls = {
            (name, dose): dose * getattr(directions, name)
            for dose in settings.control_doses
            for name in ("random", "shuffled")
        }
        few = {
            ("random", dose): dose * directions.random[:BAND]
            for dose in settings.doses
            if dose not in settings.control_doses
        }
        others = {name: doses[:, None] * each for name, each in directions.others.items()}
        sums = self._changes(upper, emotion, {**own, **controls, **few, **others})
        sums_neutral = self._changes(upper, neutral, {**own, **controls})
        intervals = self._intervals(emotion, sums["own"], sums_neutral["own"])
        of_emotion = {key: self._mean(emotion, each) for key, each in sums.items()}
        of_neutral = {key: self._mean(neutral, each) for key, each in sums_neutral.items()}
        by_class = {emotion: of_emotion["own"], neutral: of_neutral["own"]}
        for label in self._design.labels:
            if label not in by_class:
                by_class[label] = self._mean(label, self._changes(upper, label, own)["own"])
        other_directions = np.array([of_emotion[name] for name in others])
        if emotion not in self._prompted:
            self._prompted[emotion] = self._behind_sentences(emotion)
        prompt_only, prompt_neutral = self._prompted[emotion]
        splits = self._of_other_splits(emotion, pooled, upper.layer)

        def drawn(key: tuple[str, float]) -> list[list[float]]:
            if key not in of_emotion:
                return []
            first = of_emotion[key]
            second = of_neutral.get(key, np.full(len(first), np.nan))
            both: list[list[float]] = np.stack([first, second], axis=1).tolist()
            return both

        return [
            {
                "dose": dose,
                "by_class": {label: float(by_class[label][at]) for label in self._design.labels},
                "other_directions": float(other_directions[:, at].mean())
                if len(other_directions)
                else float("nan"),
                "random": drawn(("random", dose)),
                "shuffled": drawn(("shuffled", dose)),
                "prompt_only": prompt_only,
                "prompt_neutral": prompt_neutral,
                "intervals": {name: ends[:, at].tolist() for name, ends in intervals.items()},
                "splits": splits.get(dose, []),
            }
            for at, dose in enumerate(settings.doses)
        ]

    def _of_other_splits(
        self, emotion: str, pooled: np.ndarray, layer: int
    ) -> dict[float, list[float]]:
        """`own` under other splits of the scenarios, at every control dose."""
        design, doses = self._design, self._settings.control_doses
        contrast = contrast_against(design, emotion, self._settings.neutral)
        found: dict[float, list[float]] = {dose: [] for dose in doses}
        for split in self._other_splits:
            own = contrast_direction(pooled[split.train], design.take(split.train), contrast)
            chosen = np.flatnonzero(split.test & (design.label_of == design.index(emotion)))
            texts = [self._every[at] for at in chosen]
            vectors = np.outer([0.0, *doses], own)
            said = self._upper(layer, texts).log_probs(
                vectors, range(len(texts)), partial(self._passed, of=len(texts))
            )
            means = np.concatenate(said, axis=1).mean(axis=1)
            for dose, change in zip(doses, means[1:] - means[0], strict=True):
                found[dose].append(float(change))
        return found

    def _passed(self, n_texts: int, *, of: int) -> None:
        self._done += self._weight * n_texts / of
        self._tell()

    def _specificity(
        self, emotion: str, pooled: np.ndarray, upper: UpperLayers
    ) -> list[dict[str, Any]]:
        """The differences of specificity under exchanged emotions, at every control dose."""
        doses = self._settings.control_doses
        vectors = {
            name: np.concatenate([dose * drawn for dose in doses])
            for name, drawn in self._directions(emotion, pooled).exchanged.items()
        }
        # All directions on sentences of the emotion; its own on those of the others.
        own = self._changes(upper, emotion, vectors)
        directed = {name: self._mean(emotion, sums) for name, sums in own.items()}
        first = directed.pop(emotion)
        said = [
            self._mean(label, self._changes(upper, label, {"own": vectors[emotion]})["own"])
            for label in directed
        ]
        others = np.stack([np.mean(said, axis=0), np.mean(list(directed.values()), axis=0)], axis=1)
        drawn = (first[:, None] - others).reshape(len(doses), -1, 2)
        return [
            {"dose": dose, "drawn": rows} for dose, rows in zip(doses, drawn.tolist(), strict=True)
        ]

    def _intervals(
        self, emotion: str, own: np.ndarray, neutral: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Ends of `own` and `delta` at every dose, over test scenarios drawn with replacement."""
        means, n_scenarios = [], self._drawn.shape[1]
        for label, sums in ((emotion, own), (self._settings.neutral, neutral)):
            often = self._drawn[:, self._scenario_of[self._chosen(label)]]
            with np.errstate(invalid="ignore"):
                means.append((often @ sums.T) / (often @ self._lengths(label))[:, None])
        drawn = {"own": means[0], "delta": means[0] - means[1]}
        return {name: small_sample_interval(each, n_scenarios) for name, each in drawn.items()}

    def _chosen(self, label: str) -> list[int]:
        return [at for at, own in enumerate(self._class_of) if own == label]

    def _lengths(self, label: str) -> np.ndarray:
        return np.array([self._texts[at].n_scored for at in self._chosen(label)])

    def _mean(self, label: str, sums: np.ndarray) -> np.ndarray:
        return np.asarray(sums.sum(axis=1) / self._lengths(label).sum())

    def _changes(
        self, upper: UpperLayers, label: str, vectors: Mapping[Key, np.ndarray]
    ) -> dict[Key, np.ndarray]:
        """Change of the log-probability of every text of a class, by name, vector and text."""
        chosen = self._chosen(label)
        none = np.zeros((1, self._engine.facts.d_model))

        together = np.concatenate([none, *vectors.values()])
        tokens = upper.log_probs(together, chosen, partial(self._passed, of=len(chosen)))
        sums = np.stack([each.sum(axis=1) for each in tokens], axis=1)
        ends = np.cumsum([len(each) for each in vectors.values()])
        return dict(zip(vectors, np.split(sums[1:] - sums[0], ends[:-1]), strict=True))

    def _tell(self) -> None:
        """Report the progress; directions of exchanged emotions come on top of what was planned."""
        self._planned = max(self._planned, self._done)
        self._reporter.step(
            "analyze",
            model="",
            detail=self._detail,
            done=round(self._done),
            total=round(self._planned),
            share=0.99 * self._done / self._planned,
        )

    def _behind_sentences(self, emotion: str) -> tuple[float, float]:
        """Change of the emotion's sentences behind one that names it, and behind neutral ones."""
        own = [self._texts[at] for at in self._chosen(emotion)]
        none = np.zeros((1, self._engine.facts.d_model))

        def said(texts: Sequence[Text]) -> float:
            found = self._upper(0, texts).log_probs(
                none, range(len(texts)), lambda _: self._reporter.check_cancelled()
            )
            return float(np.concatenate(found, axis=1).mean())

        asked = self._settings.prefix_of(emotion), *self._settings.neutral_prefixes
        behind = [self._behind(sentence, own) for sentence in asked]
        before = said(own)
        first, *rest = (said(texts) - before if texts else float("nan") for texts in behind)
        return first, float(np.mean(rest))

    def _behind(self, sentence: str, own: Sequence[Text]) -> list[Text]:
        """Texts behind a sentence; none where one of them is longer than the context."""
        (prefix,) = self._engine.tokenise([sentence + "\n"])
        behind = []
        for text in own:
            start = text.changed_from
            added = prefix.ids[prefix.content_start :]
            ids = np.concatenate([text.ids[:start], added, text.ids[start:]])
            first, stop = max(text.scored[0], 1), text.scored[1]
            scored = (first + len(added), stop + len(added))
            behind.append(Text(ids=ids, changed_from=start, scored=scored))
        return behind if max(len(text.ids) for text in behind) <= self._engine.context else []


def _cell(emotion: str, layer: int, row: Mapping[str, Any]) -> Cell:
    known: dict[str, Any] = {name: _known(each) for name, each in row.items()}
    known |= {name: known[name].reshape(-1, 2) for name in ("random", "shuffled")}
    known["intervals"] = {name: tuple(ends) for name, ends in known["intervals"].items()}
    return Cell(emotion=emotion, layer=layer, exchanged=np.empty((0, 2)), **known)


def _known(value: Any) -> Any:
    """A saved value: None is NaN, and a list is an array."""
    if isinstance(value, Mapping):
        return {name: _known(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return np.array(value, dtype=np.float64)
    return float("nan") if value is None else float(value)
