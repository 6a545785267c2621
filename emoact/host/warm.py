"""The one loaded model of a host, the engine that was checked on it last, and what it answers."""

from __future__ import annotations

import base64
import gc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoact import sites as known
from emoact.data.rows import shown
from emoact.errors import EmoactError, RequestError
from emoact.extraction.engine import (
    Engine,
    EngineFor,
    EngineRequest,
    Tokenised,
    check_prompt,
)
from emoact.models.alike import Loading, ModelRequest, installed_source
from emoact.models.source import ModelSource, OnStep, silent
from emoact.positions import pool_sample, position_norms
from emoact.schema import ExtractionOptions, Generation
from emoact.sites import SiteName

_PATTERN_BYTES = 64_000_000
"""Largest patterns of a typed sentence, as float16."""

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]
"""Words and arrays of an answer."""


class WarmModel:
    """An `EngineFor` that loads a model only where it is not loaded already."""

    def __init__(
        self,
        engine_for: EngineFor,
        *,
        before_loading: Callable[[], None],
        expected: Loading | None = None,
    ) -> None:
        self._engine_for = engine_for
        self._before_loading = before_loading
        self._checked: tuple[Engine, EngineRequest] | None = None
        self.loading = expected

    def __call__(self, request: EngineRequest, on_step: OnStep) -> Engine:
        """The engine that a new process would make, from the model in memory where it fits."""
        wanted = request.loading
        try:
            if (
                self._checked is None
                or wanted != self.loading
                or not self.threads_fit(request.frozen)
            ):
                self.drop()
                self.loading = wanted
                self._before_loading()
                engine = self._engine_for(request, on_step)
            else:
                on_step("self_check", detail="the model was warm")
                print(f"{request.source.name} was warm: it is used as it was loaded before")
                engine, before = self._checked
                if _same_plan(engine, before, request):
                    return engine
                engine = engine.again(request, on_step)
        except BaseException:
            # An interruption may have left the model half changed.
            self.drop()
            raise
        self._checked = engine, request
        return engine

    def threads_fit(self, frozen: Mapping[str, Any] | None) -> bool:
        """True where a frozen plan computes with as many threads as the engine in memory."""
        if self._checked is None or frozen is None:
            return True
        return frozen.get("threads") == self._checked[0].facts.plan.get("threads")

    @property
    def is_loaded(self) -> bool:
        """True where a model is in memory and can be used."""
        return self._checked is not None

    def engine_like(self, source: ModelSource, options: ExtractionOptions) -> Engine:
        """An engine for a few texts whose bits need not be those of a certain plan."""
        request = EngineRequest(source=source, options=options)
        if self._checked is not None and request.loading == self.loading:
            engine, before = self._checked
            if before.options == options:
                return engine
        return self(request, silent)

    def drop(self) -> None:
        """Give the memory of the model back; what an interruption left of it is not used again."""
        self._checked = self.loading = None
        # A model refers to itself, so that leaving its last name frees nothing yet.
        gc.collect()


def _same_plan(engine: Engine, before: EngineRequest, request: EngineRequest) -> bool:
    """True where a new process would make an engine with the same plan as this one."""
    if request.frozen is None:
        same = before.frozen is None
    else:
        same = dict(request.frozen) == dict(engine.facts.plan)
    return same and (before.options, before.texts) == (request.options, request.texts)


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A typed sentence, and the model and the settings to treat it with.

    Attributes:
        vector: A direction on which every position is projected, float32 numbers in base64; or
            nothing.
        apart: Take the projections apart into what every component adds, too.
    """

    request: ModelRequest
    text: str
    vector: str = ""
    site: str = ""
    layer: int = 0
    apart: bool = False


def look(warm: WarmModel, asked: Sentence) -> Answer:
    """Norms, pooled vectors and attention patterns of a sentence, as in `client.Looked`.

    Raises:
        RequestError: The sentence has no tokens, or too many, or the direction does not fit.
        EmoactError: The model is not there, or it failed.
    """
    options = asked.request.options
    source, engine, prompt = _asked(warm, asked)
    patterns = [name for name in options.sites if not known.site(name).has_vectors]
    if patterns:
        most = math.isqrt(_PATTERN_BYTES // (2 * engine.facts.n_layers * engine.facts.n_heads))
        if len(prompt.ids) > most:
            raise RequestError(
                f"the text has {len(prompt.ids):,} tokens; attention patterns of {source.name} are "
                f"shown for at most {most:,}",
                remedy="Shorten it.",
            )
    found: dict[tuple[SiteName, int], np.ndarray] = {}
    components: list[dict[str, Any]] = []

    def put(site: SiteName, layer: int, _sample: int, rows: np.ndarray) -> None:
        found[site, layer] = rows.astype(np.float16) if site in patterns else rows.copy()

    engine.forward([prompt], put=put)
    arrays = {}
    for site in dict.fromkeys(site for site, _ in found):
        layers = [found[key] for key in sorted(found) if key[0] == site]
        if site in patterns:
            arrays[site] = np.stack(layers)
            continue
        arrays[f"{site}.l2"] = np.stack([position_norms(rows, "l2") for rows in layers])
        arrays[f"{site}.l1"] = np.stack([position_norms(rows, "l1") for rows in layers])
        pooled = [pool_sample(rows, content=prompt.content) for rows in layers]
        arrays[f"{site}.pooled"] = np.stack(pooled)
    if asked.vector:
        rows = found.get((asked.site, asked.layer))
        vector = _vector(asked.vector)
        if rows is None or rows.shape[1:] != vector.shape:
            raise RequestError(
                f"{source.name} has no {asked.site} with {len(vector)} numbers at layer "
                f"{asked.layer}",
                remedy="Choose a direction of this model.",
            )
        arrays["projection"] = rows.astype(np.float64) @ vector.astype(np.float64)
        if asked.apart:
            components, arrays["contributions"] = _apart(engine, prompt, asked, vector)
    return {
        "token_strings": list(prompt.strings),
        "content": list(prompt.content),
        "bos": dict(engine.facts.bos),
        "random_weights": engine.facts.random_weights,
        "components": components,
    }, arrays


def _asked(warm: WarmModel, asked: Sentence | Steered) -> tuple[ModelSource, Engine, Tokenised]:
    """The model of a request, loaded, and the text as its tokens."""
    options = asked.request.options
    source = installed_source(asked.request)
    engine = warm.engine_like(source, options)
    (prompt,) = engine.tokenise([asked.text])
    check_prompt(f"the text {shown(asked.text)}", prompt, options, source.name)
    return source, engine, prompt


def _apart(
    engine: Engine, prompt: Tokenised, asked: Sentence, vector: np.ndarray
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Components, and what each of them adds to the projection of every position."""
    from emoact.causes.components import check_sum, collect_terms
    from emoact.causes.contributions import Target, project, rows_of
    from emoact.extraction.bridge_engine import BridgeEngine

    if not isinstance(engine, BridgeEngine):
        raise EmoactError("this model has no modules to look into")
    target = Target(site=asked.site, layer=asked.layer)
    terms = collect_terms(engine, [prompt], target, by_token=True)
    values = project(terms, vector.astype(np.float64))
    total = terms.target.astype(np.float64) @ vector
    gap = np.abs(values.sum(axis=1) - total).max() / np.abs(values).max()
    check_sum(float(gap), asked.request.options.dtype)
    return rows_of(terms.components), values.T.copy()


def _vector(words: str) -> np.ndarray:
    try:
        return np.frombuffer(base64.b64decode(words, validate=True), dtype="<f4")
    except ValueError as error:
        raise RequestError("the direction is no list of float32 numbers in base64") from error


@dataclass(frozen=True, kw_only=True)
class Steered:
    """A prompt for `client.continue_both`; the vector is float32 numbers in base64."""

    request: ModelRequest
    text: str
    layer: int
    vector: str
    max_tokens: int
    seed: int
    from_last: bool = False


def steer(warm: WarmModel, asked: Steered) -> Answer:
    """The prompt continued both ways, as in `client.Continuations`.

    Raises:
        RequestError: The prompt has no tokens, or too many, or the direction does not fit.
        EmoactError: The model is not there, or it failed.
    """
    from emoact.causes.continuation import continued
    from emoact.extraction.bridge_engine import BridgeEngine

    source, engine, prompt = _asked(warm, asked)
    if not isinstance(engine, BridgeEngine):
        raise EmoactError(f"{source.name} has no layers to steer")
    vector = _vector(asked.vector)
    found = continued(
        engine,
        prompt,
        layer=asked.layer,
        vector=vector,
        generation=Generation(max_tokens=asked.max_tokens, temperature=1.0, seed=asked.seed),
        from_last=asked.from_last,
    )
    return {
        "random_weights": engine.facts.random_weights,
        "bos": dict(engine.facts.bos),
        **{
            name: {"strings": list(each.strings), "n_prompt": each.n_prompt}
            for name, each in found.items()
        },
    }, {name: each.difference for name, each in found.items()}
