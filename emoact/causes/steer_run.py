"""Steering of held-out sentences, in the process that has the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from emoact.causes.contributions import Target
from emoact.causes.direction import pooled_at
from emoact.causes.loaded import Loaded, design_of_units, saved_prompts, scenarios_of
from emoact.causes.passes import Text, UpperLayers
from emoact.causes.prepared import multiplied
from emoact.causes.saved import cause_id, read_cause, save_cause
from emoact.causes.steer import BAND, n_evaluations, rests_on
from emoact.causes.steering import Directions, SteerSettings, directions_of, split_scenarios
from emoact.causes.unembedding import Unembedding
from emoact.causes.verdict import Cell, effects_of
from emoact.decode import encode

PART = "steer_part"
"""Kind of the saved result of one emotion at one layer, which a resumed run uses again."""

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
        units, work = asked.units, asked.work
        self._root, self._units = asked.root, units
        self._settings: SteerSettings = work.settings
        self._reporter, self._engine, self._direct = asked.reporter, asked.engine, asked.direct
        self._design = design_of_units(units)
        self._split = split_scenarios(
            self._design,
            scenarios_of(units),
            labels=(*work.settings.emotions, work.settings.neutral),
            train_share=work.settings.train_share,
            n_sentences=work.settings.n_sentences,
            seed=work.settings.seed,
        )
        prompts = [prompt for unit in units for prompt in saved_prompts(unit)]
        scored = np.flatnonzero(self._split.test)
        self._texts = [
            Text(
                # What follows a text, a template or a response, changes nothing before it.
                ids=prompts[at].ids[: prompts[at].content[1]],
                changed_from=prompts[at].content_start,
                scored=prompts[at].content,
            )
            for at in scored
        ]
        self._class_of = [self._design.labels[self._design.label_of[at]] for at in scored]
        self._part_size = n_evaluations(self._settings, len(self._design.labels))
        costs = {layer: multiplied(units[0], layer) for layer in self._settings.layers}
        # Lower layers take longer, and progress is that of time.
        mean = sum(costs.values()) / len(costs)
        self._weights = {layer: each / mean for layer, each in costs.items()}
        self._prompted: dict[str, float] = {}
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
                cells[at] = dataclasses.replace(cell, other_emotion=_array(drawn[cell.dose]))
        n_tokens = {
            label: sum(
                text.n_scored
                for text, own in zip(self._texts, self._class_of, strict=True)
                if own == label
            )
            for label in self._design.labels
        }
        return {
            "settings": encode(settings),
            "train_scenarios": list(self._split.train_scenarios),
            "test_scenarios": list(self._split.test_scenarios),
            "n_tokens": n_tokens,
            "prefixes": {emotion: settings.prefix_of(emotion) for emotion in settings.emotions},
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
        compute: Callable[[str, Directions, UpperLayers], list[dict[str, Any]]],
        upper: UpperLayers,
    ) -> list[dict[str, Any]]:
        """One part, from the disk where a run before has computed it."""
        said = {key: said for key, said in self._settings.prefixes.items() if key == emotion}
        settings = dataclasses.replace(
            self._settings, emotions=(emotion,), layers=(layer,), prefixes=said
        )
        basis = {**rests_on(self._units, settings), "part": what}
        saved = read_cause(self._root, PART, cause_id(PART, basis))
        self._detail = f"{emotion}, layer {layer}: {what}"
        self._weight = self._weights[layer]
        if saved is not None and what == "effects":
            self._done += self._weight * self._part_size
        self._tell()
        if saved is None:
            place = Target(layer=layer, pooling=self._settings.pooling)
            pooled = np.concatenate([pooled_at(unit, place) for unit in self._units])
            pooled = pooled[self._split.train]
            train = self._design.take(self._split.train)
            directions = directions_of(pooled, train, emotion, self._settings)
            rows = compute(emotion, directions, upper)
            saved = save_cause(self._root, PART, basis, {"rows": rows})
        return [dict(row) for row in saved.found["rows"]]

    def _effects(
        self, emotion: str, directions: Directions, upper: UpperLayers
    ) -> list[dict[str, Any]]:
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
        of_emotion = self._changes(upper, emotion, {**own, **controls, **few, **others})
        of_neutral = self._changes(upper, neutral, {**own, **controls})
        by_class = {emotion: of_emotion["own"], neutral: of_neutral["own"]}
        for label in self._design.labels:
            if label not in by_class:
                by_class[label] = self._changes(upper, label, own)["own"]
        other_directions = np.array([of_emotion[name] for name in others])
        if emotion not in self._prompted:
            self._prompted[emotion] = self._prompt_only(emotion)
        prompt_only = self._prompted[emotion]

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
            }
            for at, dose in enumerate(settings.doses)
        ]

    def _specificity(
        self, emotion: str, directions: Directions, upper: UpperLayers
    ) -> list[dict[str, Any]]:
        """Own minus others under directions of exchanged emotions, at every control dose."""
        neutral = self._settings.neutral
        vectors = {dose: dose * directions.other_emotion for dose in self._settings.control_doses}
        changes = {
            label: self._changes(upper, label, vectors)
            for label in self._design.labels
            if label != neutral
        }
        rows = []
        for dose in vectors:
            others = [change[dose] for label, change in changes.items() if label != emotion]
            drawn = changes[emotion][dose] - np.mean(others, axis=0)
            rows.append({"dose": dose, "drawn": drawn.tolist()})
        return rows

    def _changes(
        self, upper: UpperLayers, label: str, vectors: Mapping[Key, np.ndarray]
    ) -> dict[Key, np.ndarray]:
        """Change of the mean log-probability over all tokens of a class, by name and vector."""
        chosen = [at for at, own in enumerate(self._class_of) if own == label]
        none = np.zeros((1, self._engine.facts.d_model))

        def on_pass(n_texts: int) -> None:
            self._done += self._weight * n_texts / len(chosen)
            self._tell()

        together = np.concatenate([none, *vectors.values()])
        tokens = upper.log_probs(together, chosen, on_pass)
        means = np.concatenate(tokens, axis=1).mean(axis=1)
        ends = np.cumsum([len(each) for each in vectors.values()])
        return dict(zip(vectors, np.split(means[1:] - means[0], ends[:-1]), strict=True))

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

    def _prompt_only(self, emotion: str) -> float:
        """Change of the emotion's sentences behind a sentence that names it; NaN if too long."""
        (prefix,) = self._engine.tokenise([self._settings.prefix_of(emotion) + "\n"])
        own = [t for t, label in zip(self._texts, self._class_of, strict=True) if label == emotion]
        behind = []
        for text in own:
            start = text.changed_from
            added = prefix.ids[prefix.content_start :]
            ids = np.concatenate([text.ids[:start], added, text.ids[start:]])
            first, stop = max(text.scored[0], 1), text.scored[1]
            behind.append(
                Text(
                    ids=ids,
                    changed_from=start,
                    scored=(first + len(added), stop + len(added)),
                )
            )
        if max(len(text.ids) for text in behind) > self._engine.context:
            return float("nan")
        nothing = np.zeros((1, self._engine.facts.d_model))
        means = []
        for texts in (behind, own):
            found = self._upper(0, texts).log_probs(
                nothing, range(len(texts)), lambda _: self._reporter.check_cancelled()
            )
            means.append(float(np.concatenate(found, axis=1).mean()))
        return means[0] - means[1]


def _cell(emotion: str, layer: int, row: Mapping[str, Any]) -> Cell:
    return Cell(
        emotion=emotion,
        layer=layer,
        dose=float(row["dose"]),
        by_class={label: _number(value) for label, value in row["by_class"].items()},
        other_directions=_number(row["other_directions"]),
        random=_array(row["random"]).reshape(-1, 2),
        shuffled=_array(row["shuffled"]).reshape(-1, 2),
        other_emotion=np.empty(0),
        prompt_only=_number(row["prompt_only"]),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _array(rows: Sequence[Any]) -> np.ndarray:
    """An array in which None is NaN."""
    return np.array(rows, dtype=np.float64)
