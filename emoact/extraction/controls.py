"""Control extractions: derived prompts through the model of their unit, pooled as they come.

One data set of one unit is one file. A run that was stopped continues at the first missing file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from emoact.data.controls import count_one_word, lone_tokens, shuffle_words
from emoact.errors import EmoactError, FileRefusedError
from emoact.extraction.engine import Engine, EngineFor, Tokenised, counted, engine_of_files
from emoact.jobs.controls import ControlsRequest
from emoact.jobs.reporter import RunReporter
from emoact.models.alike import ModelRequest, check_bos
from emoact.positions import Span, pool_layers, vectors
from emoact.sites import SiteName, site
from emoact.store.controls import CONTEXTLESS, UnitControls
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named

Pooled = Float32[np.ndarray, "prompt _ _"]
Rows = Mapping[SiteName, Sequence[np.ndarray]]
"""Activations `[pos, ...]` of one derived prompt at every layer of each site."""
OnPart = Callable[[float], None]
"""Receives the share of a data set that is done, after each pass; may raise to stop."""

CONTROLS_SHARE = 0.7
"""Rough share of the time of an analysis that the extraction of its controls takes."""


def make_controls(
    root: ResultsRoot, request: ControlsRequest, *, reporter: RunReporter, engine_for: EngineFor
) -> float:
    """Extract and save what is missing; returns the share of the run that this took.

    The engine is not loaded where nothing is missing.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: A model or the disk failed, or a model no longer reads the prompts as before.
    """
    units = [
        UnitControls(root=root, unit=read_named(root, folder, name), settings=request.settings)
        for folder, name in request.units
    ]
    for unit in units:
        _note_one_word(unit, reporter)
    missing = {unit: _missing(unit, reporter) for unit in units}
    done, total = 0, sum(map(len, missing.values()))
    for model in request.models:
        own = [unit for unit in units if unit.unit.folder == model.folder]
        if not any(missing[unit] for unit in own):
            continue
        engine = _engine(model, own, reporter, engine_for)
        for unit, name in ((each, name) for each in own for name in missing[each]):
            on_part = _progress(unit, name, reporter, done=done, total=total)
            on_part(0.0)
            unit.write(name, compute_controls(unit, name, engine, on_part))
            done += 1
    return CONTROLS_SHARE if total else 0.0


def compute_controls(
    controls: UnitControls, name: str, engine: Engine, on_part: OnPart
) -> dict[SiteName, Pooled]:
    """The pooled vectors of one derived data set by site."""
    return (_contextless if name == CONTEXTLESS else _shuffled)(controls, name, engine, on_part)


def _contextless(
    controls: UnitControls, _name: str, engine: Engine, on_part: OnPart
) -> dict[SiteName, Pooled]:
    """Every position holds the vector of its token alone; then the positions are pooled."""
    unit, start = controls.unit, controls.unit.content[0][0]
    lone = lone_tokens(unit.tokens, unit.content)
    row_of = {int(ids[-1]): row for row, ids in enumerate(lone)}
    alone = _empty(controls, len(lone))
    before: dict[SiteName, np.ndarray] = {}

    def take(sample: int, rows: Rows) -> None:
        for name, layers in rows.items():
            by_layer = np.stack([vectors(each) for each in layers])
            alone[name][sample] = by_layer[:, start]
            # What stands before the content is the same before every token.
            before[name] = by_layer[:, :start]

    _run(engine, [_tokenised(ids, start) for ids in lone], controls, take, on_part)
    pooled = _empty(controls)
    for prompt, (ids, (first, stop)) in enumerate(zip(unit.tokens, unit.content, strict=True)):
        rows = [row_of[int(token)] for token in ids[first:stop]]
        for name, target in pooled.items():
            content = alone[name][rows].swapaxes(0, 1)
            whole = np.concatenate([before[name], content], axis=1)
            target[prompt] = _pool(controls, list(whole), (start, start + len(rows)))
    return pooled


def _shuffled(
    controls: UnitControls, name: str, engine: Engine, on_part: OnPart
) -> dict[SiteName, Pooled]:
    number = controls.settings.names.index(name) - 1
    texts = [
        shuffle_words(text, prompt_id=prompt_id, number=number, seed=controls.settings.seed)
        for prompt_id, text in zip(controls.ids, controls.texts, strict=True)
    ]
    pooled, prompts = _empty(controls), engine.tokenise(texts)

    def take(sample: int, rows: Rows) -> None:
        for name, layers in rows.items():
            pooled[name][sample] = _pool(controls, layers, prompts[sample].content)

    _run(engine, prompts, controls, take, on_part)
    return pooled


def _run(
    engine: Engine,
    prompts: Sequence[Tokenised],
    controls: UnitControls,
    take: Callable[[int, Rows], None],
    on_part: OnPart,
) -> None:
    """Give each prompt to `take` once all its sites and layers are there, and keep it no longer."""
    layers = {
        name: site(name).layer_range(controls.unit.n_layers) for name in controls.settings.sites
    }
    n_arrays = sum(map(len, layers.values()))
    gathered: dict[int, dict[tuple[SiteName, int], np.ndarray]] = {}

    def put(name: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
        own = gathered.setdefault(sample, {})
        # Copied, because a view would keep the whole pass in memory.
        own[name, layer] = rows.copy()
        if len(own) == n_arrays:
            del gathered[sample]
            take(sample, {name: [own[name, at] for at in layers[name]] for name in layers})

    engine.forward(prompts, put=put, on_pass=counted(lambda done: on_part(done / len(prompts))))


def _pool(
    controls: UnitControls, layers: Sequence[np.ndarray], content: Span
) -> Float32[np.ndarray, "layer d"]:
    one_prompt = [[rows] for rows in layers]
    pooled = pool_layers(one_prompt, pooling=controls.settings.pooling, content=[content])
    first: np.ndarray = pooled[0]
    return first


def _empty(controls: UnitControls, n: int | None = None) -> dict[SiteName, Pooled]:
    return {
        name: np.empty((n or n_prompts, *rest), dtype=np.float32)
        for name, (n_prompts, *rest) in controls.shapes.items()
    }


def _tokenised(ids: np.ndarray, content_start: int) -> Tokenised:
    return Tokenised(
        ids=ids,
        strings=tuple(str(token) for token in ids),
        content_start=content_start,
        full_length=len(ids),
    )


def _missing(controls: UnitControls, reporter: RunReporter) -> list[str]:
    """Data sets without a file, or with a damaged one, which is made anew."""
    absent = set(controls.absent())
    for name in controls.settings.names:
        reporter.check_cancelled()
        if name not in absent:
            try:
                controls.read(name)
            except FileRefusedError as error:
                reporter.note(f"{error.message}; it is extracted again")
                absent.add(name)
    return [name for name in controls.settings.names if name in absent]


def _note_one_word(controls: UnitControls, reporter: RunReporter) -> None:
    count = count_one_word(controls.texts)
    if count:
        reporter.note(
            f"{count} of {len(controls.texts)} prompts of {controls.unit.folder} "
            f"{controls.unit.emotion} are one word, which is its own shuffle"
        )


def _progress(
    controls: UnitControls, name: str, reporter: RunReporter, *, done: int, total: int
) -> OnPart:
    def on_part(part: float) -> None:
        reporter.step(
            "extract",
            model=controls.unit.folder,
            detail=f"control extractions, {controls.unit.emotion}: {name}",
            done=done,
            total=total,
            share=CONTROLS_SHARE * (done + part) / total,
        )

    return on_part


def _engine(
    model: ModelRequest,
    units: Sequence[UnitControls],
    reporter: RunReporter,
    engine_for: EngineFor,
) -> Engine:
    """The loaded model, which must read the prompts as it did when the units were extracted."""
    engine = engine_of_files(model, units[0].texts, reporter, engine_for)
    for controls in units:
        check_bos(engine.facts.bos, controls.unit.configuration or {})
        found = engine.tokenise(controls.texts)
        for prompt_id, prompt, saved in zip(
            controls.ids, found, controls.unit.prompt_tokens, strict=True
        ):
            if not np.array_equal(prompt.ids, saved):
                raise EmoactError(
                    f"{model.model} reads prompt {prompt_id} of {controls.unit.emotion} as other "
                    "tokens than those that were saved",
                    remedy="Extract the unit again with the model that is installed now.",
                )
    return engine
