"""Components that a pass goes around compute nothing, change nothing, and come back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.extraction import self_check
from emoact.extraction.by_prompt import is_cheaper
from emoact.extraction.forward import HookReader, hook_names
from emoact.extraction.plan import plan_passes
from emoact.extraction.reference import single_prompt
from emoact.extraction.shortcut import shortcut
from emoact.models.load import load_model
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from emoact.sites import SITES, SiteName, saved_sites
from tests.support.reference import hugging_face, hugging_face_activations
from tests.support.tiny_models import FOUR, Rows, engine_of, save_tiny

IDS = [np.array(ids, dtype=np.int64) for ids in ([3, 4, 5, 6], [3, 4, 7], [8, 9])]


@pytest.fixture(scope="module", params=FOUR)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(request.param, tmp_path_factory.mktemp("shortcut") / request.param)


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Any:
    return load_model(resolve_model(str(folder)), ExtractionOptions()).bridge


def _tree(bridge: Any) -> list[tuple[str, int]]:
    return [(name, id(module)) for name, module in bridge.original_model.named_modules()]


def _count_calls(bridge: Any, inside: Callable[[], None]) -> int:
    """Number of times that hooks of norms fire, which none of our sites reads."""
    calls = []
    names = [name for name in bridge.hook_dict if name.endswith("ln1.hook_out")]
    hooks = [(name, lambda _rows, hook: calls.append(hook.name)) for name in names]
    with bridge.hooks(fwd_hooks=hooks):
        inside()
    return len(calls)


def test_components_come_back_even_after_an_error(bridge: Any) -> None:
    before, how = _tree(bridge), bridge.original_model.config._attn_implementation
    names = hook_names(saved_sites(), bridge.cfg.n_layers).values()

    def fail() -> None:
        with shortcut(bridge, names):
            assert _tree(bridge) != before
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert _tree(bridge) == before
    assert bridge.original_model.config._attn_implementation == how


def test_hooks_that_are_not_read_do_not_fire(bridge: Any) -> None:
    def run(*, direct: bool) -> None:
        reader = HookReader(bridge, saved_sites(), torch.device("cpu"), direct=direct)
        (one_pass,) = plan_passes(IDS[:1], plan="one_at_a_time", budget=1)
        reader.run_all([one_pass], lambda *_: None)

    assert _count_calls(bridge, lambda: run(direct=False)) > 0
    assert _count_calls(bridge, lambda: run(direct=True)) == 0


@pytest.mark.parametrize("sites", [("resid_pre",), ("mlp_out",), ("attn_out",), ()])
def test_every_site_is_that_of_the_whole_bridge(bridge: Any, sites: tuple[SiteName, ...]) -> None:
    sites = sites or tuple(site.name for site in SITES if site.hook_at(0) in bridge.hook_dict)
    found = Rows()
    reader = HookReader(bridge, sites, torch.device("cpu"), direct=True)
    reader.run_all(plan_passes(IDS, plan="prefix_tree", budget=8), found.put)
    assert {site for site, _, _ in found} == set(sites)
    for sample, ids in enumerate(IDS):
        expected = single_prompt(bridge, ids, sites)
        for (site, layer, number), rows in found.items():
            if number == sample:
                reference = expected[site, layer]
                limit = 1e-5 * float(np.abs(reference).max())
                np.testing.assert_allclose(rows, reference, rtol=0, atol=limit)


def test_the_self_check_chooses_the_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, texts = resolve_model(str(folder)), ["the soup was cold", "the soup was warm"]
    plan = engine_of(source, texts=texts).facts.plan
    assert plan["direct"] is True
    # Processed weights are not in the modules that the components wrap.
    processed = ExtractionOptions(processing="tl_compat")
    assert engine_of(source, processed, texts=texts).facts.plan["direct"] is False

    class Rough(HookReader):
        def __init__(self, *arguments: object, direct: bool, **named: object) -> None:
            super().__init__(*arguments, direct=direct, **named)  # type: ignore[arg-type]
            self.rough = direct

        def run_all(self, passes: object, put: object, *told: object) -> None:
            def disturbed(site: object, layer: object, sample: object, rows: object) -> None:
                put(site, layer, sample, rows * 1.01 if self.rough else rows)  # type: ignore[operator]

            super().run_all(passes, disturbed, *told)  # type: ignore[arg-type]

    monkeypatch.setattr(self_check, "HookReader", Rough)
    plan = engine_of(source, texts=texts).facts.plan
    assert (plan["plan"], plan["direct"]) == ("prefix_tree", False)
    assert "direct prefix_tree differs by 0.01" in plan["reason"]


def test_prompts_of_a_tree_agree_with_the_bare_model(bridge: Any, folder: Path) -> None:
    """Also where a prompt is the beginning of another, and where lengths differ."""
    ids = [np.array(row) for row in ([5, 6, 7, 8, 9], [5, 6], [5, 9, 1, 2], [3], [3, 4, 4, 4, 4])]
    (one_pass,) = plan_passes(ids, plan="prefix_tree", budget=100, fixed=1000.0)
    assert is_cheaper(one_pass)
    reader = HookReader(bridge, ("resid_pre",), torch.device("cpu"), direct=True, by_prompt=True)
    found = Rows()
    reader.run_all([one_pass], found.put)
    bare = hugging_face(folder)
    for sample, row in enumerate(ids):
        expected = hugging_face_activations(bare, row.tolist())["resid_pre"]
        for layer, rows in enumerate(expected):
            np.testing.assert_allclose(
                found["resid_pre", layer, sample], rows, rtol=1e-4, atol=1e-5
            )


def test_long_prompts_with_one_beginning_attend_as_a_tree() -> None:
    long = [np.array([*range(1, 40), last]) for last in range(50, 60)]
    (shared,) = plan_passes(long, plan="prefix_tree", budget=100, fixed=1000.0)
    (padded,) = plan_passes([*long[:1]], plan="sorted_batches", budget=100)
    assert not is_cheaper(shared)
    assert not is_cheaper(padded)
