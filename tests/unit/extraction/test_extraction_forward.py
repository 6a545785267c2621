"""Passes hand over what was asked for, whichever way it travels, and stop when it is all there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.errors import CancelledError
from emoact.extraction.forward import HookReader, Staging
from emoact.extraction.plan import plan_passes
from emoact.models.load import load_model
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName, saved_sites
from tests.support.reference import hugging_face, hugging_face_activations
from tests.support.tiny_models import Rows, engine_of, save_tiny

CPU = torch.device("cpu")
IDS = [np.array(ids, dtype=np.int64) for ids in ([1, 2, 3, 4], [1, 2, 5], [7], [1, 2, 3], [9] * 9)]
TEXTS = ["Thank you for the soup.", "Thank you for the book.", "The train leaves at nine."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("gpt2", tmp_path_factory.mktemp("forward") / "gpt2")


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Any:
    return load_model(resolve_model(str(folder)), ExtractionOptions()).bridge


def _run(bridge: Any, sites: tuple[SiteName, ...], *, staged: bool, budget: int = 6) -> Rows:
    found, reader = Rows(), HookReader(bridge, sites, CPU, staged=staged)
    reader.run_all(plan_passes(IDS, plan="prefix_tree", budget=budget), found.put)
    return found


def test_activations_that_wait_for_the_end_of_their_pass_are_the_same_bits(bridge: Any) -> None:
    direct = _run(bridge, saved_sites(), staged=False)
    staged = _run(bridge, saved_sites(), staged=True)
    assert direct.keys() == staged.keys()
    for key, rows in direct.items():
        np.testing.assert_array_equal(staged[key], rows)


def test_buffers_of_a_wide_pass_serve_a_narrow_one() -> None:
    staging = Staging(CPU)
    wide, narrow = torch.arange(6.0).reshape(3, 2), torch.tensor([[7.0, 8.0]])
    staging.add(("resid_pre", 0), wide)
    assert [rows.tolist() for _, rows in staging.take()] == [wide.tolist()]
    staging.add(("resid_pre", 0), narrow)
    assert [rows.tolist() for _, rows in staging.take()] == [narrow.tolist()]
    assert list(staging.take()) == []


def test_nothing_after_the_last_activation_asked_for_is_computed(bridge: Any) -> None:
    before = _run(bridge, saved_sites(), staged=False)
    calls = []
    last = bridge.original_model.base_model.h[-1]
    inside = [module for module in last.modules() if type(module).__name__ == "Conv1D"]
    handles = [
        module.register_forward_hook(lambda module, *_: calls.append(module)) for module in inside
    ]
    only = _run(bridge, ("resid_pre",), staged=False)
    stopped = list(calls)
    again = _run(bridge, saved_sites(), staged=False)
    for handle in handles:
        handle.remove()
    assert stopped == []
    assert calls, "the hooks of this test see the layers when they run"
    for key, rows in again.items():
        np.testing.assert_array_equal(rows, before[key])
        if key[0] == "resid_pre":
            np.testing.assert_array_equal(rows, only[key])


def test_no_hook_stays_behind_when_a_run_is_stopped(bridge: Any) -> None:
    def stop(_: object) -> None:
        raise CancelledError("stopped")

    taken = []
    reader = HookReader(bridge, saved_sites(), CPU)
    passes = plan_passes(IDS, plan="one_at_a_time", budget=1)
    with pytest.raises(CancelledError):
        reader.run_all(passes, lambda *arguments: taken.append(arguments), stop)
    samples = {sample for _, _, sample, _ in taken}
    assert samples == {0}
    bridge.original_model.base_model(torch.tensor([[1, 2]]))
    assert {sample for _, _, sample, _ in taken} == samples


def test_the_error_of_half_precision_is_that_to_the_float32_model(folder: Path) -> None:
    options = ExtractionOptions(dtype="bfloat16")
    engine = engine_of(folder, options, texts=TEXTS)
    error = engine.facts.self_check["dtype_error"]
    exact = hugging_face(folder)
    rough = hugging_face(folder).to(torch.bfloat16)
    worst = 0.0
    for prompt in engine.tokenise(TEXTS):
        tokens = torch.from_numpy(prompt.ids)[None]
        # The input of the first layer is all that no later rounding touches.
        ours, expected = (
            model.base_model(tokens, output_hidden_states=True)
            .hidden_states[0][0]
            .detach()
            .double()
            for model in (rough, exact)
        )
        worst = max(worst, float(((ours - expected).norm(dim=1) / expected.norm(dim=1)).max()))
    assert worst <= error["largest"] < 0.1
    assert 0 < error["median"] < error["largest"]
    assert (error["dtype"], error["against"], error["n_prompts"]) == ("bfloat16", "float32", 3)


def test_float32_has_no_such_error(folder: Path) -> None:
    engine = engine_of(folder, texts=TEXTS)
    assert "dtype_error" not in engine.facts.self_check


def test_products_are_true_float32_after_another_setting(folder: Path) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        engine_of(folder, texts=TEXTS)
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)


def test_passes_of_the_self_check_serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(folder, texts=TEXTS)
    prompts = engine.tokenise(TEXTS)
    passes: list[int] = []
    run_all = HookReader.run_all

    def counted(self: Any, several: Any, *told: Any) -> None:
        passes.append(len(several))
        run_all(self, several, *told)

    monkeypatch.setattr(HookReader, "run_all", counted)
    found: list[Rows] = []
    finished: list[int] = []
    earlier = []
    for _ in range(2):
        found.append(Rows())
        earlier.append(
            engine.forward(
                prompts, put=found[-1].put, on_pass=lambda samples, _: finished.append(samples)
            )
        )
    assert passes == [0, 1]
    assert finished == [3, 3]
    assert earlier[0] > 0 == earlier[1]
    assert found[0].keys() == found[1].keys()
    for key, rows in found[1].items():
        np.testing.assert_array_equal(found[0][key], rows)


def test_other_prompts_than_those_of_the_self_check_are_computed(folder: Path) -> None:
    engine = engine_of(folder, texts=TEXTS)
    turned = engine.tokenise(TEXTS[::-1])
    found = Rows()
    assert engine.forward(turned, put=found.put, on_pass=lambda *_: None) == 0
    expected = hugging_face_activations(hugging_face(folder), turned[0].ids.tolist())
    for layer, rows in enumerate(expected["resid_pre"]):
        np.testing.assert_allclose(found["resid_pre", layer, 0], rows, rtol=1e-5, atol=1e-5)
