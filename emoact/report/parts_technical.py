"""Structure of the files, processing times, settings and versions, checks, how to reproduce."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from emoact import numbers, sites
from emoact.jobs import executor
from emoact.models.registry import REGISTRY
from emoact.report.document import Block, Marked, Remark, Section, bullets, code, listing, marked
from emoact.report.material import Material, UnitFacts
from emoact.report.parts_causes import causes_of, heads_of
from emoact.report.parts_data import shown_path
from emoact.report.words import Words
from emoact.schema import ChatFormat, Generation
from emoact.sites import saved_sites
from emoact.store.protocol import STORES, find_store, store_of
from emoact.views import catalogue
from emoact.views.causes import Causes
from emoact.views.heads import Heads

_LIBRARIES = ("transformer_lens", "torch", "numpy")


def structure(material: Material, words: Words) -> Section:
    """Structure of a pickle, with the sizes of these files."""
    shapes = bullets(words(f"structure.{name}") for name in ("residual", "mlp", "safe"))
    pickle = listing(_pickle(material, words), "python")
    return words.section("structure", [words("structure.lead"), pickle, shapes])


def _pickle(material: Material, words: Words) -> str:
    units = material.units
    extras = [
        f"    '{site.key}': [...],  # {site.name}\n" for site in material.sites if not site.is_saved
    ]
    flags = [
        f"'{site.flag}': {_either(site.name in unit.saved_sites for unit in units)}"
        for site in sites.SITES
        if site.flag
    ]
    last, samples = units[0].n_layers - 1, units[0].n_samples
    vocabularies = _either(unit.d_vocab for unit in units if unit.d_vocab is not None)
    return f"""{{
    'residual_stream': [
        [sample1_layer0, ..., sample{samples}_layer0],  # {words.plain("structure.layer", number=0)}
        ...
        [sample1_layer{last}, ..., sample{samples}_layer{last}],\
  # {words.plain("structure.layer", number=last)}
    ],
    'mlp_output': [[...], ...],
{"".join(extras)}    'tokens': [token_tensor1, ...],
    'token_strings': [token_strings1, ...],
    'labels': ['emotion1', ...],
    'metadata': {{
        'model_name': {_either(unit.model_name for unit in units)},
        'n_layers': {_either(unit.n_layers for unit in units)}, \
'd_model': {_either(unit.d_model for unit in units)}, 'd_vocab': {vocabularies or "..."},
        'n_samples': {_either(unit.n_samples for unit in units)},
        'emotion_label': {_either(unit.emotion for unit in units)},
        {", ".join(flags)},
        'prompts': [...], 'content_start': {_either(unit.content_start for unit in units)}, \
'provenance': {{...}},
    }},
}}"""


def _either(values: Iterable[object]) -> str:
    return " | ".join(repr(value) for value in dict.fromkeys(values))


def timing(material: Material, words: Words) -> Section:
    """Wall time and throughput of every unit and every model."""
    head = ["model", "emotion", "samples", "tokens", "seconds", "samples_per_s", "tokens_per_s"]
    totals = []
    for folder in material.folders:
        own = material.of(folder)
        seconds = [found for unit in own if (found := unit.number("throughput", "seconds"))]
        if len(seconds) == len(own):
            totals.append(
                words(
                    "timing.total",
                    model=folder,
                    seconds=numbers.duration(sum(seconds)),
                    rate=numbers.significant(sum(unit.n_samples for unit in own) / sum(seconds)),
                    units=words.counted("emotion", len(own)),
                )
            )
    rows = [_timing_row(unit, words) for unit in material.units]
    table = words.table(head, rows, numeric=range(2, 7))
    return words.section("timing", [words("timing.lead"), table, bullets(totals)])


def _timing_row(unit: UnitFacts, words: Words) -> list[str]:
    seconds = unit.number("throughput", "seconds")
    rates = [
        numbers.significant(n / seconds) if seconds else numbers.MISSING
        for n in (unit.n_samples, unit.n_tokens)
    ]
    return [
        unit.folder,
        words.emotion(unit.emotion),
        f"{unit.n_samples:,}",
        f"{unit.n_tokens:,}",
        numbers.MISSING if seconds is None else numbers.duration(seconds),
        *rates,
    ]


def technical(material: Material, words: Words) -> tuple[Section, ...]:
    """Libraries, hooks, format, settings, and the commands that make all of it again."""
    libraries = bullets(words(f"libraries.{name}") for name in _LIBRARIES)
    hooks = bullets(
        Marked(f"{code(site.hook)}: {marked(words.site(site.name))}") for site in material.sites
    )
    parts: dict[str, list[Block]] = {
        "libraries": [libraries, *_versions(material, words)],
        "hooks": [hooks],
        "format": [bullets(_formats(material, words))],
        "settings": _settings(material, words),
        "reproduce": [
            words("reproduce.lead"),
            listing("\n".join(_commands(material, words.lang)), "sh"),
            words("reproduce.same"),
        ],
    }
    sections = (words.section(name, blocks, level=3) for name, blocks in parts.items())
    return (words.section("technical", []), *sections)


def _formats(material: Material, words: Words) -> Iterator[Marked]:
    for name in dict.fromkeys(store_of(Path(unit.file)).name for unit in material.units):
        store = find_store(name)
        if words.has(f"format.{name}"):
            yield words(f"format.{name}")
            yield words("format.reason" if name == "pickle" else f"format.reason.{name}")
        else:
            yield words("format.other", name=store.label, suffix=code(store.suffix))
    if material.executors:
        known = (*executor.EXECUTORS, executor.SHARDS)
        labels = [one.label for one in known if one.name in material.executors]
        yield words("format.executors", names=", ".join(labels or material.executors))


def _versions(material: Material, words: Words) -> list[Block]:
    seen: dict[str, dict[str, None]] = {}
    for unit in material.units:
        for name, version in (unit.stated("versions") or {}).items():
            seen.setdefault(str(name), {})[str(version)] = None
    rows = [[name, code(" | ".join(versions))] for name, versions in seen.items()]
    return [words.table(["library", "version"], rows)] if rows else []


def _settings(material: Material, words: Words) -> list[Block]:
    head = ["model", "processing", "bos", "dtype", "device", "sites"]
    rows = dict.fromkeys((unit.folder, *_settings_of(unit, words)) for unit in material.units)
    blocks: list[Block] = [words.table(head, list(rows))]
    if any(unit.configuration is None for unit in material.units):
        blocks.append(Remark(tone="warning", text=words("settings.unknown")))
    return blocks


def _settings_of(unit: UnitFacts, words: Words) -> list[str]:
    processing, dtype, device = (
        str(unit.provenance.get(name) or words.plain("unknown"))
        for name in ("processing", "dtype", "device")
    )
    policy = words.plain("unknown" if unit.stated("bos", "prepended") is None else "bos.none")
    if unit.stated("bos", "prepended"):
        policy = f"{words.plain('bos.prepended')} {unit.stated('bos', 'token') or ''}"
    if "chat" in unit.provenance:
        policy += f", {words.plain('chat.template')}"
    generation = Generation.of(unit.provenance.get("generation"))
    if generation is not None:
        policy += f", {words.plain('generation', n=generation.max_tokens)}"
    if unit.provenance.get("precision", "lossless") != "lossless":
        dtype += f" ({unit.provenance['precision']})"
    return [processing, policy, dtype, device, ", ".join(unit.saved_sites)]


def _commands(material: Material, lang: str) -> list[str]:
    sources = (unit.stated("dataset", "source") for unit in material.units)
    dataset = next((source for source in sources if isinstance(source, str)), None)
    named = ["--dataset", shown_path(dataset)] if dataset else []
    return [
        *(_extract(material.of(folder)[0]) for folder in material.folders),
        shlex.join(["python", "-m", "emoact", "audit", *named]),
        "python -m emoact verify",
        "python -m emoact norms --csv norms.csv",
        *_found(material),
        f"python -m emoact report --lang {lang}",
    ]


def _found(material: Material) -> Iterable[str]:
    found = material.phase3
    yield (
        "python -m emoact analyze"
        if found is None
        else _here(shlex.split(found.source.saved.command))
    )
    pages: dict[str, Heads | Causes] = {"heads": heads_of(material), "causes": causes_of(material)}
    words = {
        shlex.join(view.command(source, choice)): None
        for page, source in pages.items()
        for view in catalogue.of_page(page)
        if view.in_report and view.command
        for choice in view.in_report(source)
    }
    yield from (_here(["python", "-m", "emoact", *shlex.split(said)]) for said in words)


def _here(words: Sequence[str]) -> str:
    """A shell command without the results folder, whose path is that of this machine."""
    at = words.index("--results") if "--results" in words else len(words)
    return shlex.join([*words[:at], *words[at + 2 :]])


def _extract(unit: UnitFacts) -> str:
    made, revision = unit.provenance, unit.provenance.get("revision")
    model = unit.folder
    if not any(spec.name == unit.folder for spec in REGISTRY):
        model = unit.model_name + (f"@{revision}" if revision not in (None, "", "main") else "")
    words = ["python", "-m", "emoact", "extract", "--model", model]
    dataset, bos = unit.stated("dataset", "source"), unit.stated("bos", "policy")
    if isinstance(dataset, str):
        words += ["--dataset", shown_path(dataset)]
    if bos not in (None, "prepend", "template"):
        words += ["--bos", str(bos)]
    chat = ChatFormat.of(made.get("chat"))
    words += [] if chat is None else chat.command
    generation = Generation.of(made.get("generation"))
    words += [] if generation is None else generation.command
    store = store_of(Path(unit.file)).name
    words += [] if store == STORES[0].name else ["--store", store]
    precision = made.get("precision", "lossless")
    words += [] if precision == "lossless" else ["--precision", str(precision)]
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
        words("checks.hashes", same=len(same), files=len(units)),
    ]
    for key, path in (
        ("checks.additivity", ("self_check", "additivity_error")),
        ("checks.parity", ("plan", "difference")),
    ):
        errors = [error for unit in units if (error := unit.number(*path)) is not None]
        if errors:
            items.append(words(key, error=f"{max(errors):.1e}"))
    blocks: list[Block] = [bullets(items)]
    if changed:
        names = words.joined([f"{unit.folder}/{unit.emotion}" for unit in changed])
        blocks.append(Remark(tone="error", text=words("checks.changed", files=names)))
    for problem in material.problems:
        name = "/".join(PurePath(problem.where).parts[-2:])
        text = words("checks.refused", file=code(name), reason=problem.message)
        blocks.append(Remark(tone="error", text=text))
    return words.section("verification", [*blocks, words("checks.verify")])
