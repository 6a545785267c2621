"""Comparison of saved activations with recomputed ones, one prompt at a time."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoact import sites as known
from emoact.errors import EmoactError
from emoact.extraction.reference import own_error, relative_difference, single_prompt
from emoact.extraction.self_check import PARITY
from emoact.models.alike import installed_source, request_like
from emoact.models.load import load_model
from emoact.models.weights import ChangedWeightsError
from emoact.schema import Finding
from emoact.store.unit import Unit


@dataclass(frozen=True, kw_only=True)
class ParityResult:
    """Differences between saved and recomputed activations of one unit.

    Attributes:
        samples: Indices of the recomputed prompts.
        tolerance: Largest allowed difference: 1e-5, or three times the model's rounding error, plus
            the rounding of the file.
        differences: By site, the largest relative difference of each layer.
    """

    folder: str
    emotion: str
    samples: tuple[int, ...]
    tolerance: float
    differences: dict[str, list[float]]

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain values."""
        return dataclasses.asdict(self)


def check_parity(
    units: Sequence[Unit],
    *,
    n_samples: int,
    seed: int = 0,
    on_unit: Callable[[Unit], None] = lambda _: None,
) -> tuple[list[ParityResult], list[Finding]]:
    """Recompute a random sample of each unit whose model is on this machine.

    Returns:
        Differences and findings; a model that is not installed gives a note.
    """
    results: list[ParityResult] = []
    findings: list[Finding] = []
    chooser = random.Random(seed)
    groups: dict[tuple[str, str], list[int]] = {}
    for place, unit in enumerate(units):
        if unit.pooled:
            why = "it keeps pooled vectors only, which are not recomputed"
            findings.append(_note(str(unit.path), why))
            continue
        provenance = unit.provenance or {}
        loaded = [provenance.get(name) for name in ("commit", "processing", "dtype", "revision")]
        groups.setdefault((unit.folder, repr(loaded)), []).append(place)
    for group in groups.values():
        first = units[group[0]]
        try:
            request = request_like(first.folder, first.configuration, first.sites)
            # The file says which tokens to run, so that nothing is prepended to them.
            options = dataclasses.replace(request.options, bos="none", chat=None)
            model = load_model(installed_source(request), options, again=True)
        except ChangedWeightsError as error:
            findings.append(
                Finding(
                    code="weights_changed",
                    severity="error",
                    where=first.folder,
                    message=error.message,
                    remedy=error.remedy or "",
                )
            )
            continue
        except EmoactError as error:
            why = f"its activations were not recomputed: {error.message}"
            findings.append(_note(first.folder, why))
            continue
        for unit in map(units.__getitem__, group):
            on_unit(unit)
            chosen = tuple(
                sorted(chooser.sample(range(unit.n_samples), min(n_samples, unit.n_samples)))
            )
            findings += _check_weights(unit, model.weight_sha256)
            result = _recompute(model.bridge, unit, chosen)
            results.append(result)
            findings += _judge(unit, result)
    return results, findings


def _note(where: str, why: str) -> Finding:
    return Finding(code="not_recomputed", severity="note", where=where, message=why)


def _check_weights(unit: Unit, installed: str) -> Iterator[Finding]:
    """Compare the hash of the weights that a file records with that of the installed ones."""
    recorded = (unit.provenance or {}).get("weight_sha256")
    if recorded not in (None, installed):
        yield Finding(
            code="weights_differ",
            severity="error",
            where=f"{unit.path}: metadata.provenance.weight_sha256",
            message=f"it was made with weights of SHA-256 {str(recorded)[:16]}...; those that are "
            f"installed have {installed[:16]}...",
            remedy="Install the model again, then extract the unit with --overwrite.",
        )


def _recompute(bridge: Any, unit: Unit, chosen: tuple[int, ...]) -> ParityResult:
    sites = unit.sites
    # Copied because torch does not support read-only arrays.
    ids = {sample: np.array(unit.tokens[sample], dtype=np.int64) for sample in chosen}
    references = {sample: single_prompt(bridge, ids[sample], sites) for sample in chosen}
    differences: dict[str, list[float]] = {
        name: [
            max(
                relative_difference(saved[sample], references[sample][name, layer])
                for sample in chosen
            )
            for layer, saved in zip(
                known.site(name).layer_range(unit.n_layers), unit.site(name), strict=True
            )
        ]
        for name in sites
    }
    tolerance = PARITY + unit.rounding
    if not max((max(row) for row in differences.values()), default=0.0) <= tolerance:
        noise = own_error(bridge, ids, chosen, references, sites)
        tolerance = max(PARITY, 3 * noise) + unit.rounding
    return ParityResult(
        folder=unit.folder,
        emotion=unit.emotion,
        samples=chosen,
        tolerance=tolerance,
        differences=differences,
    )


def _judge(unit: Unit, result: ParityResult) -> list[Finding]:
    findings = []
    for site, layers in result.differences.items():
        # Written so that NaN, which compares with nothing, counts as too far.
        far = [layer for layer, value in enumerate(layers) if not value <= result.tolerance]
        if far:
            worst = int(np.argmax(np.nan_to_num(np.array(layers), nan=np.inf)))
            findings.append(
                Finding(
                    code="not_in_parity",
                    severity="error",
                    where=f"{unit.path}: {site} layer {worst}",
                    message=f"recomputed activations differ by {layers[worst]:.2g} of their norm "
                    f"({len(far)} layers beyond {result.tolerance:.2g})",
                    remedy="Extract the unit again with --overwrite.",
                )
            )
    return findings
