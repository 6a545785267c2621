"""Damaged files of every kind are read or refused; EMOACT_FUZZ_SECONDS sets for how long each."""

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from emoact.analysis.direction_files import read_directions
from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.causes import patterns
from emoact.causes.patterns import read_pattern
from emoact.causes.saved import SavedCause, read_cause
from emoact.child import ask
from emoact.cli import main
from emoact.data import read_prompts
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.jobs.directory import FrozenChoices
from emoact.jobs.progress import list_runs
from emoact.models.chat import read_template
from emoact.models.shape import gguf_sizes, read_config, shape_of_config
from emoact.models.weights import count_parameters, weight_files
from emoact.store import manifest
from emoact.store.contract import check_finite
from emoact.store.controls import ControlSettings, UnitControls, damage_of
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read, read_all
from emoact.store.summaries import unit_measures
from emoact.store.summaries.measures import ARRAYS
from emoact.store.summaries.summary_file import UnusableError, open_summary
from emoact.ui.folders import made_folders
from emoact.ui.notes import notes_of
from tests.support.hostile_archives import by_chance, honest
from tests.support.json_damage import (
    damage_bytes,
    damage_json,
    damage_line,
    damage_safetensors,
    damage_sealed,
    damage_words,
)
from tests.support.packaged import write_gguf
from tests.support.planted import plant_unit
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_causes import plant_ablations, plant_steering
from tests.support.planted_heads import plant_heads, plant_lens, plant_patterns
from tests.support.planted_runs import JOB, plant_job, plant_run
from tests.support.planted_scenarios import plant_scenarios
from tests.support.run_files import SAVED, an_event, write_events
from tests.support.units import manifest_entry

SECONDS = float(os.environ.get("EMOACT_FUZZ_SECONDS", "5"))
SEED = int(os.environ.get("EMOACT_FUZZ_SEED", "0"))
SHA256 = "0" * 64
RUN = "20260131-140500-aaaa"


@dataclass(frozen=True)
class Target:
    """A kind of file: an honest one, its damage, and the reader with its own refusals."""

    write: Callable[[Path], Path]
    damage: Callable[[random.Random, bytes], bytes]
    read: Callable[[Path], object]
    refuses: tuple[type[Exception], ...] = (EmoactError,)
    tries: int = 100


def _config(folder: Path) -> Path:
    path = folder / "config.json"
    fields = {"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "vocab_size": 9}
    path.write_text(json.dumps({**fields, "n_positions": 16, "num_key_value_heads": 2, "a": [1]}))
    return path


def _weights(folder: Path) -> Path:
    from numpy import ones

    save_file({"a": ones((2, 3)), "b": ones(4)}, folder / "model.safetensors")
    return folder / "model.safetensors"


def _index(folder: Path) -> Path:
    weights = _weights(folder)
    weights.rename(folder / "one.safetensors")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}))
    return path


def _template(folder: Path) -> Path:
    path = folder / "tokenizer_config.json"
    path.write_text(
        json.dumps({"chat_template": "{{ messages }}", "bos_token": {"content": "<s>"}})
    )
    return path


def _manifest(folder: Path) -> Path:
    root = ResultsRoot(folder)
    stated = {"store": "pickle", "sites": ["resid_pre"]}
    manifest.record(root, manifest_entry(emotion="anger", configuration=stated))
    return root.manifest


def _summary(folder: Path) -> Path:
    plant_unit(folder, "gpt2", "anger")
    unit_measures(ResultsRoot(folder), "gpt2", "anger")
    (path,) = ResultsRoot(folder).summaries.iterdir()
    return path


def _read_summary(path: Path) -> object:
    # Under the name of its own content, as an attacker would put it there.
    unit, _, _ = path.stem.partition("-")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    named = path.with_name(f"{unit}-{digest}.safetensors")
    path.replace(named)
    (unit_file,) = (path.parents[1] / "activations").rglob("*.pkl")
    sha256 = hashlib.sha256(unit_file.read_bytes()).hexdigest()
    try:
        measures = open_summary(named, sha256=sha256)
        return [one.arrays[name].shape for one in measures.sites.values() for name in ARRAYS]
    finally:
        named.unlink()


def _run_file(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        plant_job(folder, "finished", kind="report")
        return folder / "runs" / JOB / name

    return write


def _extraction(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        plant_run(folder, RUN, "failed", notes=["a note"])
        path = folder / "runs" / RUN / name
        if name == "events.jsonl":
            # Events count where there is no status.
            path.with_name("status.json").unlink()
            write_events(path, an_event("unit_saved", 2.0, **SAVED), an_event("turn", 3.0))
        return path

    return write


def _read_run(path: Path) -> object:
    results, run = str(path.parents[2]), path.parent.name
    for words in (["list"], ["show", run], ["show", run, "--json"]):
        assert main(["runs", *words, "--results", results]) == 0
    return list_runs(results)


def _analysis(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        plant_scenarios(folder)
        return plant_analysis(folder).path / name

    return write


def _read_analysis(path: Path) -> object:
    (row,) = list_analyses(ResultsRoot(path.parents[2]))
    if row.problem is not None:
        return row
    found = SavedAnalysis.open(path.parent)
    return found.models, found.tables, found.command


def _data_set(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def _compact(folder: Path) -> Path:
    path = folder / "activations_joy.zarr.zip"
    path.write_bytes(honest())
    return path


def _read_compact(path: Path) -> object:
    unit = read(path)
    check_finite(unit)
    return [unit.site(site) for site in unit.sites]


def _plan(folder: Path) -> Path:
    FrozenChoices(folder / "plan.json")["gpt2"] = {"threads": 1, "batches": [[1, 2], [3]]}
    return folder / "plan.json"


def _planted(plant: Callable[[Path], SavedCause]) -> Callable[[Path], Path]:
    return lambda folder: plant(folder).path


def _read_cause(path: Path) -> object:
    return read_cause(ResultsRoot(path.parents[2]), path.stem, path.parent.name)


def _patterns(folder: Path) -> Path:
    return plant_patterns(folder).path.parent / patterns.FILE


def _read_patterns(path: Path) -> object:
    saved = read_cause(ResultsRoot(path.parents[2]), "attention", path.parent.name)
    assert saved is not None
    # Under the size that it should have, as an attacker would state it.
    found = {**saved.found, "size": path.stat().st_size}
    return read_pattern(dataclasses.replace(saved, found=found), 1)


def _parquet(folder: Path) -> Path:
    import pandas as pd

    pd.DataFrame(ROWS).to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def _controls(folder: Path) -> Path:
    plant_scenarios(folder)
    unit = next(iter(read_all(folder)))
    settings = ControlSettings(sites=("mlp_out",), pooling="mean_content", n_shuffles=1, seed=0)
    controls = UnitControls(root=ResultsRoot(folder), unit=unit, settings=settings)
    shapes = controls.shapes.items()
    controls.write("contextless", {site: np.ones(shape, dtype="f4") for site, shape in shapes})
    return controls.path("contextless")


_CONTROLS = (OSError, ValueError, LookupError, TypeError)
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 0, "content": "a", "special": True, "single_word": False,
                      "lstrip": False, "rstrip": False, "normalized": False}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
}  # fmt: skip
ROWS = [{"text": f"A text {n}.", "emotion": ("joy", "calm")[n % 2], "id": f"{n}"} for n in range(4)]
TARGETS = {
    "config.json": Target(
        _config, damage_json, lambda path: shape_of_config(read_config(path.parent), path)
    ),
    "weights": Target(
        _weights, damage_safetensors, lambda path: count_parameters(weight_files(path.parent))
    ),
    "index of weights": Target(_index, damage_json, lambda path: weight_files(path.parent)),
    "chat template": Target(_template, damage_json, lambda path: read_template(path.parent, "m")),
    "gguf": Target(
        lambda folder: write_gguf(folder / "m.gguf"),
        damage_bytes,
        lambda path: gguf_sizes(str(path)),
    ),
    "manifest": Target(
        _manifest, damage_json, lambda path: manifest.load(ResultsRoot(path.parent))
    ),
    "summary": Target(_summary, damage_safetensors, _read_summary, (UnusableError,)),
    "summary words": Target(_summary, damage_words, _read_summary, (UnusableError,)),
    "analysis.json": Target(_analysis("analysis.json"), damage_sealed, _read_analysis, ()),
    **{
        name: Target(write, damage, _read_run, (), tries=30)
        for name, write, damage in (
            ("run config", _run_file("config.json"), damage_sealed),
            ("status", _run_file("status.json"), damage_sealed),
            ("extraction config", _extraction("config.json"), damage_sealed),
            ("extraction status", _extraction("status.json"), damage_sealed),
            ("events", _extraction("events.jsonl"), damage_line),
        )
    },
    "directions": Target(
        _analysis("directions_gpt2_resid_pre.safetensors"),
        damage_safetensors,
        read_directions,
        (OSError, ValueError),
    ),
    "table": Target(
        _analysis("tables/headline.parquet"),
        damage_bytes,
        lambda path: ask("emoact.analysis.table_files:check_size", str(path)),
        (RequestError,),
        tries=2,
    ),
    "tokenizer": Target(
        _data_set("tokenizer.json", json.dumps(TOKENIZER)),
        damage_json,
        lambda path: ask("emoact.models.tokenizer_file:size_of", str(path)),
        (RequestError,),
        tries=2,
    ),
    "compact": Target(
        _compact,
        lambda random_, _: by_chance(random_.getrandbits(32)),
        _read_compact,
        (FileRefusedError,),
    ),
    "plan": Target(_plan, damage_sealed, FrozenChoices),
    **{
        name: Target(_planted(plant), damage_sealed, _read_cause)
        for name, plant in (
            ("cause", plant_heads),
            ("lens", plant_lens),
            ("patterns", plant_patterns),
            ("steering", plant_steering),
            ("ablations", plant_ablations),
        )
    },
    "archive of patterns": Target(_patterns, damage_bytes, _read_patterns),
    "notes": Target(
        _data_set("notes.json", json.dumps({"a": "note", "b": ["x"]})),
        damage_json,
        lambda path: notes_of(str(path.parent)),
        (),
    ),
    "folders": Target(
        _data_set("folders.json", json.dumps(["one", "two", 3])),
        damage_json,
        lambda path: [Path(each).is_dir() for each in made_folders(str(path.parent))],
        (),
    ),
    "parquet": Target(_parquet, damage_bytes, read_prompts, tries=2),
    "controls": Target(_controls, damage_safetensors, damage_of, _CONTROLS),
    "json": Target(_data_set("a.json", json.dumps(ROWS)), damage_json, read_prompts),
    "jsonl": Target(
        _data_set("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        damage_json,
        read_prompts,
    ),
    "csv": Target(
        _data_set("a.csv", "text,emotion\n" + 'a "text",joy\n"b, c",calm\n' * 3),
        damage_bytes,
        read_prompts,
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_of_every_kind_are_read_or_refused(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    target, random_ = TARGETS[name], random.Random(f"{SEED} {name}")
    path = target.write(tmp_path)
    whole = path.read_bytes()
    target.read(path)
    until = time.monotonic() + SECONDS / len(TARGETS)
    tried = 0
    while tried < target.tries or time.monotonic() < until:
        tried += 1
        path.write_bytes(target.damage(random_, whole))
        with contextlib.suppress(*target.refuses):
            target.read(path)
    record_property("points", tried)
