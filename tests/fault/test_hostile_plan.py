"""The `plan.json` of a received run: passes and threads that no first start here would choose."""

from pathlib import Path
from typing import Any

import pytest

from emoact.errors import RequestError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import EngineRequest
from emoact.models.effort import WIDTH
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource, silent
from emoact.schema import ExtractionOptions
from tests.support.families import WINDOW
from tests.support.tiny_models import engine_of, save_tiny

TEXTS = ("Thank you for the soup.", "Thank you for the soup that you left.", "The train leaves.")
PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "all prompts at once": ({"plan": "sorted_batches", "budget": 10**12}, "passes of 1,000,000,0"),
    "no token": ({"budget": 0}, "passes of 0 tokens"),
    "fewer than none": ({"budget": -5}, "passes of -5 tokens"),
    "beyond a window": ({"plan": "prefix_tree", "budget": WINDOW + 1}, "passes of 25 tokens"),
    "one at a time, together": ({"plan": "one_at_a_time", "budget": 768}, "passes of 768 tokens"),
    "a text": ({"budget": "all"}, "plan.json.budget is str"),
    "a fraction": ({"budget": 1.5}, "plan.json.budget is float"),
    "a list": ({"budget": [[1, 2], [3]]}, "plan.json.budget is list"),
    "an unknown plan": ({"plan": "all_at_once"}, "plan.json.plan is 'all_at_once'"),
    "a cost of text": ({"pass_cost": "x"}, "plan.json.pass_cost is str"),
    "a switch of text": ({"direct": "yes"}, "plan.json.direct is str"),
    "nothing else": ({"reason": None}, "plan.json.reason"),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder = save_tiny("gpt_neo", tmp_path_factory.mktemp("models") / "gpt_neo")
    return resolve_model(str(folder))


@pytest.fixture(scope="module")
def engine(source: ModelSource) -> BridgeEngine:
    return engine_of(source, texts=TEXTS)


def again(engine: BridgeEngine, source: ModelSource, plan: dict[str, Any]) -> BridgeEngine:
    request = EngineRequest(source=source, options=ExtractionOptions(), texts=TEXTS, frozen=plan)
    return engine.again(request, silent)


@pytest.mark.parametrize("name", PLANS)
def test_a_foreign_plan_is_refused(engine: BridgeEngine, source: ModelSource, name: str) -> None:
    changes, message = PLANS[name]
    with pytest.raises(RequestError, match=message):
        again(engine, source, {**engine.facts.plan, **changes})


@pytest.mark.parametrize("threads", [0, -1, 10**9, "4", 1.5, True, [1]])
def test_threads_that_no_machine_has_are_refused(source: ModelSource, threads: Any) -> None:
    with pytest.raises(RequestError, match="threads; 1 to 4,096 are allowed"):
        engine_of(source, texts=TEXTS, frozen={"threads": threads})


def test_wider_passes_are_allowed_by_the_user_alone(
    engine: BridgeEngine, source: ModelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {**engine.facts.plan, "plan": "sorted_batches", "budget": 5_000}
    with pytest.raises(RequestError, match="passes of 5,000 tokens"):
        again(engine, source, plan)
    monkeypatch.setenv(WIDTH, "5000")
    assert again(engine, source, plan).facts.plan["budget"] == 5_000
    monkeypatch.setenv(WIDTH, "10")
    chosen = {**plan, "budget": 768}
    assert again(engine, source, chosen).facts.plan["budget"] == 768


def test_passes_that_change_the_figures_are_refused(tmp_path: Path) -> None:
    """Components are bypassed though the weights were processed within them."""
    options = ExtractionOptions(processing="tl_compat")
    source = resolve_model(str(save_tiny("gpt2", tmp_path / "gpt2")))
    made = engine_of(source, options, texts=TEXTS)
    plan = {**made.facts.plan, "plan": "sorted_batches", "direct": True}
    request = EngineRequest(source=source, options=options, texts=TEXTS, frozen=plan)
    with pytest.raises(RequestError, match=r"the passes of plan\.json \(sorted_batches\)"):
        made.again(request, silent)
