"""Units on disk: whole, hashed, or not at all."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.errors import EmoactError
from emoact.sites import site_names
from emoact.store.protocol import Written
from emoact.store.read.closed import load_closed
from emoact.store.reading import read
from emoact.store.write import lay_out, write_unit
from tests.support.honest import difference
from tests.support.units import SampleUnit, sample_unit


def _write(unit: SampleUnit, target: Path, **other: Any) -> Written:
    return write_unit(target, shard=unit, **(unit.parts() | other))


def test_hash_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    written = _write(sample_unit(sites=site_names()), tmp_path / "deep" / "unit.pkl")
    data = (tmp_path / "deep" / "unit.pkl").read_bytes()
    assert written == Written(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def test_a_plain_pickle_load_and_the_closed_reader_agree(tmp_path: Path) -> None:
    unit = sample_unit(
        sites=site_names(), metadata={
            "model_name": "gpt2", "n_layers": 3, "d_model": 6, "d_vocab": 50257, "n_samples": 3,
            "emotion_label": "joy", "save_residual_stream": True, "save_mlp_output": True,
            "save_attention": True,
        },
    )  # fmt: skip
    _write(unit, tmp_path / "unit.pkl")
    with (tmp_path / "unit.pkl").open("rb") as file:
        plain = pickle.load(file)
    assert difference(load_closed(tmp_path / "unit.pkl"), plain) is None
    assert set(read(tmp_path / "unit.pkl").sites) == set(site_names())
    assert all(isinstance(ids, torch.Tensor) for ids in plain["tokens"])


def test_the_old_file_stays_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    target = tmp_path / "unit.pkl"
    before = _write(sample_unit(), target)
    unit = sample_unit(seed=1)
    with lay_out(target, layout=unit.layout, **unit.parts()) as file:
        for site, layer in unit.activations:
            for sample in range(unit.layout.n_samples - (site == "mlp_out" and layer == 2)):
                file.put(site, layer, sample, unit.rows(site, layer, sample))
        with pytest.raises(EmoactError, match="mlp_out layer 2 sample 2 was never computed"):
            write_unit(target, shard=file, **unit.parts())
    assert hashlib.sha256(target.read_bytes()).hexdigest() == before.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["unit.pkl"]


@pytest.mark.parametrize(
    "change", [{"metadata": {"n": 1 << 40}}, {"labels": ["joy", "joy", "Joy"]}]
)
def test_longer_words_are_written_too(change: dict[str, Any], tmp_path: Path) -> None:
    unit = sample_unit(metadata={"n": 1})
    with lay_out(tmp_path / "a.pkl", layout=unit.layout, **unit.parts()) as file:
        for site, layer in unit.activations:
            for sample in range(unit.layout.n_samples):
                file.put(site, layer, sample, unit.rows(site, layer, sample))
        written = write_unit(tmp_path / "a.pkl", shard=file, **(unit.parts() | change))
    assert written == _write(unit, tmp_path / "b.pkl", **change)
    assert (tmp_path / "a.pkl").read_bytes() == (tmp_path / "b.pkl").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": []}, "tokens has 0 entries for 3 samples"),
        ({"labels": ["joy"] * 4}, "labels has 4 entries for 3 samples"),
        ({"token_strings": [["a"]]}, "token_strings has 1 entries for 3 samples"),
        (
            {"tokens": [np.zeros(n, dtype=np.int64) for n in (4, 2, 7)]},
            r"tokens\[1\] is int64 of shape \(2,\), not int64 of \(1,\)",
        ),
        (
            {"tokens": [np.zeros((n, 1), dtype=np.int64) for n in (4, 1, 7)]},
            r"tokens\[0\] is int64 of shape \(4, 1\)",
        ),
        (
            {"token_strings": [["a"] * n for n in (4, 1, 6)]},
            r"token_strings\[2\] has 6 strings for 7 positions",
        ),
        ({"metadata": {"seed": np.int64(1)}}, r"metadata\['seed'\] is a numpy.int64"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_odd_parts_leave_no_file(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(EmoactError, match=said):
        _write(sample_unit(), tmp_path / "unit.pkl", **change)
    assert not (tmp_path / "unit.pkl").exists()


@pytest.mark.fault
def test_ten_times_the_samples_need_no_more_memory(tmp_path: Path) -> None:
    """The peak of a fresh process writing 15 MB and 150 MB; the arrays never gather in memory."""
    script = """
import resource, sys
import numpy as np
from emoact.store.shard import ShardLayout
from emoact.store.write import lay_out, write_unit
n, folder = int(sys.argv[1]), sys.argv[2]
layout = ShardLayout(
    sites=("resid_pre", "mlp_out"), n_layers=4, d_model=512, lengths=(12,) * n
)
ids = np.zeros(12, dtype=np.int64)
parts = dict(tokens=[ids] * n, token_strings=[["x"] * 12] * n, labels=["joy"] * n, metadata={})
rows = np.ones((12, 512), dtype=np.float32)
with lay_out(f"{folder}/u.pkl", layout=layout, **parts) as file:
    for site in layout.sites:
        for layer in range(4):
            for sample in range(n):
                file.put(site, layer, sample, rows)
    write_unit(f"{folder}/u.pkl", shard=file, **parts)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", script, str(samples), str(tmp_path)],
                capture_output=True,
                text=True,
                check=True,
                env={"PYTHONPATH": ":".join(sys.path)},
            ).stdout
        )
        for samples in (75, 750)
    ]
    assert peaks[1] <= 1.2 * peaks[0]
