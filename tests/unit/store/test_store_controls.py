import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from emoact.errors import FileRefusedError, RequestError
from emoact.store.controls import UnitControls
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from emoact.store.unit import Unit
from tests.support.planted_scenarios import control_vectors, plant_controls


@pytest.fixture
def controls(tmp_path: Path) -> UnitControls:
    return plant_controls(tmp_path, n_shuffles=20)


def with_metadata(unit: Unit, **changes: object) -> Unit:
    return dataclasses.replace(unit, metadata={**unit.metadata, **changes})


def test_what_was_written_is_read_and_no_longer_absent(controls: UnitControls) -> None:
    assert controls.absent() == controls.settings.names
    assert len(controls.settings.names) == 21
    made = control_vectors(controls)
    controls.write("shuffle-003", made)
    assert set(controls.settings.names) - set(controls.absent()) == {"shuffle-003"}
    found = controls.read("shuffle-003")
    by_library = load_file(controls.path("shuffle-003"))
    for site in controls.settings.sites:
        np.testing.assert_array_equal(found[site], made[site])
        np.testing.assert_array_equal(by_library[site], made[site])


def test_controls_are_no_units(controls: UnitControls) -> None:
    controls.write("contextless", control_vectors(controls))
    grid = read_all(controls.root.path)
    assert [unit.emotion for unit in grid.units] == ["anger"]
    assert not grid.problems


@pytest.mark.parametrize("at", [20, -1, None])
def test_a_damaged_file_is_refused(controls: UnitControls, at: int | None) -> None:
    controls.write("contextless", control_vectors(controls))
    path = controls.path("contextless")
    data = bytearray(path.read_bytes())
    if at is None:
        data = data[:-1]
    else:
        data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileRefusedError):
        controls.read("contextless")


def test_a_file_of_another_key_is_refused(controls: UnitControls) -> None:
    other = dataclasses.replace(controls, settings=dataclasses.replace(controls.settings, seed=1))
    other.write("contextless", control_vectors(controls))
    controls.path("contextless").parent.mkdir(parents=True)
    other.path("contextless").rename(controls.path("contextless"))
    with pytest.raises(FileRefusedError, match="not what was written"):
        controls.read("contextless")


def test_the_key_names_what_decides_the_vectors(controls: UnitControls) -> None:
    unit = controls.unit
    prompts = [dict(prompt) for prompt in unit.prompts or ()]
    texts = [{**prompts[0], "text": "Another one."}, *prompts[1:]]
    ids = [{**prompts[0], "id": "other"}, *prompts[1:]]
    provenance = dict(unit.provenance or {})
    changed = {
        controls.key,
        dataclasses.replace(controls, unit=with_metadata(unit, prompts=texts)).key,
        dataclasses.replace(controls, unit=with_metadata(unit, prompts=ids)).key,
        dataclasses.replace(
            controls, unit=with_metadata(unit, provenance={**provenance, "commit": "c" * 40})
        ).key,
        dataclasses.replace(
            controls, unit=with_metadata(unit, provenance={**provenance, "dtype": "float16"})
        ).key,
        dataclasses.replace(controls, unit=with_metadata(unit, content_start=0)).key,
        dataclasses.replace(
            controls, unit=dataclasses.replace(unit, tokens=tuple(reversed(unit.tokens[:-1])))
        ).key,
        *(
            dataclasses.replace(
                controls, settings=dataclasses.replace(controls.settings, **change)
            ).key
            for change in ({"sites": ("resid_pre",)}, {"pooling": "last"}, {"seed": 1})
        ),
    }
    assert len(changed) == 10


def test_the_key_is_that_of_the_prompts(controls: UnitControls, tmp_path: Path) -> None:
    provenance = {
        **(controls.unit.provenance or {}),
        "run_id": "another",
        "dataset": {"source": "copy.csv", "sha256": "a" * 64},
    }
    unit = with_metadata(controls.unit, provenance=provenance, emotion_label="fury")
    more = dataclasses.replace(controls.settings, n_shuffles=40)
    same = UnitControls(root=ResultsRoot(tmp_path / "other"), unit=unit, settings=more)
    assert same.key == controls.key


def test_a_unit_without_texts_has_no_controls(controls: UnitControls) -> None:
    with pytest.raises(RequestError, match="holds no texts"):
        dataclasses.replace(controls, unit=with_metadata(controls.unit, prompts=None))
