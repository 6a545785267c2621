from pathlib import Path

import pytest

from emoact.jobs import launch
from tests.support.pages import open_page, words
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios
from tests.support.stand_in_world import World


def test_controls_are_offered_at_a_cost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    config = world.config(world.model())
    launch.start(config)
    assert world.wait(config.run_id).state == "finished"
    app = open_page("directions")
    assert "short prompts" not in words(app)
    assert not app.checkbox(key="analyse-controls").value
    app.checkbox(key="analyse-controls").check().run()
    # Of each unit, seven distinct tokens and twenty orders of three prompts.
    assert f"{2 * (7 + 20 * 3)} short prompts" in words(app)
    assert not app.button(key="analyse").disabled
    app.checkbox(key="analyse-controls").uncheck().run()
    assert "short prompts" not in words(app)


def test_a_model_that_is_not_here_is_named_and_nothing_can_be_started(results: Path) -> None:
    plant_scenarios(results, "smollm2-135m")
    app = open_page("directions")
    assert not app.button(key="analyse").disabled
    app.checkbox(key="analyse-controls").check().run()
    assert "smollm2-135m is not installed here" in app.error[0].value.replace("\\", "")
    assert app.button(key="analyse").disabled


def test_separation_without_controls_names_the_command_that_extracts_them(results: Path) -> None:
    plant_scenarios(results)
    saved = plant_analysis(results)
    assert f"{saved.command} --controls" in words(open_page("directions", view="separation"))
    assert "--controls" not in words(open_page("directions", view="strength"))
