"""Checks of a loaded model on prompts of the run: hooks, additivity, parity and precision."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch

from emoact import sites
from emoact.errors import EmoactError, RequestError
from emoact.extraction.by_prompt import is_cheaper
from emoact.extraction.engine import EngineRequest, Tokenised
from emoact.extraction.forward import HookReader, hook_names
from emoact.extraction.plan import PASS_COST, PLANS, Pass, PlanName, plan_passes
from emoact.extraction.reference import (
    Reference,
    own_error,
    relative_difference,
    relative_differences,
    single_prompt,
)
from emoact.models.load import LoadedModel, load_model
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName

PARITY = 1e-5
"""Largest relative difference per position that is always accepted as float32 rounding."""
ADDITIVITY = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}
"""Largest relative error of resid_pre + attn_out + mlp_out against the next resid_pre."""
_SAMPLES_CHECKED = 6
_DTYPE_PROMPTS = 4
_KEPT_BYTES = 1 << 28
"""Largest activations of a checked pass that wait for their unit."""


@dataclass(frozen=True, kw_only=True)
class PlanChoice:
    """Layout of the passes of one model, with the measurements behind its choice.

    Attributes:
        budget: Most tokens in a pass.
        difference: Largest relative difference to single prompts, per position.
        direct: Components whose hooks are not read are bypassed.
        by_prompt: Prompts of a prefix tree attend one by one, where that is cheaper and attention
            can be any function of transformers.
        pass_cost: Fixed cost of a pass, in tokens, that the passes are cut by.
    """

    plan: PlanName
    budget: int
    difference: float
    tolerance: float
    reason: str
    direct: bool = False
    by_prompt: bool = False
    pass_cost: float = PASS_COST["cpu"]


def additivity_error(bridge: Any, ids: np.ndarray) -> float:
    """Largest over layers of ‖resid_pre + attn_out + mlp_out − next resid_pre‖ / ‖next resid_pre‖.

    In a model with layers that have no attention, resid_mid stands for resid_pre + attn_out.
    Infinite where the model lacks one of the hooks, or overflows.

    Source: holds exactly where attention and MLP add to the residual stream, one after the other
    or in parallel.
    """
    stream, parts = "resid_pre", [site.name for site in sites.SITES if site.is_added]
    if not set(hook_names(["attn_out"], bridge.cfg.n_layers).values()) <= set(bridge.hook_dict):
        stream, parts = "resid_mid", [part for part in parts if part != "attn_out"]
    try:
        found = single_prompt(bridge, ids, ("resid_pre", stream, *parts, "resid_post"))
    except KeyError:
        return float("inf")
    worst = 0.0
    last = bridge.cfg.n_layers - 1
    for layer in range(last + 1):
        total = found[stream, layer] + sum(found[part, layer] for part in parts)
        after = found["resid_pre", layer + 1] if layer < last else found["resid_post", layer]
        # Half precision may have overflowed: the error is then infinite, not a warning.
        with np.errstate(invalid="ignore", divide="ignore"):
            error = float(np.linalg.norm(total - after) / np.linalg.norm(after))
        worst = max(worst, error if np.isfinite(error) else float("inf"))
    return worst


def check_hooks(bridge: Any, options: ExtractionOptions, name: str) -> None:
    """Refuse sites whose hooks the model does not have.

    Raises:
        RequestError: A hook is missing; lists the sites that the model has.
    """
    there = bridge.hook_dict
    lacking: dict[str, str] = {}
    for site in sites.site_names():
        for hook in hook_names([site], bridge.cfg.n_layers).values():
            if hook not in there:
                lacking.setdefault(site, hook)
    for site in options.sites:
        if site in lacking:
            found = [name for name in sites.site_names() if name not in lacking]
            raise RequestError(
                f"{name} has no hook {lacking[site]}, so {site} cannot be read",
                remedy=f"Leave the site {site} out. This model has {', '.join(found)}.",
            )


def check_additivity(bridge: Any, ids: np.ndarray, options: ExtractionOptions, name: str) -> float:
    """The error of `additivity_error`, when it is small enough or the user allowed it.

    Raises:
        RequestError: The hooks do not hold what a layer adds to the residual stream.
    """
    error = additivity_error(bridge, ids)
    limit = ADDITIVITY[options.dtype]
    if error <= limit or options.allow_nonadditive_mlp:
        return error
    added = [site.name for site in sites.SITES if site.is_added]
    asked = ", ".join(part for part in added if part in options.sites)
    found = (
        f"relative error {error:.2g}" if np.isfinite(error) else "a hook is missing or overflows"
    )
    raise RequestError(
        f"{name}: {' + '.join(['resid_pre', *sorted(added)])} is not the next resid_pre ({found}; "
        f"{limit:g} is allowed), so {asked} is not what is added to the stream",
        remedy=f"Leave out {asked}, or pass --allow-nonadditive-mlp to save it as it is.",
    )


@dataclass(frozen=True, kw_only=True)
class KeptPass:
    """A pass of the work, computed as a check: site, layer, sample, rows in the order of hooks."""

    one_pass: Pass
    arrays: Sequence[tuple[SiteName, int, int, np.ndarray]]
    seconds: float

    def is_of(self, other: Pass) -> bool:
        """True where the other pass computes the same."""
        one = self.one_pass
        return (
            one.samples == other.samples
            and np.array_equal(one.ids, other.ids)
            and all(map(np.array_equal, one.rows, other.rows))
        )


class PlanChecker:
    """Passes compared with single prompts, which are computed through every component.

    The prompts are those of the run, in the order of its first unit; `others` share passes where
    these share none. All sites of the run are compared.
    """

    def __init__(
        self,
        bridge: Any,
        prompts: Sequence[Tokenised],
        others: Sequence[Tokenised],
        sites: Sequence[SiteName],
        device: torch.device,
    ) -> None:
        self._bridge, self._sites, self._device = bridge, sites, device
        self._ids = [prompt.ids for prompt in (*prompts, *others)]
        self._n_work = len(prompts)
        self._references = dict[int, Reference]()
        self._tolerance, self._widened = PARITY, False

    def choose(
        self, budgets: Mapping[PlanName, int], *, direct: bool = False
    ) -> tuple[PlanChoice, KeptPass | None]:
        """The first of the three plans whose passes agree with single prompts.

        Where a pass of the work itself was compared, it is returned too. `direct` tries first
        without the components whose hooks are not read. A model that agrees in no other way
        computes single prompts.
        """
        fixed = PASS_COST.get(self._device.type, PASS_COST["cpu"])
        tried = list[str]()
        ways = dict.fromkeys(((direct, direct), (direct, False), (False, False)))
        for plan, (short, alone) in product(PLANS[:-1], ways):
            choice = PlanChoice(
                plan=plan,
                budget=budgets[plan],
                difference=0.0,
                tolerance=PARITY,
                reason="agrees with single prompts",
                direct=short,
                by_prompt=alone,
                pass_cost=fixed,
            )
            largest, is_work = self._largest(choice)
            if alone and not is_cheaper(largest):
                continue
            difference, why, kept = self._compared(choice, largest)
            if difference <= self._tolerance:
                reason = "; ".join(filter(None, [choice.reason, ", ".join(tried)]))
                choice = replace(
                    choice, difference=difference, tolerance=self._tolerance, reason=reason
                )
                return choice, kept if is_work else None
            name = f"{'direct ' if short else ''}{plan}{' by prompt' if alone else ''}"
            tried.append(f"{name} failed ({why})" if why else f"{name} differs by {difference:.2g}")
        choice = PlanChoice(
            plan="one_at_a_time",
            budget=1,
            difference=0.0,
            tolerance=self._tolerance,
            reason=f"no other plan agrees with single prompts: {', '.join(tried)}",
        )
        return choice, None

    def check(self, choice: PlanChoice) -> None:
        """Compare the passes of a plan that a file names, as those of a new plan.

        Raises:
            RequestError: They differ, or cannot be computed in this way.
        """
        if choice.plan == "one_at_a_time":
            return
        difference, why, _ = self._compared(choice, self._largest(choice)[0])
        if difference > self._tolerance:
            far = f"differ from single prompts by {difference:.2g}"
            said = f"cannot be computed ({why})" if why else far
            raise RequestError(
                f"the passes of plan.json ({choice.plan}) {said}", remedy="Start a new run."
            )

    def _largest(self, choice: PlanChoice) -> tuple[Pass, bool]:
        """The largest pass, and True where it is one of the work; only a shared one counts.

        Any plan agrees with a single prompt, and with prompts that are too long for a tree.
        """
        how: Any = {"plan": choice.plan, "budget": choice.budget, "fixed": choice.pass_cost}
        work = plan_passes(self._ids[: self._n_work], **how)
        shared = [one_pass for one_pass in work if _breadth(one_pass)[0]]
        return max(shared or plan_passes(self._ids, **how), key=_breadth), bool(shared)

    def _compared(self, choice: PlanChoice, one_pass: Pass) -> tuple[float, str, KeptPass | None]:
        """Largest difference, the kind of error where there is one, and the pass."""
        checked = _spread(one_pass.samples)
        for sample in checked:
            if sample not in self._references:
                self._references[sample] = single_prompt(
                    self._bridge, self._ids[sample], self._sites
                )
        how = {"direct": choice.direct, "by_prompt": choice.by_prompt}
        reader = HookReader(self._bridge, self._sites, self._device, **how)
        try:
            difference, kept = _compare(reader, one_pass, checked, self._references)
        except (EmoactError, RuntimeError, ValueError, IndexError, TypeError) as error:
            return float("inf"), type(error).__name__, None
        if difference > self._tolerance and not self._widened:
            self._widened = True
            noise = own_error(self._bridge, self._ids, checked, self._references, self._sites)
            self._tolerance = max(PARITY, 3 * noise)
        return difference, "", kept


def _breadth(one_pass: Pass) -> tuple[bool, int, int]:
    n_tokens = one_pass.ids.size
    if one_pass.visible is None:
        is_shared = len(one_pass.samples) > 1
    else:
        # Where every token sees all before it, the pass is one prompt and its beginnings.
        is_shared = int(one_pass.visible.sum()) < n_tokens * (n_tokens + 1) // 2
    return is_shared, n_tokens, len(one_pass.samples)


def _spread(samples: Sequence[int]) -> list[int]:
    """A few of the samples, evenly spread, the last one among them: it lies deepest in a pass."""
    count = min(_SAMPLES_CHECKED, len(samples))
    places = np.linspace(0, len(samples) - 1, count).round().astype(int)
    return [samples[place] for place in dict.fromkeys(places.tolist())]


def _compare(
    reader: HookReader, one_pass: Pass, checked: Sequence[int], references: Mapping[int, Reference]
) -> tuple[float, KeptPass | None]:
    """Largest difference to single prompts, and the pass where it is small enough to be kept."""
    worst, size = 0.0, 0
    arrays = list[tuple[SiteName, int, int, np.ndarray]]()

    def compare(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
        nonlocal worst, size
        size += rows.nbytes
        if size <= _KEPT_BYTES:
            # Copied, because a staged pass is overwritten by the next.
            arrays.append((site, layer, sample, rows.copy()))
        if sample in checked:
            difference = relative_difference(rows, references[sample][site, layer])
            # NaN is neither larger nor smaller; it must not count as agreement.
            worst = float("inf") if np.isnan(difference) else max(worst, difference)

    began = time.perf_counter()
    reader.run_all([one_pass], compare)
    seconds = time.perf_counter() - began
    if size > _KEPT_BYTES:
        return worst, None
    return worst, KeptPass(one_pass=one_pass, arrays=arrays, seconds=seconds)


def dtype_error(
    model: LoadedModel, request: EngineRequest, prompts: Sequence[Tokenised]
) -> dict[str, Any]:
    """Relative differences per position, layer and site to the same model in float32.

    The model is loaded a second time, since widening rounded weights does not undo the rounding.

    Returns:
        `dtype`, `against`, `n_prompts`, `largest`, `median`; infinite where half precision
        overflows.
    """
    options = request.options
    exact = load_model(
        request.source,
        replace(options, dtype="float32"),
        allow_pickle_weights=request.allow_pickle_weights,
    )
    chosen = prompts[:: max(1, len(prompts) // _DTYPE_PROMPTS)][:_DTYPE_PROMPTS]
    found = []
    for prompt in chosen:
        expected = single_prompt(exact.bridge, prompt.ids, options.sites)
        ours = single_prompt(model.bridge, prompt.ids, options.sites)
        found += [relative_differences(ours[key], expected[key]).ravel() for key in expected]
    differences = np.nan_to_num(np.concatenate(found), nan=np.inf)
    return {
        "dtype": options.dtype,
        "against": "float32",
        "n_prompts": len(chosen),
        "largest": float(differences.max()),
        "median": float(np.median(differences)),
    }
