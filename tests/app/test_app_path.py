"""The path from prompts to a report, on Home and at the end of every step."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from emoact.jobs.config import RunConfig
from emoact.jobs.demo import demo_prompts
from emoact.store.convert import convert
from emoact.store.protocol import PooledStore
from emoact.ui.run_details import EXAMPLE
from tests.support.pages import open_page, words
from tests.support.planted import plant_grid
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios


def path(app: AppTest) -> list[str]:
    """Names of the steps with their marks."""
    row = next(m.value for m in app.markdown if " → " in m.value)
    return [part.split(":gray[")[0].strip() for part in row.split(" → ")]


def test_home_shows_what_is_done_and_the_next_step_with_its_cost(results: Path) -> None:
    plant_scenarios(results)
    app = open_page("home")
    assert ":material/check: Extract" in path(app)[1]
    assert path(app)[2] == "**Look**"
    # The page that a step is about marks it and leaves the next one for later.
    assert path(open_page("heads"))[4] == "**Causes**"
    assert app.button[0].label == "Look at the activations"
    app.button[0].click().run()
    analyse = next(b for b in app.button if b.label.startswith("Analyse 1 model"))
    assert analyse.label == "Analyse 1 model × 3 emotions, about 30 s"
    analyse.click().run()
    assert app.title[0].value == "Directions"


def test_pooled_vectors_are_analysed_without_a_look(results: Path) -> None:
    plant_scenarios(results)
    for file in list(results.rglob("activations_*.pkl")):
        convert(file, to="pooled", out=file.with_name(f"{file.stem}{PooledStore.suffix}"))
        file.unlink()
    plant_run(results, store="pooled")
    for app in (open_page("home"), open_page("runs", run="20260131-140500-aaaa")):
        assert [part.split("/check: ")[-1].strip("*]") for part in path(app)[:3]] == [
            "Prompts",
            "Extract",
            "Analyse",
        ]
        assert not any(b.label == "Look at the activations" for b in app.button)
        assert any(b.label.startswith("Analyse 1 model") for b in app.button)


def test_after_an_analysis_the_next_step_is_about_causes(results: Path) -> None:
    plant_scenarios(results)
    plant_analysis(results)
    for page in ("home", "directions"):
        app = open_page(page)
        assert ":material/check: Analyse" in path(app)[3]
        assert any(b.label.startswith("Find the heads") for b in app.button)
    # Heads alone say nothing of what a direction does.
    (results / "causes" / "a").mkdir(parents=True)
    (results / "causes" / "a" / "heads.json").touch()
    app = open_page("home")
    assert path(app)[4] == "**Causes**"
    assert any(b.label.startswith("Add the direction") for b in app.button)
    (results / "causes" / "a" / "steer.json").touch()
    assert ":material/check: Causes" in path(open_page("home"))[4]


def test_a_first_visit_offers_a_small_example(results: Path, started: list[RunConfig]) -> None:
    app = open_page("home")
    assert "is a direction" in words(app)
    app.button(key="example").click().run()
    (config,) = started
    assert config.results == f"{results}-demo"
    assert sum(config.counts.values()) == 48
    assert app.query_params["results"] in (config.results, [config.results])


def test_pages_begin_with_the_data_set_of_the_last_run(results: Path) -> None:
    shipped = "data/prompts.jsonl"
    plant_run(results, "20260131-140500-aaaa", dataset="/etc/hostname")
    # Must not happen: a received folder has a page open a file of this machine.
    assert open_page("extract").selectbox(key="dataset").value == shipped
    demo = str(demo_prompts(shipped, results))
    plant_run(results, "20260131-140600-bbbb", dataset=demo)
    app = open_page("extract")
    assert app.selectbox(key="dataset").value == demo
    assert app.query_params["dataset"] in (demo, [demo])
    assert app.selectbox(key="dataset").set_value(shipped).run().selectbox[0].value == shipped
    assert open_page("prompts").selectbox(key="file").value == demo


def test_the_example_is_analysed_after_its_run(results: Path, started: list[RunConfig]) -> None:
    plant_scenarios(results)
    run = "20260131-140500-aaaa"
    plant_run(results, run)
    app = open_page("home")
    assert not started
    app.session_state[EXAMPLE] = run
    app.run()
    assert [config.kind for config in started] == ["analyze"]
    # It is analysed once.
    assert app.title[0].value == "Directions"
    assert EXAMPLE not in app.session_state


def test_a_visitor_who_comes_back_is_not_told_again(results: Path) -> None:
    plant_grid(results, ["gpt2"])
    assert not [each for each in open_page("home").header if each.value == "What you will see"]
