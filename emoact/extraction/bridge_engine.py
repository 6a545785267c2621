"""The engine of real models: a TransformerLens bridge behind the pipeline's seam."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from emoact.extraction.dtype_error import dtype_error
from emoact.extraction.engine import EngineFacts, OnPass, Put, Tokenised
from emoact.extraction.forward import HookReader
from emoact.extraction.kernel import KernelChoice, choose_kernel, linear_shapes
from emoact.extraction.plan import Pass, PlanName, count_nodes, plan_passes
from emoact.extraction.self_check import PlanChoice, check_additivity, choose_plan
from emoact.extraction.tokens import bos_facts, cut, tokenise
from emoact.models.effort import THREADS, WIDTH, wanted
from emoact.models.load import LoadedModel, library_versions, load_model
from emoact.models.source import ModelSource, OnStep, silent
from emoact.schema import ExtractionOptions
from emoact.sites import site

TREE_BUDGET = 768
BATCH_BUDGET = 768
"""Most tokens in a pass; the plan finds by itself how many below that are cheapest."""
_THREADS = torch.get_num_threads()
"""Compute threads of a new process where nothing else is asked for."""


class BridgeEngine:
    """A loaded model that computes units.

    Args:
        model: The loaded model.
        options: What an activation is.
        choice: How passes are laid out and matrices multiplied.
        self_check: What was measured at load.
        recorded: What else the plan's record says.
        allow_pickle_weights: Whether the weights may come from a pickle.
    """

    def __init__(
        self,
        model: LoadedModel,
        options: ExtractionOptions,
        *,
        choice: PlanChoice,
        self_check: Mapping[str, Any],
        recorded: Mapping[str, Any] | None = None,
        allow_pickle_weights: bool = False,
    ) -> None:
        self._model = model
        self._allow_pickle_weights = allow_pickle_weights
        self._bridge = model.bridge
        self._options = options
        self._choice = choice
        self._reader = HookReader(
            model.bridge,
            options.sites,
            model.device,
            kernel=choice.kernel,
            direct=choice.direct,
        )
        config = model.bridge.cfg
        self._facts = EngineFacts(
            n_layers=int(config.n_layers),
            d_model=int(config.d_model),
            d_vocab=_vocabulary(model.bridge),
            n_heads=int(config.n_heads),
            d_head=int(config.d_head),
            bos=bos_facts(model.bridge, bos=options.bos),
            device=str(model.device),
            plan={
                **(recorded or {}),
                **dataclasses.asdict(choice),
                "threads": torch.get_num_threads(),
            },
            self_check=dict(self_check),
            versions=library_versions(),
            random_weights=model.random_weights,
        )

    @property
    def facts(self) -> EngineFacts:
        """What the model says of itself."""
        return self._facts

    def tokenise(self, texts: Sequence[str]) -> list[Tokenised]:
        """Token ids of each text, cut to the context; the pipeline refuses cuts nobody allowed."""
        prompts = tokenise(self._bridge, texts, bos=self._options.bos)
        return [cut(prompt, self.context) for prompt in prompts]

    @property
    def bridge(self) -> Any:
        """The TransformerLens bridge."""
        return self._bridge

    @property
    def budgets(self) -> Mapping[PlanName, int]:
        """Most tokens in a pass of each plan."""
        return _budgets(self._bridge)

    @property
    def context(self) -> int:
        """Longest sequence that the model takes, in tokens."""
        return int(self._bridge.cfg.n_ctx)

    def forward(self, prompts: Sequence[Tokenised], *, put: Put, on_pass: OnPass) -> None:
        """Compute the activations of one unit and hand each over exactly once."""
        ids = [prompt.ids for prompt in prompts]
        passes = plan_passes(ids, plan=self._choice.plan, budget=self._choice.budget)

        def on_done(one_pass: Pass) -> None:
            on_pass(len(one_pass.samples), sum(len(ids[sample]) for sample in one_pass.samples))

        self._reader.run_all(passes, put, on_done)

    def again(
        self,
        options: ExtractionOptions,
        *,
        texts: Sequence[str],
        frozen: Mapping[str, Any] | None,
        on_step: OnStep,
    ) -> BridgeEngine:
        """The same loaded model, checked anew for other prompts, sites or a given plan."""
        return _check(
            self._model,
            options,
            texts=texts,
            frozen=frozen,
            allow_pickle_weights=self._allow_pickle_weights,
            on_step=on_step,
        )

    def node_count(self, prompts: Sequence[Tokenised]) -> int:
        """Distinct prefixes of a unit."""
        return count_nodes([prompt.ids for prompt in prompts])


def load_engine(
    source: ModelSource,
    options: ExtractionOptions,
    *,
    texts: Sequence[str],
    frozen: Mapping[str, Any] | None = None,
    allow_pickle_weights: bool = False,
    on_step: OnStep = silent,
) -> BridgeEngine:
    """Load a model, check it on prompts of the run, and choose its plan.

    Args:
        source: The model; ready to load.
        options: What an activation is.
        texts: Prompts of the run for the self-check; at least one.
        frozen: The plan of an earlier start of the same run, which is used again unchecked so
            that a resumed run computes what an undisturbed one would.
        allow_pickle_weights: Load weights that are stored as pickles.
        on_step: Told what is under way.

    Raises:
        RequestError: The model does not do what was asked for.
        EmoactError: It cannot be loaded.
    """
    threads = frozen.get("threads") if frozen else wanted(THREADS)
    torch.set_num_threads(int(threads or _THREADS))
    on_step("load", detail=f"loading {source.name}")
    model = load_model(source, options, allow_pickle_weights=allow_pickle_weights)
    return _check(
        model,
        options,
        texts=texts,
        frozen=frozen,
        allow_pickle_weights=allow_pickle_weights,
        on_step=on_step,
    )


def _check(
    model: LoadedModel,
    options: ExtractionOptions,
    *,
    texts: Sequence[str],
    frozen: Mapping[str, Any] | None,
    allow_pickle_weights: bool,
    on_step: OnStep,
) -> BridgeEngine:
    """The engine of a loaded model; arguments as in `load_engine`."""
    source = model.source
    on_step("self_check", detail="comparing with single prompts")
    context = int(model.bridge.cfg.n_ctx)
    prompts = [cut(prompt, context) for prompt in tokenise(model.bridge, texts, bos=options.bos)]
    prompts = [prompt for prompt in prompts if len(prompt.ids)]
    check: dict[str, Any] = {}
    if any(site(name).is_added for name in options.sites):
        check["additivity_error"] = check_additivity(
            model.bridge, prompts[0].ids, options, source.name
        )
    if options.dtype != "float32":
        check["dtype_error"] = dtype_error(
            model, source, options, prompts, allow_pickle_weights=allow_pickle_weights
        )
    if frozen:
        fields = [field.name for field in dataclasses.fields(PlanChoice) if field.name in frozen]
        choice = PlanChoice(**{name: frozen[name] for name in fields})
        return BridgeEngine(
            model,
            options,
            choice=choice,
            self_check=check,
            recorded=frozen,
            allow_pickle_weights=allow_pickle_weights,
        )
    kernel = _kernel(model, options)
    choice = choose_plan(
        model.bridge,
        prompts,
        sites=options.sites,
        device=model.device,
        budgets=_budgets(model.bridge),
        kernel="highest" if kernel is None else kernel.kernel,
        # Processed weights are in the components, not in the modules that they wrap.
        direct=options.processing == "raw",
    )
    recorded = {} if kernel is None else {"kernel_check": dataclasses.asdict(kernel)}
    return BridgeEngine(
        model,
        options,
        choice=choice,
        self_check=check,
        recorded=recorded,
        allow_pickle_weights=allow_pickle_weights,
    )


def _kernel(model: LoadedModel, options: ExtractionOptions) -> KernelChoice | None:
    """The faster exact kernel; None where there is no choice, or none that is exact."""
    if model.device.type != "cpu" or options.dtype != "float32":
        return None
    shapes = linear_shapes(model.bridge.original_model)
    return choose_kernel(shapes) if shapes else None


def _budgets(bridge: Any) -> dict[PlanName, int]:
    config = bridge.original_model.config
    asked = wanted(WIDTH)
    limits = [asked or TREE_BUDGET, int(bridge.cfg.n_ctx)]
    # A local window counts columns, not depth: within it, a tree and a prompt look the same.
    for field in ("window_size", "sliding_window"):
        window = getattr(config, field, None)
        if isinstance(window, int) and window > 0:
            limits.append(window)
    batches = asked or BATCH_BUDGET
    return {"prefix_tree": min(limits), "sorted_batches": batches, "one_at_a_time": 1}


def _vocabulary(bridge: Any) -> int:
    return int(bridge.original_model.config.vocab_size)
