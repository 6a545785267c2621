"""A format that exists in this file alone is written, read, checked, shown and reported."""

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emoact
from emoact.cli import main
from emoact.errors import FileRefusedError
from emoact.host import worker
from emoact.jobs import launch
from emoact.jobs.attempt import leave
from emoact.report.making import make_report
from emoact.schema import Precision
from emoact.store import protocol
from emoact.store.atomic import replace_atomically
from emoact.store.contract import check_finite
from emoact.store.protocol import Verified, Written
from emoact.store.reading import unit_of
from emoact.store.shard import Activations
from emoact.store.unit import Unit
from tests.support.numpy_engine import numpy_engine
from tests.support.pages import choices, open_page
from tests.support.pages import words as page_words
from tests.support.stand_in_world import EMOTIONS, World, extract, files
from tests.support.typed import Typed

WORKER = (sys.executable, "-P", "-m", "tests.contract.test_add_a_store")
"""The worker of a run: this file as a process, see its end."""
KEYS = {"resid_pre": "residual_stream", "mlp_out": "mlp_output"}


class NpzStore:
    """NumPy's own archive: an array for each site, layer and sample, and JSON for the rest."""

    name = "npz"
    label = "NumPy archive"
    about = "one .npz file for each model and emotion"
    suffix = ".npz"
    precisions: Mapping[Precision, float] = {"lossless": 1.0}

    def write(
        self,
        target: Path,
        *,
        shard: Activations,
        tokens: Sequence[Any],
        token_strings: Sequence[Sequence[str]],
        labels: Sequence[str],
        metadata: Mapping[str, Any],
    ) -> Written:
        words = {
            "token_strings": [list(strings) for strings in token_strings],
            "labels": list(labels),
            "metadata": dict(metadata),
        }
        arrays = {f"tokens.{sample}": ids for sample, ids in enumerate(tokens)}
        arrays |= {
            f"{KEYS[site]}.{layer}.{sample}": shard.rows(site, layer, sample)
            for site in shard.layout.sites
            for layer in shard.layout.layers(site)
            for sample in range(shard.layout.n_samples)
        }
        buffer = io.BytesIO()
        np.savez(buffer, words=np.array(json.dumps(words)), **arrays)
        data = buffer.getvalue()
        with replace_atomically(target, need=len(data)) as file:
            file.write(data)
        return Written(sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    def read(self, path: Path) -> Unit:
        try:
            with np.load(path, allow_pickle=False) as archive:
                words = json.loads(str(archive["words"]))
                arrays = {name: archive[name] for name in archive.files if name != "words"}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise FileRefusedError(str(error), path=str(path)) from None
        n_samples, n_layers = len(words["labels"]), words["metadata"]["n_layers"]
        sites = {
            key: [
                [arrays[f"{key}.{layer}.{sample}"] for sample in range(n_samples)]
                for layer in range(n_layers)
            ]
            for key in KEYS.values()
        }
        tokens = [arrays[f"tokens.{sample}"] for sample in range(n_samples)]
        return unit_of(path, {**words, **sites, "tokens": tokens})

    def verify(self, path: Path) -> Verified:
        try:
            unit = self.read(path)
        except FileRefusedError as error:
            return Verified(unit=None, findings=(), refusal=error)
        return Verified(unit=unit, findings=(*unit.notes, *check_finite(unit)))


@pytest.fixture
def extracted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A results folder whose units a run has written as .npz files."""
    monkeypatch.setattr(protocol, "STORES", (*protocol.STORES, NpzStore()))
    monkeypatch.setattr(launch, "WORKER", WORKER)
    world.model()
    assert main(extract(world, "--store", "npz")) == 0
    return world


def test_a_run_writes_it_and_records_it(extracted: World) -> None:
    assert [path.name for path in files(extracted)] == [
        f"activations_{emotion}.npz" for emotion in EMOTIONS
    ]
    manifest = json.loads((extracted.results / "manifest.json").read_text())
    entries = [
        manifest["units"][path.relative_to(extracted.results).as_posix()]
        for path in files(extracted)
    ]
    for path, entry in zip(files(extracted), entries, strict=True):
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["configuration"]["store"] == "npz"


def test_a_second_run_leaves_it_and_replaces_it_if_asked(extracted: World, typed: Typed) -> None:
    arrays = emoact.read(files(extracted)[0]).residual_stream[0][0].copy()
    before = [path.stat().st_mtime_ns for path in files(extracted)]
    typed(*extract(extracted, "--store", "npz"))
    assert [path.stat().st_mtime_ns for path in files(extracted)] == before
    assert 'store: saved "npz", asked nothing' in typed(*extract(extracted), code=2).err
    typed(*extract(extracted, "--overwrite"))
    assert [path.suffix for path in files(extracted)] == [".pkl", ".pkl"]
    assert (emoact.read(files(extracted)[0]).residual_stream[0][0] == arrays).all()
    typed("verify", "--samples", "0", "--results", extracted.results)


def test_it_is_read_like_any_other_and_the_commands_take_it(extracted: World, typed: Typed) -> None:
    unit = emoact.read(files(extracted)[0])
    assert (unit.emotion, unit.n_samples, unit.sites) == ("anger", 3, ("resid_pre", "mlp_out"))
    grid = emoact.read_all(extracted.results)
    assert [unit.emotion for unit in grid] == list(EMOTIONS)
    assert grid.problems == ()
    told = typed("inspect", files(extracted)[0], "--json").json
    assert (told["ok"], told["emotion"], told["n_samples"]) == (True, "anger", 3)
    typed("verify", "--samples", "0", "--results", extracted.results)
    rows = typed("norms", "--results", extracted.results, "--json").json["rows"]
    assert {row["emotion"] for row in rows} == set(EMOTIONS)


def test_damage_is_found(extracted: World, typed: Typed) -> None:
    path = files(extracted)[0]
    path.write_bytes(path.read_bytes()[:100])
    said = typed("verify", "--samples", "0", "--results", extracted.results, code=1)
    assert path.name in "".join(said)
    typed("inspect", path, code=1)
    (problem,) = emoact.read_all(extracted.results).problems
    assert problem.where == str(path)


def test_help_pages_and_report_show_it(
    extracted: World, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    shown = " ".join(typed("extract", "--help").out.split())
    assert "npz: one .npz file for each model and emotion" in shown
    monkeypatch.setenv("EMOACT_RESULTS", str(extracted.results))
    assert "2 files of 1 model on disk" in page_words(open_page("home"))
    formats = choices(open_page("extract"))["Format"]
    assert formats == ["Pickle", "Compact", "Pooled vectors only", "NumPy archive"]
    text = make_report(extracted.results, lang="en").path.read_text()
    assert "activations_anger.npz" in text
    assert "NumPy archive" in text
    assert "This machine" in text


if __name__ == "__main__":
    protocol.STORES = (*protocol.STORES, NpzStore())
    leave(worker.main(engine_for=numpy_engine, summarise=False))
