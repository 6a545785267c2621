"""Structure of the files, processing times, settings and versions, checks, how to reproduce."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from emoact import numbers, sites
from emoact.jobs import executor
from emoact.models.registry import REGISTRY
from emoact.report.document import (
    Block,
    Bullets,
    Code,
    Listing,
    Paragraph,
    Remark,
    Section,
    Text,
    table,
)
from emoact.report.material import Material, UnitFacts
from emoact.report.parts_data import shown_path
from emoact.report.words import Words
from emoact.sites import Site, saved_sites, site_names
from emoact.store.protocol import find_store, store_of


def structure(material: Material, words: Words) -> Section:
    """Structure of a pickle, with the sizes of these files."""
    units = material.units
    shapes = (words(f"structure.{name}") for name in ("residual", "mlp", "safe"))
    return Section(
        name="structure",
        title=words("structure.title"),
        blocks=(
            Paragraph(text=words("structure.lead")),
            Listing(text=_pickle(units, words), language="python"),
            Bullets(items=tuple(shapes)),
        ),
    )


def _pickle(units: tuple[UnitFacts, ...], words: Words) -> str:
    first = units[0]
    last_layer, last_sample = first.n_layers - 1, first.n_samples
    extras = [
        f"    '{site.key}': [...],  # {site.name}\n"
        for site in sites.SITES
        if not site.is_saved and any(site.name in unit.saved_sites for unit in units)
    ]
    flags = [f"'{site.flag}': {_saved(units, site)}" for site in sites.SITES if site.flag]
    layers = _either(unit.n_layers for unit in units)
    widths = _either(unit.d_model for unit in units)
    vocabularies = _either(unit.d_vocab for unit in units if unit.d_vocab is not None)
    names = _either(unit.model_name for unit in units)
    labels = _either(unit.emotion for unit in units)
    samples = _either(unit.n_samples for unit in units)
    layer = words.plain("structure.layer")
    return (
        "{\n"
        "    'residual_stream': [\n"
        f"        [sample1_layer0, ..., sample{last_sample}_layer0],  # {layer}0\n"
        "        ...\n"
        f"        [sample1_layer{last_layer}, ..., sample{last_sample}_layer{last_layer}],"
        f"  # {layer}{last_layer}\n"
        "    ],\n"
        "    'mlp_output': [[...], ...],\n" + "".join(extras) + "    'tokens': [token_tensor1, "
        "...],\n"
        "    'token_strings': [token_strings1, ...],\n"
        "    'labels': ['emotion1', ...],\n"
        "    'metadata': {\n"
        f"        'model_name': {names},\n"
        f"        'n_layers': {layers}, 'd_model': {widths}, 'd_vocab': {vocabularies or '...'},\n"
        f"        'n_samples': {samples},\n"
        f"        'emotion_label': {labels},\n"
        f"        {', '.join(flags)},\n"
        "        'prompts': [...], 'content_start': "
        f"{_either(unit.content_start for unit in units)}, 'provenance': {{...}},\n"
        "    },\n"
        "}\n"
    )


def _saved(units: tuple[UnitFacts, ...], site: Site) -> str:
    return _either(site.name in unit.saved_sites for unit in units)


def _either(values: Any) -> str:
    return " | ".join(repr(value) for value in dict.fromkeys(values))


def timing(material: Material, words: Words) -> Section:
    """Wall time and throughput of every unit and every model."""
    head = ["model", "emotion", "samples", "tokens", "seconds", "samples_per_s", "tokens_per_s"]
    rows: list[list[str | Text]] = []
    totals: list[Text] = []
    for folder in material.folders:
        own = material.of(folder)
        rows += [_timing_row(unit, words) for unit in own]
        seconds = [found for unit in own if (found := _seconds(unit)) is not None]
        if len(seconds) == len(own) and sum(seconds) > 0:
            totals.append(
                words(
                    "timing.total",
                    model=folder,
                    seconds=numbers.duration(sum(seconds)),
                    rate=numbers.significant(sum(unit.n_samples for unit in own) / sum(seconds)),
                    units=words.counted("emotion", len(own)),
                )
            )
    blocks: list[Block] = [
        Paragraph(text=words("timing.lead")),
        table([words.plain(f"column.{name}") for name in head], rows, numeric=(2, 3, 4, 5, 6)),
    ]
    if totals:
        blocks.append(Bullets(items=tuple(totals)))
    return Section(name="timing", title=words("timing.title"), blocks=tuple(blocks))


def _timing_row(unit: UnitFacts, words: Words) -> list[str | Text]:
    seconds = _seconds(unit)
    rates = (
        ["–", "–"]
        if not seconds
        else [
            numbers.significant(unit.n_samples / seconds),
            numbers.significant(unit.n_tokens / seconds),
        ]
    )
    return [
        unit.folder,
        words.emotion(unit.emotion),
        f"{unit.n_samples:,}",
        f"{unit.n_tokens:,}",
        "–" if seconds is None else numbers.duration(seconds),
        *rates,
    ]


def _seconds(unit: UnitFacts) -> float | None:
    throughput = unit.provenance.get("throughput")
    found = throughput.get("seconds") if isinstance(throughput, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def technical(material: Material, words: Words) -> tuple[Section, ...]:
    """Libraries, hooks, format, settings, and the commands that make all of it again."""
    return (
        Section(name="technical", title=words("technical.title"), blocks=()),
        Section(
            name="libraries",
            title=words("libraries.title"),
            level=3,
            blocks=(
                Bullets(items=tuple(words(f"libraries.{name}") for name in _LIBRARIES)),
                *_versions(material, words),
            ),
        ),
        Section(
            name="hooks",
            title=words("hooks.title"),
            level=3,
            blocks=(
                Bullets(
                    items=tuple(
                        words.site_hook(site)
                        for site in site_names()
                        if any(site in unit.saved_sites for unit in material.units)
                    )
                ),
            ),
        ),
        Section(
            name="format",
            title=words("format.title"),
            level=3,
            blocks=(Bullets(items=tuple(_formats(material, words))),),
        ),
        _settings(material, words),
        _reproduce(material, words),
    )


def _formats(material: Material, words: Words) -> Iterator[Text]:
    """Formats of the files, and executors of the runs that wrote them."""
    stores = {store_of(Path(unit.file)).name: unit.file for unit in material.units}
    for name in stores:
        store = find_store(name)
        if words.has(f"format.{name}"):
            yield words(f"format.{name}")
            yield words("format.reason")
        else:
            yield words("format.other", name=store.label, suffix=store.suffix)
    if material.executors:
        labels = [one.label for one in executor.EXECUTORS if one.name in material.executors]
        yield words("format.executors", names=", ".join(labels or material.executors))


_LIBRARIES = ("transformer_lens", "torch", "numpy")


def _versions(material: Material, words: Words) -> list[Block]:
    seen: dict[str, list[str]] = {}
    for unit in material.units:
        versions = unit.provenance.get("versions")
        for name, version in (versions if isinstance(versions, Mapping) else {}).items():
            known = seen.setdefault(str(name), [])
            if str(version) not in known:
                known.append(str(version))
    if not seen:
        return []
    return [
        table(
            [words.plain("column.library"), words.plain("column.version")],
            [[name, (Code(" | ".join(versions)),)] for name, versions in seen.items()],
        )
    ]


def _settings(material: Material, words: Words) -> Section:
    head = ["model", "processing", "bos", "dtype", "device", "sites"]
    rows: list[list[str | Text]] = []
    for folder in material.folders:
        own = {json.dumps(_settings_of(unit, words)): unit for unit in material.of(folder)}
        rows += [[folder, *_settings_of(unit, words)] for unit in own.values()]
    blocks: list[Block] = [table([words.plain(f"column.{name}") for name in head], rows)]
    if any(unit.configuration is None for unit in material.units):
        blocks.append(Remark(tone="warning", text=words("settings.unknown")))
    return Section(name="settings", title=words("settings.title"), level=3, blocks=tuple(blocks))


def _settings_of(unit: UnitFacts, words: Words) -> list[str]:
    made = unit.provenance
    bos = made.get("bos")
    policy = words.plain("unknown")
    if isinstance(bos, Mapping):
        prepended = bool(bos.get("prepended"))
        token = str(bos.get("token") or "")
        policy = f"{words.plain('bos.prepended')} {token}" if prepended else words.plain("bos.none")
    plain = [str(made.get(name) or words.plain("unknown")) for name in ("dtype", "device")]
    processing = str(made.get("processing") or words.plain("unknown"))
    return [processing, policy, *plain, ", ".join(unit.saved_sites)]


def _reproduce(material: Material, words: Words) -> Section:
    commands = [_extract(material.of(folder)) for folder in material.folders]
    dataset = next((_dataset(unit) for unit in material.units if _dataset(unit)), None)
    audit = "python -m emoact audit"
    commands += [
        f"{audit} --dataset {shlex.quote(shown_path(dataset))}" if dataset else audit,
        "python -m emoact verify",
        "python -m emoact norms --csv norms.csv",
        "python -m emoact analyze",
        f"python -m emoact report --lang {words.lang}",
    ]
    return Section(
        name="reproduce",
        title=words("reproduce.title"),
        level=3,
        blocks=(
            Paragraph(text=words("reproduce.lead")),
            Listing(text="\n".join(commands) + "\n", language="sh"),
            Paragraph(text=words("reproduce.same")),
        ),
    )


def _dataset(unit: UnitFacts) -> str | None:
    stated = unit.provenance.get("dataset")
    source = stated.get("source") if isinstance(stated, Mapping) else None
    return source if isinstance(source, str) else None


def _extract(units: tuple[UnitFacts, ...]) -> str:
    unit, made = units[0], units[0].provenance
    by_name = next((spec.name for spec in REGISTRY if spec.name == unit.folder), None)
    revision = made.get("revision")
    model = by_name or unit.model_name
    if by_name is None and revision not in (None, "", "main"):
        model = f"{model}@{revision}"
    words = ["python", "-m", "emoact", "extract", "--model", model]
    dataset = _dataset(unit)
    if dataset is not None:
        words += ["--dataset", shown_path(dataset)]
    bos = made.get("bos")
    if isinstance(bos, Mapping) and bos.get("policy") not in (None, "prepend"):
        words += ["--bos", str(bos["policy"])]
    for name, default in (("processing", "raw"), ("dtype", "float32")):
        if made.get(name) not in (None, default):
            words += [f"--{name}", str(made[name])]
    if unit.saved_sites != saved_sites():
        words += [part for site in unit.saved_sites for part in ("--site", site)]
    return shlex.join(words)


def verification(material: Material, words: Words) -> Section:
    """Checks of the files and their results."""
    units = material.units
    same = [unit for unit in units if unit.recorded == unit.sha256]
    changed = [unit for unit in units if unit.recorded not in (None, unit.sha256)]
    items = [
        words("checks.contract", files=words.counted("file", len(units))),
        words(
            "checks.hashes",
            same=len(same),
            files=len(units),
        ),
    ]
    errors = [error for unit in units if (error := _additivity(unit)) is not None]
    if errors:
        items.append(words("checks.additivity", error=f"{max(errors):.1e}"))
    differences = [found for unit in units if (found := _difference(unit)) is not None]
    if differences:
        items.append(words("checks.parity", error=f"{max(differences):.1e}"))
    blocks: list[Block] = [Bullets(items=tuple(items))]
    if changed:
        names = words.joined([f"{unit.folder}/{unit.emotion}" for unit in changed])
        blocks.append(Remark(tone="error", text=words("checks.changed", files=names)))
    for problem in material.problems:
        name = "/".join(PurePath(problem.where).parts[-2:])
        text = words("checks.refused", file=(Code(name),), reason=problem.message)
        blocks.append(Remark(tone="error", text=text))
    blocks.append(Paragraph(text=words("checks.verify")))
    return Section(name="verification", title=words("checks.title"), blocks=tuple(blocks))


def _additivity(unit: UnitFacts) -> float | None:
    check = unit.provenance.get("self_check")
    found = check.get("additivity_error") if isinstance(check, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def _difference(unit: UnitFacts) -> float | None:
    plan = unit.provenance.get("plan")
    found = plan.get("difference") if isinstance(plan, Mapping) else None
    return float(found) if isinstance(found, int | float) else None
