"""Steering of held-out sentences, in the process that has the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from emoact.causes.heads_run import design_of_units, saved_model, saved_prompts
from emoact.causes.passes import Text, UpperLayers
from emoact.causes.saved import cause_id, read_cause, save_cause
from emoact.causes.steer import BAND, KIND, SITE, SteerWork, n_evaluations, rests_on
from emoact.causes.steering import Directions, SteerSettings, directions_of, split_scenarios
from emoact.causes.verdict import Cell, effects_of
from emoact.decode import decode, encode
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import EngineFor
from emoact.jobs.causes import CausesRequest
from emoact.jobs.reporter import RunReporter
from emoact.positions import pool_sample
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named
from emoact.store.unit import Unit

PART = "steer_part"
"""Kind of the saved result of one emotion at one layer, which a resumed run uses again."""

_SAID: Mapping[str, str] = {
    "gratitude": "I am so grateful.",
    "anger": "I am so angry.",
    "apology": "I am so sorry.",
}
_CHUNK = 10
"""Directions between two reports of progress."""


def run_steer(
    root: ResultsRoot, request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> None:
    """Compute and save what is asked for, unless it is on disk.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model is not that of the files, or the disk failed.
        RequestError: There is no direction, or no control.
    """
    work = decode(SteerWork, request.asked, where="the request for steering")
    units = [read_named(root, work.folder, name) for name in work.units]
    basis = rests_on(units, work.settings)
    saved = read_cause(root, KIND, cause_id(KIND, basis))
    existing = saved is not None
    if saved is None:
        engine = saved_model(units, request, reporter, engine_for)
        found = _Steering(root, units, work, reporter, engine).found()
        reporter.step("write", model="", share=1.0)
        saved = save_cause(root, KIND, basis, found)
    reporter.made(path=str(saved.path), size=saved.path.stat().st_size, existing=existing)


class _Steering:
    """The parts of one run, each on disk as soon as it is done."""

    def __init__(
        self,
        root: ResultsRoot,
        units: Sequence[Unit],
        work: SteerWork,
        reporter: RunReporter,
        engine: BridgeEngine,
    ) -> None:
        self._root, self._units, self._work = root, units, work
        self._settings, self._reporter, self._engine = work.settings, reporter, engine
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
        n_parts = len(self._settings.emotions) * len(self._settings.layers)
        self._planned = n_parts * n_evaluations(self._settings, len(self._design.labels))
        self._done, self._detail = 0, ""

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
            "model": self._work.folder,
            "settings": encode(settings),
            "train_scenarios": list(self._split.train_scenarios),
            "test_scenarios": list(self._split.test_scenarios),
            "n_tokens": n_tokens,
            "prefixes": {emotion: prefix_of(emotion) for emotion in settings.emotions},
            "random_weights": self._engine.facts.random_weights,
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

    def _upper(self, layer: int) -> UpperLayers:
        direct = bool(self._engine.facts.plan.get("direct", False))
        return UpperLayers(self._engine.bridge, self._texts, layer=layer, direct=direct)

    def _part(
        self,
        emotion: str,
        layer: int,
        what: str,
        compute: Callable[[str, Directions, UpperLayers], list[dict[str, Any]]],
        upper: UpperLayers,
    ) -> list[dict[str, Any]]:
        """One part, from the disk where a run before has computed it."""
        settings = dataclasses.replace(self._settings, emotions=(emotion,), layers=(layer,))
        basis = {**rests_on(self._units, settings), "part": what}
        saved = read_cause(self._root, PART, cause_id(PART, basis))
        self._detail = f"{emotion}, layer {layer}: {what}"
        if saved is not None and what == "effects":
            self._done += n_evaluations(settings, len(self._design.labels))
        self._tell()
        if saved is None:
            pooled = _pooled(self._units, layer, self._settings)[self._split.train]
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
        whole = self._means(upper, np.zeros((1, len(directions.own))), self._design.labels)
        own = self._means(upper, doses[:, None] * directions.own, self._design.labels)
        other = [
            self._means(upper, doses[:, None] * each, (emotion,))[emotion] - whole[emotion]
            for each in directions.others.values()
        ]
        prompt_only = self._prompt_only(emotion)
        rows = []
        for at, dose in enumerate(settings.doses):
            tested = dose in settings.control_doses
            labels = (emotion, neutral) if tested else (emotion,)
            n_random = settings.n_random if tested else BAND

            def drawn(
                vectors: np.ndarray, dose: float = dose, labels: tuple[str, ...] = labels
            ) -> list[list[float]]:
                means = self._means(upper, dose * vectors, labels)
                changes = [means[label] - whole[label] for label in labels]
                if len(changes) == 1:
                    changes.append(np.full(len(vectors), np.nan))
                both: list[list[float]] = np.stack(changes, axis=1).tolist()
                return both

            rows.append(
                {
                    "dose": dose,
                    "by_class": {
                        label: float(own[label][at] - whole[label][0])
                        for label in self._design.labels
                    },
                    "other_directions": float(np.mean([each[at] for each in other]))
                    if other
                    else float("nan"),
                    "random": drawn(directions.random[:n_random]),
                    "shuffled": drawn(directions.shuffled) if tested else [],
                    "prompt_only": prompt_only,
                }
            )
        return rows

    def _specificity(
        self, emotion: str, directions: Directions, upper: UpperLayers
    ) -> list[dict[str, Any]]:
        """Own minus others under directions of exchanged emotions, at every control dose."""
        neutral = self._settings.neutral
        labels = tuple(label for label in self._design.labels if label != neutral)
        whole = self._means(upper, np.zeros((1, len(directions.own))), labels)
        rows = []
        for dose in self._settings.control_doses:
            means = self._means(upper, dose * directions.other_emotion, labels)
            change = {label: means[label] - whole[label] for label in labels}
            others = [change[label] for label in labels if label != emotion]
            rows.append({"dose": dose, "drawn": (change[emotion] - np.mean(others, 0)).tolist()})
        return rows

    def _means(
        self, upper: UpperLayers, vectors: np.ndarray, labels: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Mean log-probability over all scored tokens of each class, one for each vector."""
        chosen = [at for at, label in enumerate(self._class_of) if label in labels]
        found = {label: np.empty(len(vectors)) for label in labels}
        for start in range(0, len(vectors), _CHUNK):
            part = vectors[start : start + _CHUNK]
            tokens = upper.log_probs(part, chosen, self._reporter.check_cancelled)
            self._done += len(part) * len(labels)
            self._tell()
            for label in labels:
                own = [
                    each
                    for at, each in zip(chosen, tokens, strict=True)
                    if self._class_of[at] == label
                ]
                mean = np.concatenate(own, axis=1).mean(axis=1)
                found[label][start : start + len(part)] = mean
        return found

    def _tell(self) -> None:
        """Report the progress; directions of exchanged emotions come on top of what was planned."""
        self._planned = max(self._planned, self._done)
        self._reporter.step(
            "analyze",
            model="",
            detail=self._detail,
            done=self._done,
            total=self._planned,
            share=0.99 * self._done / self._planned,
        )

    def _prompt_only(self, emotion: str) -> float:
        """Change of the emotion's sentences behind a sentence that names it; NaN if too long."""
        (prefix,) = self._engine.tokenise([prefix_of(emotion) + "\n"])
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
        direct = bool(self._engine.facts.plan.get("direct", False))
        means = []
        for texts in (behind, own):
            upper = UpperLayers(self._engine.bridge, texts, layer=0, direct=direct)
            found = upper.log_probs(nothing, range(len(texts)), self._reporter.check_cancelled)
            means.append(float(np.concatenate(found, axis=1).mean()))
        return means[0] - means[1]


def prefix_of(emotion: str) -> str:
    """The sentence that a prompt alone would use to name an emotion."""
    return _SAID.get(emotion, f"I feel {emotion}.")


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


def scenarios_of(units: Sequence[Unit]) -> list[str]:
    """Name of every prompt's scenario; of the prompt where it has none."""
    prompts = [
        (unit.emotion, at, prompt)
        for unit in units
        for at, prompt in enumerate(unit.prompts or [{}] * unit.n_samples)
    ]
    return [
        str(prompt.get("scenario_id") or prompt.get("id") or f"{emotion} {at}")
        for emotion, at, prompt in prompts
    ]


def _pooled(units: Sequence[Unit], layer: int, settings: SteerSettings) -> np.ndarray:
    """Pooled input of a layer, prompt by prompt."""
    return np.stack(
        [
            pool_sample(
                rows, pooling=settings.pooling, content=prompt.content, response=prompt.response
            )
            for unit in units
            for rows, prompt in zip(unit.site(SITE)[layer], saved_prompts(unit), strict=True)
        ]
    )
