import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest

from emoact.analysis.key import InputFile, analysis_id, check_unchanged
from emoact.analysis.request import AnalyzeRequest, prepare_analysis
from emoact.analysis.worker import AnalysisWork
from emoact.cli.analyze_command import _request as request_of
from emoact.cli.entry import build_parser
from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.jobs.config import config_from_json
from emoact.jobs.directory import RunDirectory
from emoact.stats.settings import AnalysisSettings
from emoact.store.atomic import write_json
from emoact.store.layout import ResultsRoot
from tests.support.planted_scenarios import FAST, plant_scenarios


def refused(results: Path, match: str, **changes: Any) -> RequestError:
    settings = dataclasses.replace(FAST, **changes.pop("settings", {}))
    with pytest.raises(RequestError, match=match) as error:
        prepare_analysis(AnalyzeRequest(results=results, settings=settings, **changes))
    assert not (results / "runs").exists()
    return error.value


def test_everything_on_disk_is_analysed_by_default(tmp_path: Path) -> None:
    plant_scenarios(tmp_path, "gpt2")
    plant_scenarios(tmp_path, "other")
    prepared = prepare_analysis(AnalyzeRequest(results=tmp_path, settings=FAST))
    assert prepared.config.models == ("gpt2", "other")
    assert prepared.config.emotions == ("anger", "gratitude", "neutral")
    assert prepared.existing is None
    work = decode(AnalysisWork, prepared.config.request)
    assert work.settings == FAST
    assert len(work.units) == 6


def test_the_neutral_class_comes_with_the_emotions_that_are_named(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    request = AnalyzeRequest(results=tmp_path, settings=FAST, emotions=("anger",))
    assert prepare_analysis(request).config.emotions == ("anger", "neutral")


def test_a_site_that_one_file_lacks_is_refused_by_name(tmp_path: Path) -> None:
    plant_scenarios(tmp_path, "gpt2")
    plant_scenarios(tmp_path, "other", sites=("resid_pre",))
    assert "--site mlp_out" in (refused(tmp_path, "other/anger has no mlp_out").remedy or "")
    only = dataclasses.replace(FAST, sites=("resid_pre",))
    prepare_analysis(AnalyzeRequest(results=tmp_path, settings=only))


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    plant_scenarios(tmp_path, emotions=("neutral",))
    refused(tmp_path, "has only the class 'neutral'; a direction needs two")


def test_unknown_names_are_refused_with_what_there_is(tmp_path: Path) -> None:
    refused(tmp_path, "there are no activations")
    plant_scenarios(tmp_path)
    assert refused(tmp_path, "there are gpt2", models=("gpt",)).remedy == "Did you mean gpt2?"
    wrong = refused(tmp_path, "there are anger, gratitude", emotions=("angr",))
    assert wrong.remedy == "Did you mean anger?"


def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    (tmp_path / "activations" / "gpt2" / "activations_joy.pkl").write_bytes(b"no pickle")
    prepared = prepare_analysis(AnalyzeRequest(results=tmp_path, settings=FAST))
    assert "joy" not in prepared.config.emotions
    assert "activations_joy.pkl" in prepared.problems[0]


def test_the_command_asks_for_the_same_again(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    request = AnalyzeRequest(
        results=str(tmp_path),
        models=("gpt2",),
        emotions=("anger",),
        settings=AnalysisSettings(
            pooling="last",
            sites=("mlp_out",),
            n_permutations=1234,
            seed=7,
            alpha=0.01,
            allow_mixed=True,
            leave_out_nonfinite=True,
        ),
    )
    words = shlex.split(prepare_analysis(request).config.command)
    assert request_of(build_parser().parse_words(words[3:])) == request


def test_a_config_of_a_job_survives_the_disk(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    config = prepare_analysis(AnalyzeRequest(results=tmp_path, settings=FAST)).config
    directory = RunDirectory(tmp_path / "runs" / config.run_id)
    directory.path.mkdir(parents=True)
    write_json(directory.config_path, config.to_json())
    assert directory.config() == config
    assert config.again().fingerprint() == config.fingerprint()
    assert config.again().run_id != config.run_id
    for field, value in (("models", []), ("request", 3), ("surprise", 1)):
        with pytest.raises(RequestError, match=field):
            config_from_json({**config.to_json(), field: value})


@pytest.mark.parametrize("shape", [{"n_layers": 4}, {"d_model": 16}])
def test_files_of_other_shapes_are_refused(tmp_path: Path, shape: dict[str, Any]) -> None:
    plant_scenarios(tmp_path, emotions=("anger", "neutral"))
    plant_scenarios(tmp_path, emotions=("gratitude",), **shape)
    error = refused(tmp_path, "gpt2/.* layers of width .*, but gpt2/anger has 3 of 8")
    assert "extract them again" in (error.remedy or "")


def an_input(emotion: str = "anger", sha256: str = "a" * 64) -> InputFile:
    return InputFile(
        folder="gpt2",
        emotion=emotion,
        model="gpt2",
        file=f"activations/gpt2/activations_{emotion}.pkl",
        size=3,
        sha256=sha256,
    )


def test_the_key_depends_on_bytes_and_settings_and_not_on_order() -> None:
    one, two = an_input("anger"), an_input("neutral", "b" * 64)
    key = analysis_id([one, two], FAST)
    assert key == analysis_id([two, one], FAST)
    assert key != analysis_id([one], FAST)
    assert key != analysis_id([one, an_input("neutral", "c" * 64)], FAST)
    for changed in ({"seed": 1}, {"pooling": "last"}, {"allow_mixed": True}):
        assert key != analysis_id([one, two], dataclasses.replace(FAST, **changed))


def test_a_file_that_changed_while_it_was_analysed_is_named(tmp_path: Path) -> None:
    root = ResultsRoot(tmp_path)
    path = tmp_path / "activations" / "gpt2" / "activations_anger.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    # sha256sum of the three bytes.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check_unchanged(root, [an_input(sha256=expected)])
    path.write_bytes(b"abd")
    with pytest.raises(EmoactError, match="changed while it was analysed"):
        check_unchanged(root, [an_input(sha256=expected)])
