"""`emoact analyze` with its real worker process, on small files of activations."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from emoact.analysis.listing import list_analyses
from emoact.analysis.request import AnalyzeRequest, prepare_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.jobs import control, launch, progress
from emoact.jobs.directory import RunDirectory
from emoact.sites import SiteName
from emoact.stats.settings import AnalysisSettings
from emoact.store.layout import ResultsRoot
from tests.support.planted_scenarios import FAST_WORDS, plant_scenarios
from tests.support.run_files import hold, make_run
from tests.support.stand_in_world import LONGEST_WAIT_S, World, wait_for
from tests.support.typed import Said, Typed


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOACT_WORKERS", raising=False)
    monkeypatch.delenv("EMOACT_RESULTS", raising=False)
    yield tmp_path / "results"
    World(tmp_path).end_all()


Analyze = Callable[..., Said]


@pytest.fixture
def analyze(results: Path, typed: Typed) -> Analyze:
    start = ("analyze", "--results", results, *FAST_WORDS)
    return lambda *words, code=0: typed(*start, *words, code=code)


def states(results: Path) -> list[tuple[str, str]]:
    return [(row.kind, row.state) for row in progress.list_runs(results)]


def test_an_analysis_is_a_run_with_tables(results: Path, analyze: Analyze, typed: Typed) -> None:
    plant_scenarios(results, "gpt2")
    plant_scenarios(results, "other", n_layers=4)
    said = analyze("--json")
    found = said.json
    assert found["existing"] is False
    saved = SavedAnalysis.open(found["path"])
    saved.check()
    assert found["id"] == saved.id
    assert found["run_id"] == saved.run_id
    for name in ("headline", "baselines", "similarity", "across"):
        frame = saved.table(name)
        assert len(found[name]) == len(frame) > 0
        assert set(found[name][0]) == set(frame.columns)
    # A planted effect of 4 standard deviations is found, in both models.
    assert all(row["significant"] for row in found["headline"])
    assert {each["sha256"] for each in found["inputs"]} == {e.sha256 for e in saved.inputs}
    # Short steps may pass between two looks; the long one is told.
    assert "analysing" in said.err.splitlines()

    assert states(results) == [("analyze", "finished")]
    (run,) = progress.list_runs(results)
    assert run.models == ("gpt2", "other")
    assert run.emotions == ("anger", "gratitude", "neutral")
    assert run.share == 1.0
    assert run.samples_per_s is None
    assert run.size == sum(state.size for state in saved.files.values())
    view = progress.read_run(results, run.id)
    assert [made.path for made in view.made] == [str(saved.path)]
    assert "python -m emoact analyze" in (view.config.command if view.config else "")
    listed = typed("runs", "list", "--results", results, "--json").json["runs"]
    assert listed[0]["kind"] == "analyze"

    # The same again: at once, without another run.
    assert {**analyze("--json").json, "existing": False} == found
    assert len(states(results)) == 1
    # Asked for as a run all the same, it finds what is there.
    again = control.again(results, run.id).run_id
    wait(results, again)
    assert [made.existing for made in progress.read_run(results, again).made] == [True]

    # Another setting is another analysis; so is another file.
    wait(results, analyze("--seed", "1", "--detach").out.strip())
    plant_scenarios(results, "gpt2", n=10)
    assert analyze("--json").json["id"] != found["id"]
    assert len(list_analyses(ResultsRoot(results))) == 3


def wait(results: Path, run_id: str) -> None:
    wait_for(lambda: not progress.read_run(results, run_id).summary.active)


def test_show_and_list_say_what_was_found(results: Path, analyze: Analyze, typed: Typed) -> None:
    plant_scenarios(results, provenance={"random_weights": True})
    first = analyze().out
    assert typed("analyze", "show", "newest", "--results", results).out == first
    assert first.startswith("! random weights")
    assert "Its weights are random" in first
    assert re.search(r"gpt2: anger \(p .*\) and gratitude \(p .*\) differ from neutral", first)
    assert "EVALUATION" in first
    assert "anger, gratitude" in typed("analyze", "list", "--results", results).out
    said = typed("analyze", "show", "zzz", "--results", results, code=2)
    assert "there is no analysis 'zzz'" in said.err


def test_nan_in_one_file_is_named_and_left_out_on_request(results: Path, analyze: Analyze) -> None:
    def spoil(rows: np.ndarray, site: SiteName, layer: int, sample: int) -> None:
        if (site, layer, sample) == ("mlp_out", 1, 3):
            rows[2, 0] = np.nan

    plant_scenarios(results)
    plant_scenarios(results, emotions=("anger",), change=spoil)
    # It shows only in the file itself, after the work has started.
    said = analyze(code=1).err
    assert "gpt2/anger: NaN or infinite values in mlp_out layer 1, prompts anger-3 (1 of 12)" in (
        said
    )
    assert "--leave-out-nonfinite" in said
    assert "Traceback" not in said
    assert states(results) == [("analyze", "failed")]
    assert list_analyses(ResultsRoot(results)) == ()
    found = analyze("--leave-out-nonfinite", "--json").json
    assert any("left out: gpt2/anger" in badge for badge in found["badges"])
    strength = SavedAnalysis.open(found["path"]).table("strength")
    assert set(strength[strength["emotion"] == "anger"]["n_emotion"]) == {11}


def test_a_single_scenario_gives_plain_directions_alone(results: Path, analyze: Analyze) -> None:
    plant_scenarios(results, scenario=lambda _: "s0")
    assert "".join(analyze()).count("all prompts belong to one scenario") == 1
    found = analyze("--json").json
    assert "single_scenario" in {finding["code"] for finding in found["findings"]}
    assert "nothing can be held out" in found["sentences"]["gpt2"]
    assert not any(row["significant"] for row in found["headline"])
    strength = SavedAnalysis.open(found["path"]).table("strength")
    assert (strength["l2"] > 0).all()
    assert strength["cv"].isna().all()


def test_a_mixture_is_refused_or_marked(results: Path, analyze: Analyze) -> None:
    plant_scenarios(results)
    plant_scenarios(results, emotions=("anger",), provenance={"dtype": "float16"})
    said = analyze("--json", code=2)
    assert "dtype differs" in said.json["error"]["message"]
    assert "--allow-mixed" in said.err
    assert states(results) == []
    found = analyze("--allow-mixed", "--json").json
    assert found["badges"][0].startswith("mixed comparison: dtype differs: float16 (gpt2/anger)")
    saved = SavedAnalysis.open(found["path"])
    header, first = (saved.path / "tables" / "headline.csv").read_text().splitlines()[:2]
    assert header.endswith(",badges")
    assert "dtype differs" in first


def test_without_neutral_the_grand_mean_is_the_reference(results: Path, analyze: Analyze) -> None:
    plant_scenarios(results, emotions=("anger", "gratitude"))
    assert "--reference grand_mean" in analyze(code=2).err
    found = analyze("--reference", "grand_mean", "--json").json
    assert {row["emotion"] for row in found["headline"]} == {"anger", "gratitude"}
    directions = SavedAnalysis.open(found["path"]).directions("gpt2", "resid_pre")
    # Between two classes the two directions are one another's opposite.
    np.testing.assert_allclose(directions["anger"], -directions["gratitude"], atol=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pooling", "median"), "allowed are mean_content, mean_typical, last"),
        (("--pooling", "mean_typical", "--controls"), "pooling is mean_typical"),
        (("--permutations", "10"), "1000 or more"),
        (("--site", "pattern"), "allowed are resid_pre"),
        (("--model", "gpt3"), "Did you mean gpt2?"),
        (("--seed", "-1"), "argument --seed: -1 is no seed"),
        (("--run-id", "../x"), "run id"),
    ],
)
def test_a_wrong_request_is_refused_before_a_run_exists(
    results: Path, analyze: Analyze, words: tuple[str, ...], said: str
) -> None:
    plant_scenarios(results)
    assert said in analyze(*words, code=2).err
    assert states(results) == []


def test_a_cancelled_analysis_ends_at_once_leaves_nothing_and_resumes(results: Path) -> None:
    plant_scenarios(results, n=40, n_layers=12, d_model=64)
    settings = AnalysisSettings(n_permutations=20_000)
    config = prepare_analysis(AnalyzeRequest(results=results, settings=settings)).config
    run_id = launch.start(config).run_id
    # A second click follows the first run.
    assert launch.start(config.again()).existing
    deadline = time.monotonic() + LONGEST_WAIT_S
    while (view := progress.read_run(results, run_id)).step is None or view.step.name != "analyze":
        assert view.summary.active, view.error
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert 0 < (view.summary.share or 0) < 1
    control.cancel(results, run_id, wait=True)
    assert progress.read_run(results, run_id).state == "cancelled"
    assert list_analyses(ResultsRoot(results)) == ()
    assert progress.list_runs(results)[0].can_resume
    assert not control.resume(results, run_id).existing
    control.cancel(results, run_id, wait=True)
    control.delete(results, run_id)
    assert states(results) == []


def test_an_analysis_waits_behind_the_run_at_work_and_can_be_cancelled_there(results: Path) -> None:
    plant_scenarios(results)
    at_work = make_run(results, "extraction")
    lock = hold(at_work, phase="working")
    config = prepare_analysis(AnalyzeRequest(results=results)).config
    run_id = launch.start(config).run_id
    view = progress.read_run(results, run_id)
    assert view.state == "pending"
    assert view.summary.place == 1
    control.cancel(results, run_id, wait=True)
    assert progress.read_run(results, run_id).state == "cancelled"
    lock.close()
    # The process writes its last state and then ends.
    wait_for(lambda: not RunDirectory(results / "runs" / run_id).lock_is_held())


def test_a_killed_analysis_leaves_no_half_of_one(results: Path, tmp_path: Path) -> None:
    plant_scenarios(results, n=40, n_layers=12, d_model=64)
    world = World(tmp_path)
    config = prepare_analysis(AnalyzeRequest(results=results)).config
    run_id = launch.start(config).run_id
    world.wait(run_id, lambda view: view.step is not None)
    world.kill(run_id)
    assert world.wait(run_id).state == "crashed"
    assert list_analyses(ResultsRoot(results)) == ()


def test_export_writes_the_direction_for_other_tools(
    results: Path, tmp_path: Path, analyze: Analyze, typed: Typed
) -> None:
    plant_scenarios(results)
    export = ["analyze", "export", "--results", results, "--emotion", "anger", "--format"]
    assert "`emoact analyze` makes one" in typed(*export, "gguf", code=2).err
    analyze()
    for name, words in (("a.gguf", ["gguf"]), ("a.pt", ["steering-vectors"])):
        out = tmp_path / "new" / name
        assert typed(*export, *words, "--out", out, "--json").json["files"][0] == str(out)
        assert out.stat().st_size > 0
    assert "it has gpt2" in typed(*export, "gguf", "--model", "gpt3", code=2).err
