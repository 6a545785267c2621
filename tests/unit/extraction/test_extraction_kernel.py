"""Only true float32 is used, only where it pays, and nobody else notices."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import torch

from emoact.extraction import bridge_engine, self_check
from emoact.extraction.bridge_engine import load_engine
from emoact.extraction.forward import HookReader
from emoact.extraction.kernel import (
    EXACT,
    Kernel,
    KernelChoice,
    Measured,
    Shape,
    choose_kernel,
    decide,
    float32_kernel,
    linear_shapes,
    measure,
)
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from tests.support.tiny_models import save_tiny, seeded_model, tiny_config

TEXTS = ["Thank you for the soup.", "Thank you for the book.", "The train leaves at nine."]
SHAPES = {Shape(32, 48, outputs_adjacent=True): 2, Shape(48, 32, outputs_adjacent=False): 1}


def _bfloat16_error() -> float:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(64, 64, generator=generator) for _ in range(2))
    exact = left.double() @ right.double()
    rough = (left.bfloat16() @ right.bfloat16()).double()
    return float(((rough - exact).norm(dim=1) / exact.norm(dim=1)).max())


def test_a_kernel_that_computes_in_bfloat16_is_refused_however_fast_it_is() -> None:
    error = _bfloat16_error()
    assert error > 100 * EXACT
    choice = decide({"highest": 100.0, "medium": 900.0}, {"highest": 4e-7, "medium": error})
    assert choice.kernel == "highest"
    assert "not true float32" in choice.reason


def test_an_error_that_is_not_a_number_is_refused() -> None:
    choice = decide({"highest": 1.0, "medium": 9.0}, {"highest": 0.0, "medium": float("nan")})
    assert choice.kernel == "highest"


@pytest.mark.parametrize(
    ("rate", "expected"), [(100.0, "highest"), (105.0, "highest"), (130.0, "medium")]
)
def test_the_other_kernel_is_taken_only_where_it_is_clearly_faster(
    rate: float, expected: str
) -> None:
    errors = {"highest": 4e-7, "medium": 6e-7}
    assert decide({"highest": 100.0, "medium": rate}, errors).kernel == expected


def test_torchs_default_kernel_is_true_float32_by_our_measure() -> None:
    found = measure(SHAPES, rows=16, seconds=0.01)
    assert 0 < found.errors["highest"] <= EXACT
    assert all(found.seconds[key] for key in found.seconds)


def test_the_rate_of_a_model_weighs_each_shape_by_how_often_it_occurs() -> None:
    one, other = SHAPES
    seconds: dict[tuple[Kernel, Shape], list[float]] = {
        ("highest", one): [1.0, 1.0],
        ("highest", other): [2.0, 2.0],
        ("medium", one): [3.0, 3.0],
        ("medium", other): [0.5, 0.5],
    }
    found = Measured(shapes=SHAPES, rows=10, seconds=seconds, errors={})
    work = 3 * 2e-9 * 10 * 32 * 48
    assert found.rates(statistics.median)["highest"] == pytest.approx(work / 4.0)
    assert found.rates(statistics.median)["medium"] == pytest.approx(work / 6.5)
    assert found.best_rate(min) == pytest.approx(work / 2.5)


def test_the_setting_is_put_back_after_an_error() -> None:
    before = torch.get_float32_matmul_precision()
    used = []

    def fail() -> None:
        with float32_kernel("medium"):
            used.append(torch.get_float32_matmul_precision())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert used == ["medium"]
    assert torch.get_float32_matmul_precision() == before


def test_a_choice_is_made_once_per_machine_and_a_damaged_record_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path))
    first = choose_kernel(SHAPES)
    (record,) = (tmp_path / "kernels").iterdir()
    monkeypatch.setattr("emoact.extraction.kernel.measure", lambda _: pytest.fail("measured again"))
    assert choose_kernel(SHAPES) == first
    monkeypatch.undo()
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path))
    record.write_text('{"kernel": "fastest"')
    assert choose_kernel(SHAPES).kernel in ("highest", "medium")
    assert "fastest" not in record.read_text()


def test_the_layers_of_a_block_are_counted_with_their_memory_layout() -> None:
    gpt2 = linear_shapes(seeded_model(tiny_config("gpt2", 100)))
    assert gpt2 == {
        Shape(32, 96, outputs_adjacent=True): 3,
        Shape(32, 32, outputs_adjacent=True): 3,
        Shape(32, 128, outputs_adjacent=True): 3,
        Shape(128, 32, outputs_adjacent=True): 3,
    }
    llama = linear_shapes(seeded_model(tiny_config("llama", 100)))
    assert llama[Shape(32, 64, outputs_adjacent=False)] == 6
    assert llama[Shape(32, 16, outputs_adjacent=False)] == 6


def _choice(kernel: Kernel) -> KernelChoice:
    rates = {"highest": 1.0, "medium": 2.0}
    return KernelChoice(kernel=kernel, reason="said so", gflops=rates, errors={})


def test_a_resumed_run_multiplies_as_it_did_at_its_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve_model(str(save_tiny("gpt2", tmp_path)))
    monkeypatch.setattr(bridge_engine, "choose_kernel", lambda _: _choice("medium"))
    first = load_engine(source, ExtractionOptions(), texts=TEXTS)
    assert first.facts.plan["kernel"] == "medium"
    monkeypatch.setattr(bridge_engine, "choose_kernel", lambda _: _choice("highest"))
    again = load_engine(source, ExtractionOptions(), texts=TEXTS, frozen=first.facts.plan)
    assert again.facts.plan == first.facts.plan
    used = set()
    before = torch.get_float32_matmul_precision()
    again.forward(
        again.tokenise(TEXTS),
        put=lambda *_: used.add(torch.get_float32_matmul_precision()),
        on_pass=lambda *_: None,
    )
    assert used == {"medium"}
    assert torch.get_float32_matmul_precision() == before


def test_a_kernel_that_breaks_parity_is_given_up_before_the_plan_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rough(HookReader):
        def __init__(self, *arguments: object, kernel: Kernel, **named: object) -> None:
            super().__init__(*arguments, kernel=kernel, **named)  # type: ignore[arg-type]
            self.rough = kernel == "medium"

        def run(self, one_pass: object, put: object) -> None:
            def disturbed(site: object, layer: object, sample: object, rows: object) -> None:
                put(site, layer, sample, rows * 1.01 if self.rough else rows)  # type: ignore[operator]

            super().run(one_pass, disturbed)  # type: ignore[arg-type]

    source = resolve_model(str(save_tiny("gpt2", tmp_path)))
    monkeypatch.setattr(bridge_engine, "choose_kernel", lambda _: _choice("medium"))
    monkeypatch.setattr(self_check, "HookReader", Rough)
    plan = load_engine(source, ExtractionOptions(), texts=TEXTS).facts.plan
    assert (plan["plan"], plan["kernel"]) == ("prefix_tree", "highest")
    assert "direct prefix_tree with oneDNN differs by 0.01" in plan["reason"]


def test_half_precision_has_no_float32_kernel_to_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve_model(str(save_tiny("gpt2", tmp_path)))
    monkeypatch.setattr(bridge_engine, "choose_kernel", lambda _: _choice("medium"))
    engine = load_engine(source, ExtractionOptions(dtype="bfloat16"), texts=TEXTS)
    assert engine.facts.plan["kernel"] == "highest"
