"""Requests about causes that cannot be answered are named and refused; nothing is written."""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from emoact.causes.ablation import Ablations
from emoact.causes.components import collect_terms
from emoact.causes.contributions import Target
from emoact.causes.passes import UpperLayers
from emoact.errors import RequestError
from emoact.models import hosts
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from emoact.store.convert import convert
from emoact.store.unit import Unit
from tests.support.families import FAMILIES, tiny_config
from tests.support.tiny_models import (
    engine_of,
    save_in_hub_cache,
    save_tiny,
    seeded_model,
    texts_of,
)
from tests.support.tiny_results import TEXTS
from tests.support.typed import Typed

COMMANDS = (
    ("heads", "--model", "lab/tiny", "--emotion", "anger", "--layer", "2"),
    ("lens", "--model", "lab/tiny", "--emotion", "anger", "--layer", "2"),
    ("ablate", "--emotion", "anger", "--layer", "2"),
    ("steer", "--emotion", "anger", "--layer", "1", "--dose", "1"),
)


@pytest.fixture
def results(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "results")


def refused(
    typed: Typed,
    results: Path,
    message: str,
    commands: Sequence[Sequence[str]] = COMMANDS,
    code: int = 2,
) -> None:
    """Each of the commands is refused with these words and leaves no result."""
    for command in commands:
        assert message in typed(*command, "--results", results, code=code).err, command
        assert not list(results.glob("causes/*/*.json"))


PROJECT = ("project", *COMMANDS[0][1:])
NO_LAYER = "layer is 7; the model has the layers 0 to 2"
WRONG = {
    COMMANDS[0]: {
        "--layer 7": NO_LAYER,
        "--neutral calm": "has no class 'calm'",
        "--neutral anger": "cannot be contrasted with itself",
        "--model nowhere": "no activations of nowhere",
        "--layer 1 --site resid_post": "resid_post is read at the last layer",
    },
    COMMANDS[1]: {
        "--site resid_mid": "resid_mid was not saved",
        "--random 5": "allowed are 20 to 100,000",
        "--pooling mean_typical": "mean_typical",
    },
    PROJECT: {
        "--file nowhere.txt": "nowhere.txt cannot be read",
        "--top 0": "n_top is 0",
        "--text ''": "the sentence is empty",
        "--text x --file y": "not allowed with",
    },
    COMMANDS[2]: {
        "--layer 3": "layer is 3; the model has the layers 0 to 2",
        "--layer 0": "no part comes before layer 0",
        "--at 2": "layer 2 does not come before layer 2",
        "--emotion joy": "has no class 'joy'",
        "--word ' '": "a class word is empty",
        "--sentences 0": "at least 1 is needed",
    },
    COMMANDS[3]: {
        "--layer 7": NO_LAYER,
        "--neutral anger": "anger is the class that directions are measured from",
        "--dose 0": "numbers other than 0 up to 1,000,000",
        "--dose inf": "numbers other than 0 up to 1,000,000",
        "--random 20": "allowed are 100 to 100,000",
        "--sentences 0": "at least 1 is needed",
    },
}


@pytest.mark.parametrize("command", WRONG, ids=lambda command: command[0])
def test_wrong_requests_are_refused(tiny: Path, command: tuple[str, ...], typed: Typed) -> None:
    before = sorted((tiny / "runs").iterdir())
    for words, message in WRONG[command].items():
        refused(typed, tiny, message, [(*command, *shlex.split(words))])
    assert sorted((tiny / "runs").iterdir()) == before


def test_files_of_another_model_are_refused(
    results: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same name, revision and sizes, and other weights behind them.
    hosts.leave_others()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
    other = seeded_model(tiny_config("llama", 2_000), seed=1)
    save_in_hub_cache(other, "lab/tiny", tmp_path / "hub-home")
    refused(typed, results, "in the installed model differ by", COMMANDS[::3], code=1)
    hosts.leave_others()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--bos", "none"),
            "not made alike: bos.policy is 'prepend' in anger and 'none' in neutral",
        ),
        (("--processing", "tl_compat"), "which changes what the layers add"),
    ],
)
def test_files_of_another_policy_or_processing_are_refused(
    results: Path, words: tuple[str, str], message: str, typed: Typed
) -> None:
    asked = ["extract", "--model", "lab/tiny", "--dataset", "prompts.jsonl", "--overwrite", *words]
    only = ["--emotion", "neutral"] if words[0] == "--bos" else []
    typed(*asked, *only, "--results", results)
    before = sorted((results / "runs").iterdir())
    refused(typed, results, message)
    assert sorted((results / "runs").iterdir()) == before


def test_two_widths_are_refused(tiny: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unit, "d_model", property(lambda unit: 16 * len(unit.emotion)))
    refused(typed, tiny, "neutral has 3 layers of width 112")


def test_a_text_longer_than_the_context_is_refused(results: Path, typed: Typed) -> None:
    for name in ("heads", "project"):
        asked = [name, "--model", "lab/tiny", "--emotion", "anger", "--layer", "2"]
        said = typed(*asked, "--results", results, "--text", "soup " * 300, code=2)
        assert "takes at most" in said.err


def test_a_model_without_separate_heads_is_refused(tmp_path: Path) -> None:
    family = next(each for each in FAMILIES if each.type == "recurrent_gemma")
    source = resolve_model(str(save_tiny(family, tmp_path / "model")))
    with pytest.raises(RequestError, match=r"no hook blocks\.0\.attn\.hook_z, so z cannot be read"):
        engine_of(source, ExtractionOptions(sites=("z",)), texts=TEXTS)
    engine = engine_of(source, ExtractionOptions(sites=("resid_pre",)), texts=TEXTS)
    with pytest.raises(RequestError, match="no output projection of attention"):
        collect_terms(engine, engine.tokenise(TEXTS), Target(layer=1))
    texts = texts_of(engine, TEXTS)
    directions = np.ones((2, engine.facts.d_model))
    with pytest.raises(RequestError, match=r"no hook blocks\.0\.attn\.hook_z, so that its heads"):
        Ablations(engine.bridge, texts, read=1, directions=directions, direct=True)


def test_a_dose_that_makes_logits_infinite_gives_no_number(tmp_path: Path) -> None:
    source = resolve_model(str(save_tiny("llama", tmp_path / "model")))
    engine = engine_of(source, ExtractionOptions(sites=("resid_pre",)), texts=TEXTS)
    texts = texts_of(engine, TEXTS)
    vectors = np.stack([np.zeros(engine.facts.d_model), np.full(engine.facts.d_model, 1e39)])
    upper = UpperLayers(engine.bridge, texts, layer=1, direct=True)
    for said in upper.log_probs(vectors, range(len(texts))):
        assert np.isfinite(said[0]).all()
        # The first scored token is predicted from BOS, which is not changed.
        assert np.isnan(said[1][1:]).all()


def test_a_dose_at_which_the_model_breaks_has_no_verdict(results: Path, typed: Typed) -> None:
    asked = ["extract", "--model", "lab/tiny", "--dataset", "prompts.jsonl", "--overwrite"]
    typed(*asked, "--dtype", "float16", "--results", results)
    # The largest float16 is 65,504.
    doses = ("--dose", "1", "--dose", "-1", "--dose", "1e6")
    command = ["steer", "--emotion", "anger", "--layer", "1", *doses, "--results", str(results)]
    found = typed(*command, "--json").json
    verdicts = {effect["dose"]: effect["verdict"] for effect in found["effects"]}
    assert verdicts.pop(1e6) == "not finite"
    assert set(verdicts.values()) <= {"causal", "nothing"}
    broken = found["effects"][-1]
    assert [broken[name] for name in ("own", "own_low", "p", "random_95")] == [None] * 4
    said = "At dose 1e+06 some log-probabilities are not finite; nothing is said of them."
    assert said in found["sentences"]


def test_pooled_files_are_not_steered(tiny: Path, tmp_path: Path, typed: Typed) -> None:
    results = tmp_path / "results"
    for path in tiny.glob("activations/*/*.pkl"):
        name = path.name.replace(".pkl", ".pooled.zarr.zip")
        convert(path, to="pooled", out=results / "activations" / path.parent.name / name)
    heads, _, _, steer = COMMANDS
    typed(*heads, "--permutations", "19", "--results", results, "--json")
    assert "pooled vectors" in typed(*steer, "--results", results, code=2).err
