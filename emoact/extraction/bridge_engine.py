"""The engine of real models: a TransformerLens bridge with its tokens, self-check and plan."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from emoact.decode import decode
from emoact.errors import RequestError
from emoact.extraction.engine import (
    CHECK_TEXTS,
    EngineFacts,
    EngineRequest,
    OnPass,
    Put,
    Tokenised,
    untold,
)
from emoact.extraction.forward import HookReader, hook_names
from emoact.extraction.generation import Generator, stop_tokens
from emoact.extraction.plan import Pass, PlanName, plan_passes
from emoact.extraction.self_check import (
    KeptPass,
    PlanChecker,
    PlanChoice,
    check_additivity,
    check_hooks,
    dtype_error,
)
from emoact.models.chat import ChatTemplate, check_kept, formatted
from emoact.models.effort import THREADS, WIDTH, wanted
from emoact.models.load import LoadedModel, library_versions, load_model
from emoact.models.source import OnStep, silent
from emoact.positions import Span
from emoact.sites import site

PASS_BUDGET = 768
"""Largest pass in tokens; the plan chooses the cheapest size below."""
STAGED_BYTES = 1 << 30
"""Page-locked memory of the host for the activations of one pass on a GPU."""
_THREADS = torch.get_num_threads()
"""Compute threads of a new process where nothing else is asked for."""
_MOST_THREADS = 4096


class BridgeEngine:
    """A loaded and checked model that computes units.

    Raises:
        RequestError: The model lacks a hook, or its hooks are not what the sites promise.
    """

    def __init__(self, model: LoadedModel, request: EngineRequest, on_step: OnStep) -> None:
        options = request.options
        self._model, self._bridge, self._options = model, model.bridge, options
        on_step("self_check", detail="comparing with single prompts")
        check_hooks(self._bridge, options, model.source.name)
        if options.generation is not None and options.generation.max_tokens >= self.context:
            raise RequestError(
                f"a response of {options.generation.max_tokens:,} tokens leaves no room for a "
                f"prompt: {model.source.name} takes at most {self.context:,} tokens",
                remedy="Pass a smaller --generate.",
            )
        prompts = [prompt for prompt in self.tokenise(request.texts) if len(prompt.ids)]
        checked = self._checked(prompts, request)
        self._choice, self._kept = self._plan(prompts, request.frozen)
        self._reader = HookReader(
            self._bridge,
            options.sites,
            model.device,
            direct=self._choice.direct,
            by_prompt=self._choice.by_prompt,
        )
        config = self._bridge.cfg
        template = self._template() if options.chat else None
        self._facts = EngineFacts(
            n_layers=int(config.n_layers),
            d_model=int(config.d_model),
            d_vocab=int(self._bridge.original_model.config.vocab_size),
            n_heads=int(config.n_heads),
            d_head=int(config.d_head),
            bos=self._bos(),
            chat_template=None if template is None else template.sha256,
            chat_clock=None if template is None else template.clock,
            stop_tokens=tuple(sorted(stop_tokens(self._bridge))) if options.generation else (),
            device=str(model.device),
            plan={
                **(request.frozen or {}),
                **dataclasses.asdict(self._choice),
                "threads": torch.get_num_threads(),
            },
            self_check=checked,
            versions=library_versions(),
            random_weights=model.random_weights,
            weight_sha256=model.weight_sha256,
        )

    def _checked(self, prompts: Sequence[Tokenised], request: EngineRequest) -> dict[str, Any]:
        options, source = request.options, self._model.source
        checked: dict[str, Any] = {}
        if any(site(name).is_added for name in options.sites):
            checked["additivity_error"] = check_additivity(
                self._bridge, prompts[0].ids, options, source.name
            )
        if options.dtype != "float32":
            checked["dtype_error"] = dtype_error(self._model, request, prompts)
        return checked

    def _plan(
        self, prompts: Sequence[Tokenised], frozen: Mapping[str, Any] | None
    ) -> tuple[PlanChoice, KeptPass | None]:
        others = [prompt for prompt in self.tokenise(CHECK_TEXTS) if len(prompt.ids)]
        sites, device = self._options.sites, self._model.device
        checker = PlanChecker(self._bridge, prompts, others, sites, device)
        if frozen:
            choice = _frozen_choice(frozen, self._budgets(at_most=True))
            checker.check(choice)
            return choice, None
        # Processed weights exist in the components only, not in the modules that they wrap.
        return checker.choose(self.budgets, direct=self._options.processing == "raw")

    @property
    def facts(self) -> EngineFacts:
        """Sizes, BOS, plan and self-check."""
        return self._facts

    def tokenise(self, texts: Sequence[str]) -> list[Tokenised]:
        """Token ids of each text, cut to the context; `check_prompt` says if that is allowed.

        Raises:
            RequestError: The chat template cannot be used, or the tokenizer changes a text or knows
                no characters.
        """
        options, tokenizer = self._options, self._bridge.tokenizer
        room = self.context - (options.generation.max_tokens if options.generation else 0)
        may_start = options.chat is not None or options.bos == "prepend"
        results = []
        for ids, span in self._rows(texts):
            starts = may_start and len(ids) > 0 and int(ids[0]) == tokenizer.bos_token_id
            # Copied, because a view would keep a long text.
            kept = ids if len(ids) <= room else ids[:room].copy()
            strings = tokenizer.batch_decode(
                [[token] for token in kept.tolist()], clean_up_tokenization_spaces=False
            )
            results.append(
                Tokenised(
                    ids=kept,
                    strings=tuple(strings),
                    content_start=1 if starts else 0,
                    full_length=len(ids),
                    span=span,
                )
            )
        return results

    def _rows(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[Int64[np.ndarray, " pos"], Span | None]]:
        """Token ids of each text, and where the text is in a chat template."""
        bridge, options, model = self._bridge, self._options, self._model.source.name
        if options.chat is None:
            for text in texts:
                # TransformerLens truncates without a message unless told not to.
                row = bridge.to_tokens(
                    text, prepend_bos=options.bos == "prepend", truncate=False, move_to_device=False
                )[0]
                yield row.numpy().astype(np.int64), None
            return
        prompts = formatted(self._template(), options.chat, tuple(texts))
        for text, prompt in zip(texts, prompts, strict=True):
            row = bridge.tokenizer(
                prompt.text, add_special_tokens=False, return_offsets_mapping=True
            )
            ids, (start, stop) = row["input_ids"], prompt.content(row["offset_mapping"])
            again = bridge.tokenizer.decode(ids[start:stop], clean_up_tokenization_spaces=False)
            check_kept(model, text, again)
            yield np.array(ids, dtype=np.int64), (start, stop)

    def _template(self) -> ChatTemplate:
        tokenizer = self._bridge.tokenizer
        return ChatTemplate.of(
            self._model.source.name, tokenizer.chat_template, tokenizer.special_tokens_map
        )

    def _bos(self) -> dict[str, Any]:
        """BOS policy, and the prepended token with its id; a chat template has its own."""
        tokenizer, options = self._bridge.tokenizer, self._options
        prepended = self.tokenise(["a"])[0].content_start == 1
        return {
            "policy": options.bos if options.chat is None else "template",
            "prepended": prepended,
            "token": tokenizer.bos_token if prepended else None,
            "token_id": tokenizer.bos_token_id if prepended else None,
        }

    @property
    def bridge(self) -> Any:
        """The TransformerLens bridge."""
        return self._bridge

    @property
    def budgets(self) -> Mapping[PlanName, int]:
        """Most tokens in a pass of each plan."""
        return self._budgets(at_most=False)

    def _budgets(self, *, at_most: bool) -> dict[PlanName, int]:
        """The same; with `at_most`, where nothing else uses the device."""
        asked, device = wanted(WIDTH), self._model.device
        wide = self._wide_budget(at_most=at_most) if device.type == "cuda" else 0
        room = asked or wide or PASS_BUDGET
        if at_most:
            # A plan that was chosen before may be wider than what is asked for now.
            room = max(asked or 0, wide or PASS_BUDGET)
        limits = [room, self.context]
        # A local attention window counts columns of a pass. In a tree no wider than the window the
        # mask is the same as in single prompts.
        for field in ("window_size", "sliding_window"):
            window = getattr(self._bridge.original_model.config, field, None)
            if isinstance(window, int) and window > 0:
                limits.append(window)
        return {"prefix_tree": min(limits), "sorted_batches": room, "one_at_a_time": 1}

    def _wide_budget(self, *, at_most: bool) -> int:
        """Most tokens of a pass whose attention and page-locked copies leave most memory free."""
        free, whole = torch.cuda.mem_get_info(self._model.device)
        config = self._bridge.cfg
        # Scores, mask and weights of one layer, in float32: three times heads x tokens x tokens.
        memory = (whole if at_most else free) / 4
        by_attention = math.sqrt(memory / (3 * 4 * int(config.n_heads)))
        n_hooks = len(hook_names(self._options.sites, int(config.n_layers)))
        copied = n_hooks * int(config.d_model) * 4
        return max(PASS_BUDGET, int(min(by_attention, STAGED_BYTES / copied)))

    @property
    def context(self) -> int:
        """Longest sequence that the model takes, in tokens."""
        return int(self._bridge.cfg.n_ctx)

    def forward(self, prompts: Sequence[Tokenised], *, put: Put, on_pass: OnPass = untold) -> float:
        """Compute the activations of one unit and hand each over exactly once.

        Returns:
            Seconds of a pass that the self-check had computed, which is not computed again.
        """
        ids = [prompt.ids for prompt in prompts]
        choice = self._choice
        passes = plan_passes(ids, plan=choice.plan, budget=choice.budget, fixed=choice.pass_cost)

        def on_done(one_pass: Pass) -> None:
            on_pass(len(one_pass.samples), sum(len(ids[sample]) for sample in one_pass.samples))

        kept, self._kept = self._kept, None
        rest = [one_pass for one_pass in passes if kept is None or not kept.is_of(one_pass)]
        if kept is None or len(rest) == len(passes):
            self._reader.run_all(passes, put, on_done)
            return 0.0
        for array in kept.arrays:
            put(*array)
        on_done(kept.one_pass)
        self._reader.run_all(rest, put, on_done)
        return kept.seconds

    def generate(
        self, prompts: Sequence[Tokenised], *, on_pass: OnPass = untold
    ) -> list[Tokenised]:
        """The prompts with the responses that the options ask for behind them.

        Raises:
            RequestError: The options ask for none.
        """
        generation = self._options.generation
        if generation is None:
            raise RequestError("no response is asked for", remedy="Pass --generate.")
        generator = Generator(
            self._bridge,
            self._model.device,
            direct=self._choice.direct,
            budget=self._choice.budget,
        )
        return generator.run(prompts, generation, lambda done: on_pass(done, 0))

    def again(self, request: EngineRequest, on_step: OnStep) -> BridgeEngine:
        """The same loaded model, checked anew for other prompts, sites or a given plan."""
        return BridgeEngine(self._model, request, on_step)


def load_engine(request: EngineRequest, on_step: OnStep = silent) -> BridgeEngine:
    """Load a model, check it on prompts of the run, and choose its plan.

    Raises:
        RequestError: The model lacks a hook, or its hooks are not what the sites promise.
        EmoactError: It cannot be loaded.
    """
    torch.set_num_threads(_frozen_threads(request.frozen) or wanted(THREADS) or _THREADS)
    # Other settings let float32 products round to bfloat16 or TF32 on some processors.
    torch.set_float32_matmul_precision("highest")
    on_step("load", detail=f"loading {request.source.name}")
    model = load_model(
        request.source, request.options, allow_pickle_weights=request.allow_pickle_weights
    )
    return BridgeEngine(model, request, on_step)


def _frozen_choice(frozen: Mapping[str, Any], most: Mapping[PlanName, int]) -> PlanChoice:
    """The plan of an earlier start of the run, which may come from a stranger.

    Passes larger than any that this machine would choose are refused: they could take all memory,
    or reach beyond a local attention window.
    """
    names = {field.name for field in dataclasses.fields(PlanChoice)}
    stated = {name: value for name, value in frozen.items() if name in names}
    choice = decode(PlanChoice, stated, where="plan.json")
    if not 1 <= choice.budget <= most[choice.plan]:
        raise RequestError(
            f"plan.json asks for passes of {choice.budget:,} tokens ({choice.plan}); here 1 to "
            f"{most[choice.plan]:,} are computed at once",
            remedy=f"Start a new run, or raise {WIDTH} where the memory allows it.",
        )
    return choice


def _frozen_threads(frozen: Mapping[str, Any] | None) -> int | None:
    """Compute threads of the plan of an earlier start of the run; None where it has none."""
    threads = (frozen or {}).get("threads")
    if threads is not None and not (type(threads) is int and 1 <= threads <= _MOST_THREADS):
        raise RequestError(
            f"plan.json asks for {threads!r:.40} threads; 1 to {_MOST_THREADS:,} are allowed",
            remedy="Start a new run.",
        )
    return threads
