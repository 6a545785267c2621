"""The whole path of a tiny model of a family: weights, passes, files, and plain Hugging Face."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emoact.errors import EmoactError, RequestError
from emoact.extraction.bridge_engine import BridgeEngine, load_engine
from emoact.extraction.engine import EngineRequest
from emoact.extraction.extractor import Quiet
from emoact.extraction.pipeline import run_units
from emoact.jobs.request import ExtractRequest, prepare
from emoact.models.source import OnStep
from emoact.schema import Device, ExtractionOptions
from emoact.sites import SITES, SiteName, saved_sites
from emoact.store.reading import read
from tests.support.families import Family
from tests.support.reference import (
    blocks_of,
    hugging_face,
    hugging_face_activations,
    largest_difference,
)
from tests.support.tiny_models import save_tiny

PROMPTS = (
    ("gratitude", "Thank you for the soup."),
    ("anger", "Thank you for the soup that you left at our door."),
    ("anger", "Thank you for the soup."),
    ("anger", "Thank you for the soup."),
    ("anger", "You kept the keys again, and nobody could get in."),
    ("anger", "A"),
    (
        "anger",
        "Thank you for the soup that you left at our door, and thank you for the bread that you "
        "baked when the snow was so high that the shop was shut.",
    ),
)
"""A class of one prompt comes first: a plan that is right for it can be wrong for the other."""

_ATTENTION = ("attn", "self_attn", "self_attention", "attention", "linear_attn", "temporal_block")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Differences of a family to Hugging Face by site, and the message where one is refused.

    `is_direct` where components whose hooks are not read were bypassed, `is_parallel` where the MLP
    does not read what the attention of its layer adds.
    """

    differences: Mapping[SiteName, float]
    plan: str = ""
    is_direct: bool = False
    has: tuple[SiteName, ...] = ()
    is_parallel: bool = False
    refusal: str = ""


def measure(family: Family, folder: Path, *, device: Device = "cpu") -> Measured:
    """Extract, read back and compare with single prompts; without `mlp_out` where it is refused."""
    model = save_tiny(family, folder / "model")
    (folder / "prompts.tsv").write_text(
        "text\temotion\n" + "".join(f"{text}\t{emotion}\n" for emotion, text in PROMPTS)
    )
    refusal, sites = "", saved_sites()
    try:
        engine = _extract(folder, sites, device)
    except RequestError as error:
        refusal, sites = error.message, ("resid_pre",)
        engine = _extract(folder, sites, device)
    except EmoactError as error:
        return Measured(differences={}, refusal=error.message)
    plain = hugging_face(model)
    differences = dict.fromkeys(sites, 0.0)
    for path in sorted((folder / "results" / "activations").glob("*/*.pkl")):
        unit = read(path)
        for sample, ids in enumerate(unit.tokens):
            expected = _expected(family, plain, ids.tolist())
            for site in sites:
                for ours, theirs in zip(unit.site(site), expected[site], strict=True):
                    worst = largest_difference(ours[sample], theirs)
                    differences[site] = max(differences[site], worst)
    hooks = engine.bridge.hook_dict
    return Measured(
        differences=differences,
        plan=engine.facts.plan["plan"],
        is_direct=engine.facts.plan["direct"],
        has=tuple(
            site.name
            for site in SITES
            if all(site.hook_at(at) in hooks for at in site.layer_range(engine.facts.n_layers))
        ),
        is_parallel=_is_parallel(family, plain, ids.tolist()),
        refusal=refusal,
    )


def _extract(folder: Path, sites: tuple[SiteName, ...], device: Device) -> BridgeEngine:
    engines = []

    def load(request: EngineRequest, on_step: OnStep) -> BridgeEngine:
        engines.append(load_engine(request, on_step))
        return engines[-1]

    config = prepare(
        ExtractRequest(
            models=(str(folder / "model"),),
            dataset=folder / "prompts.tsv",
            results=folder / "results",
            options=ExtractionOptions(sites=sites, device=device),
        )
    )
    run_units(config, reporter=Quiet(), plans={}, engine_for=load)
    return engines[-1]


def _expected(family: Family, plain: Any, ids: list[int]) -> Any:
    return hugging_face_activations(plain, ids, mlp=family.mlp, scale=family.scale)


def _is_parallel(family: Family, plain: Any, ids: list[int]) -> bool:
    """Silence the attention of one layer, and see if its MLP gives the same."""
    layer, attention = next(
        (layer, child)
        for layer, block in enumerate(blocks_of(plain))
        for name, child in block.named_children()
        if name in _ATTENTION
    )
    before = _expected(family, plain, ids)["mlp_out"][layer]

    def silence(_module: object, _inputs: object, output: Any) -> Any:
        if isinstance(output, torch.Tensor):
            return torch.zeros_like(output)
        return type(output)([torch.zeros_like(output[0]), *output[1:]])

    handle = attention.register_forward_hook(silence)
    try:
        after = _expected(family, plain, ids)["mlp_out"][layer]
    finally:
        handle.remove()
    return largest_difference(after, before) < 1e-6
