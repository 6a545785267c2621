"""The file in which a unit's activations gather: its pickle, as long as it has no name."""

import errno
import hashlib
import os
import pickle
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.errors import EmoactError
from emoact.sites import site_names
from emoact.store.atomic import remove_left_behind
from emoact.store.protocol import Written
from emoact.store.read.closed import load_closed
from emoact.store.reading import read
from emoact.store.shard import ShardLayout
from emoact.store.write import UnitFile, lay_out, write_unit
from tests.support.honest import difference
from tests.support.units import SampleUnit, sample_unit

UNIT = sample_unit(sites=site_names())


def laid_out(target: Path, unit: SampleUnit = UNIT) -> AbstractContextManager[UnitFile]:
    return lay_out(target, layout=unit.layout, **unit.parts())


def fill(file: UnitFile) -> None:
    for (site, layer), samples in UNIT.activations.items():
        for sample, array in enumerate(samples):
            file.put(site, layer, sample, array)


def temporary(folder: Path) -> Path:
    (found,) = folder.glob(".emoact-*.tmp")
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[UnitFile]:
    """A file without any array yet."""
    with laid_out(tmp_path / "unit.pkl") as file:
        yield file


def test_an_array_that_is_not_contiguous_is_saved_by_its_values(empty: UnitFile) -> None:
    array = np.arange(48, dtype=np.float32).reshape(6, 8).T[::2]
    empty.put("mlp_out", 0, 0, array)
    np.testing.assert_array_equal(empty.rows("mlp_out", 0, 0), array)


@pytest.mark.parametrize("shape", [(3, 6), (4, 5), (4,), (6, 4), (1, 4, 6)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...], empty: UnitFile) -> None:
    with pytest.raises(ValueError, match=r"resid_pre layer 1 sample 0 has shape .*not \(4, 6\)"):
        empty.put("resid_pre", 1, 0, np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize(
    ("site", "layer", "sample"),
    [("resid_pre", 3, 0), ("resid_pre", -1, 0), ("resid_post", 0, 0), ("mlp_out", 0, 3)],
)
def test_a_place_outside_the_layout(site: Any, layer: int, sample: int, empty: UnitFile) -> None:
    with pytest.raises((KeyError, IndexError)):
        empty.put(site, layer, sample, np.zeros((4, 6), dtype=np.float32))


def test_samples_are_not_counted_from_the_end(empty: UnitFile) -> None:
    last = UNIT.activations["resid_pre", 0][2]
    with pytest.raises(IndexError, match="sample -1"):
        empty.put("resid_pre", 0, -1, last)
    with pytest.raises(IndexError, match="sample -1"):
        empty.rows("resid_pre", 0, -1)


def test_an_activation_never_computed_is_never_read_as_zeros(empty: UnitFile) -> None:
    empty.put("resid_pre", 0, 0, UNIT.activations["resid_pre", 0][0])
    with pytest.raises(EmoactError, match="resid_pre layer 0 sample 1 was never computed"):
        empty.rows("resid_pre", 0, 1)


def test_short_reads_and_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_unit(tmp_path / "at_once.pkl", shard=UNIT, **UNIT.parts())
    pread = os.pread

    def write_little(descriptor: int, pieces: Any, position: int) -> int:
        return os.pwrite(descriptor, b"".join(bytes(piece) for piece in pieces)[:7], position)

    def read_little(descriptor: int, size: int, position: int) -> bytes:
        return pread(descriptor, min(size, 5), position)

    monkeypatch.setattr(os, "pwritev", write_little)
    monkeypatch.setattr(os, "pread", read_little)
    with laid_out(tmp_path / "unit.pkl") as file:
        fill(file)
        for (site, layer), samples in UNIT.activations.items():
            for sample, array in enumerate(samples):
                np.testing.assert_array_equal(file.rows(site, layer, sample), array)
        assert write_unit(tmp_path / "unit.pkl", shard=file, **UNIT.parts()) == written
    assert (tmp_path / "unit.pkl").read_bytes() == (tmp_path / "at_once.pkl").read_bytes()


def test_a_file_cut_from_outside_is_an_error(empty: UnitFile, tmp_path: Path) -> None:
    fill(empty)
    path = temporary(tmp_path)
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(EmoactError, match="could not be read back: the file is shorter"):
        write_unit(tmp_path / "unit.pkl", shard=empty, **UNIT.parts())
    assert not (tmp_path / "unit.pkl").exists()


def test_the_space_is_there_before_the_first_array(tmp_path: Path) -> None:
    unit = sample_unit(sites=("resid_pre",), n_layers=4, d_model=256, lengths=(256,))
    with laid_out(tmp_path / "unit.pkl", unit):
        assert unit.layout.n_bytes == 4 * 256 * 256 * 4
        assert temporary(tmp_path).stat().st_blocks * 512 >= unit.layout.n_bytes


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, None])
def test_where_space_cannot_be_reserved_the_file_works_all_the_same(
    code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "refused") if code else AttributeError("posix_fallocate")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    write_unit(tmp_path / "unit.pkl", shard=UNIT, **UNIT.parts())
    found = pickle.loads((tmp_path / "unit.pkl").read_bytes())
    np.testing.assert_array_equal(found["mlp_output"][2][2], UNIT.activations["mlp_out", 2][2])


@pytest.mark.parametrize("can_reserve", [True, False])
def test_a_unit_larger_than_the_disk_is_refused_at_once_and_leaves_nothing(
    can_reserve: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "refused")

    if not can_reserve:
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    status = os.statvfs(tmp_path)
    width = status.f_blocks * status.f_frsize // 4 + 1
    layout = ShardLayout(sites=("resid_pre",), n_layers=2, d_model=width, lengths=(1,))
    parts = sample_unit(lengths=(1,)).parts()
    with (
        pytest.raises(EmoactError, match=r"[\d,]+ bytes are needed and [\d,]+ bytes are free"),
        lay_out(tmp_path / "unit.pkl", layout=layout, **parts),
    ):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with laid_out(tmp_path / "unit.pkl"):
        assert not (tmp_path / "unit.pkl").exists()
    assert list(tmp_path.iterdir()) == []


def test_files_of_dead_writers_go_and_those_of_live_ones_stay(tmp_path: Path) -> None:
    with laid_out(tmp_path / "gpt2" / "unit.pkl") as live:
        for folder in ("gpt2", "pythia"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f".emoact-{'0' * 16}.tmp").write_bytes(b"torn")
        (tmp_path / "pythia" / "unit.pkl").write_bytes(b"whole")
        remove_left_behind(tmp_path)
        names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
        assert sorted(names) == sorted([temporary(tmp_path / "gpt2").name, "unit.pkl"])
        live.put("mlp_out", 0, 0, UNIT.activations["mlp_out", 0][0])
    remove_left_behind(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sites": ()}, "sites is"),
        ({"sites": ("resid_pre", "resid_pre")}, "sites is"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"d_model": 0}, "d_model 0"),
        ({"lengths": (3, -1)}, "shortest sample -1"),
        ({"sites": ("pattern",)}, "needs n_heads"),
    ],
)
def test_an_impossible_layout_is_refused(change: dict[str, Any], said: str) -> None:
    sound: dict[str, Any] = {"sites": ("resid_pre",), "n_layers": 1, "d_model": 1, "lengths": (1,)}
    with pytest.raises(ValueError, match=said):
        ShardLayout(**(sound | change))


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
