"""The one loaded model of a host, and the engine that was checked on it last."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoact.extraction.engine import Engine
from emoact.extraction.pipeline import EngineFor
from emoact.models.alike import Loading
from emoact.models.source import ModelSource, OnStep, silent
from emoact.schema import ExtractionOptions


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """An engine with what it was made for.

    Attributes:
        engine: The engine.
        options: What an activation is.
        texts: Prompts that its plan was checked on.
        frozen: True where the plan was given and not chosen.
    """

    engine: Engine
    options: ExtractionOptions
    texts: tuple[str, ...]
    frozen: bool

    def serves(
        self, options: ExtractionOptions, texts: Sequence[str], frozen: Mapping[str, Any] | None
    ) -> bool:
        """True where a new process would make an engine with the same plan."""
        if frozen is None:
            same_plan = not self.frozen
        else:
            same_plan = _canonical(frozen) == _canonical(self.engine.facts.plan)
        return same_plan and self.options == options and self.texts == tuple(texts)


class WarmModel:
    """An `EngineFor` that loads a model only where it is not loaded already.

    Args:
        engine_for: Loads a model.
        before_loading: Called before a model is loaded.
        expected: What a host that was started for a sentence is going to load.
    """

    def __init__(
        self,
        engine_for: EngineFor,
        *,
        before_loading: Callable[[], None],
        expected: Loading | None = None,
    ) -> None:
        self._engine_for = engine_for
        self._before_loading = before_loading
        self._checked: _Checked | None = None
        self.loading = expected

    def __call__(
        self,
        source: ModelSource,
        options: ExtractionOptions,
        *,
        texts: Sequence[str],
        frozen: Mapping[str, Any] | None,
        allow_pickle_weights: bool,
        on_step: OnStep,
    ) -> Engine:
        """The engine that a new process would make, from the model in memory where it fits."""
        wanted = Loading.of(
            source.folder, source.commit, options, allow_pickle_weights=allow_pickle_weights
        )
        checked = self._checked
        try:
            if checked is None or wanted != self.loading or not self.threads_fit(frozen):
                self.drop()
                self.loading = wanted
                self._before_loading()
                engine = self._engine_for(
                    source,
                    options,
                    texts=texts,
                    frozen=frozen,
                    allow_pickle_weights=allow_pickle_weights,
                    on_step=on_step,
                )
            else:
                on_step("self_check", detail="the model was warm")
                print(f"{source.name} was warm: it is used as it was loaded before")
                if checked.serves(options, texts, frozen):
                    return checked.engine
                engine = checked.engine.again(options, texts=texts, frozen=frozen, on_step=on_step)
        except BaseException:
            # An interruption may have left the model half changed.
            self.drop()
            raise
        self._checked = _Checked(
            engine=engine, options=options, texts=tuple(texts), frozen=frozen is not None
        )
        return engine

    def threads_fit(self, frozen: Mapping[str, Any] | None) -> bool:
        """True where a frozen plan computes with as many threads as the engine in memory."""
        if self._checked is None or frozen is None:
            return True
        return frozen.get("threads") == self._checked.engine.facts.plan.get("threads")

    @property
    def is_loaded(self) -> bool:
        """True where a model is in memory and can be used."""
        return self._checked is not None

    def engine_like(self, source: ModelSource, options: ExtractionOptions) -> Engine:
        """An engine for a few texts whose bits need not be those of a certain plan."""
        checked = self._checked
        wanted = Loading.of(source.folder, source.commit, options)
        if checked is not None and wanted == self.loading and checked.options == options:
            return checked.engine
        from emoact.extraction.extractor import CHECK_TEXTS

        return self(
            source,
            options,
            texts=CHECK_TEXTS,
            frozen=None,
            allow_pickle_weights=False,
            on_step=silent,
        )

    def drop(self) -> None:
        """Give the memory of the model back; what an interruption left of it is not used again."""
        self._checked = self.loading = None
        # A model refers to itself, so that leaving its last name frees nothing yet.
        gc.collect()


def _canonical(plan: Mapping[str, Any]) -> str:
    return json.dumps(plan, sort_keys=True)
