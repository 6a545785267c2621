"""Formats of one unit: the same values, and the bytes that the run would have written."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emoact
from emoact.cli import main
from emoact.errors import EmoactError, RequestError
from emoact.jobs import launch
from emoact.schema import Precision
from emoact.sites import SiteName
from emoact.store.compact.writing import round_values
from emoact.store.convert import convert
from emoact.store.write import write_unit
from tests.support.stand_in_worker import WORKER
from tests.support.stand_in_world import World
from tests.support.typed import Typed
from tests.support.units import SampleUnit, contract_metadata, sample_unit

SITES: tuple[tuple[SiteName, ...], ...] = (
    ("resid_pre", "mlp_out"),
    ("resid_pre", "mlp_out", "resid_post", "pattern"),
)
PROVENANCE = {"schema_version": 1, "nan": float("nan"), "unit_key": "a" * 64}


def a_unit(sites: tuple[SiteName, ...] = SITES[0], **provenance: Any) -> SampleUnit:
    metadata = contract_metadata("gpt2", "joy", n_layers=3, d_model=6, n_samples=3, sites=sites)
    metadata["provenance"] = {**provenance, **PROVENANCE}
    unit = sample_unit(sites=sites, metadata=metadata)
    strings = [["Ġ�", '"', "\\", "日"], ["\x00"], [f"t{at}" for at in range(7)]]
    return dataclasses.replace(unit, token_strings=strings)


def write(unit: SampleUnit, folder: Path, name: str = "activations_joy.pkl") -> Path:
    write_unit(folder / name, shard=unit, **unit.parts())
    return folder / name


@pytest.mark.parametrize("sites", SITES)
def test_a_pickle_again_is_byte_equal(sites: tuple[SiteName, ...], tmp_path: Path) -> None:
    path = write(a_unit(sites, other=1), tmp_path)
    compact, back = tmp_path / "activations_joy.zarr.zip", tmp_path / "back.pkl"
    convert(path, to="compact", out=compact)
    convert(compact, to="pickle", out=back)
    assert back.read_bytes() == path.read_bytes()


def test_a_converted_file_has_the_key_of_a_run_in_its_format(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launch, "WORKER", WORKER)
    model = str(world.model())
    made: dict[str, Any] = {}
    paths = {}
    for store, suffix in (("pickle", "pkl"), ("compact", "zarr.zip")):
        results = world.path / store
        words = ["--dataset", str(world.dataset), "--results", str(results), "--store", store]
        assert main(["extract", "--model", model, *words]) == 0
        (paths[store],) = results.glob(f"activations/*/activations_anger.{suffix}")
        made[store] = emoact.read(paths[store]).provenance
    for source, to, suffix in (("pickle", "compact", "zarr.zip"), ("compact", "pickle", "pkl")):
        out = tmp_path / f"activations_anger.{suffix}"
        convert(paths[source], to=to, out=out)
        found = emoact.read(out).provenance
        assert found is not None
        assert list(found) == list(made[to])
        assert found["unit_key"] == made[to]["unit_key"]
        assert found.get("pickle_key") == made[to].get("pickle_key")


def test_a_rounded_file_stays_rounded_and_says_so(tmp_path: Path) -> None:
    path = write(a_unit(), tmp_path)
    rounded, pickled = tmp_path / "r.zarr.zip", tmp_path / "p.pkl"
    convert(path, to="compact", precision="rel1e-3", out=rounded)
    convert(rounded, to="pickle", out=pickled)
    exact, found = emoact.read(path), emoact.read(pickled)
    assert found.provenance is not None
    assert found.provenance["precision"] == "rel1e-3"
    assert found.provenance["unit_key"] != "a" * 64
    expected = round_values(np.array(exact.residual_stream[1][2]), "rel1e-3")
    assert (found.residual_stream[1][2] == expected).all()
    with pytest.raises(RequestError, match="cannot be undone"):
        convert(pickled, to="compact", precision="lossless", out=tmp_path / "l.zarr.zip")
    coarse = tmp_path / "c.zarr.zip"
    convert(pickled, to="compact", precision="rel8e-3", out=coarse)
    assert (emoact.read(coarse).provenance or {})["precision"] == "rel8e-3"


def test_wrong_requests_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    path = write(a_unit(), tmp_path)
    before = sorted(tmp_path.iterdir())
    asked: tuple[tuple[str, str, Precision | None, Path], ...] = (
        ("is there already", "pickle", None, path),
        ("does not end in .zarr.zip", "compact", None, tmp_path / "x.zip"),
        ("cannot round to rel1e-3", "pickle", "rel1e-3", tmp_path / "x.pkl"),
        ("store 'hdf5' is unknown", "hdf5", None, tmp_path / "x.h5"),
    )
    for message, to, precision, out in asked:
        with pytest.raises(RequestError, match=message):
            convert(path, to=to, precision=precision, out=out)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_files_of_others_are_converted_where_float32_holds_them(dtype: str, tmp_path: Path) -> None:
    payload = a_unit().payload()
    for key in ("residual_stream", "mlp_output"):
        payload[key] = [[array.astype(dtype) for array in layer] for layer in payload[key]]
    del payload["metadata"]["provenance"]
    path, out = tmp_path / "activations_joy.pkl", tmp_path / "activations_joy.zarr.zip"
    path.write_bytes(pickle.dumps(payload, protocol=4))
    if dtype == "float64":
        with pytest.raises(RequestError, match="is float64"):
            convert(path, to="compact", out=out)
        return
    convert(path, to="compact", out=out)
    saved = emoact.read(out).mlp_output[2][2]
    assert (saved == payload["mlp_output"][2][2].astype(np.float32)).all()


def test_metadata_that_are_not_plain_are_named(tmp_path: Path) -> None:
    payload = a_unit().payload()
    payload["metadata"]["scale"] = np.float64(2)
    path = tmp_path / "activations_joy.pkl"
    path.write_bytes(pickle.dumps(payload, protocol=4))
    with pytest.raises(EmoactError, match=r"metadata.*scale"):
        convert(path, to="compact", out=tmp_path / "activations_joy.zarr.zip")


def test_the_command_says_what_it_wrote(tmp_path: Path, typed: Typed) -> None:
    path, out = write(a_unit(), tmp_path), tmp_path / "activations_joy.zarr.zip"
    words = ["convert", str(path), "--to", "compact", "--out", str(out)]
    told = typed(*words, "--json").json
    assert told["size"] == out.stat().st_size
    typed(*words, code=2)
    out.unlink()
    typed("convert", tmp_path / "none.pkl", "--to", "compact", "--out", out, code=2)
