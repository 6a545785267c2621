"""The report's grid: three full-size models, four emotions, twelve files, with the hub off."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.reference import hugging_face, hugging_face_activations, largest_difference
from tests.support.tiny_models import TWINS, save_twin

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EMOTIONS = ("gratitude", "anger", "apology", "neutral")
REPORT = {
    "gpt2": ("gpt2", 50_257),
    "pythia-160m": ("EleutherAI/pythia-160m", 50_304),
    "gpt-neo-125m": ("EleutherAI/gpt-neo-125M", 50_257),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("hf_home")
    for seed, hub_id in enumerate(TWINS):
        save_twin(hub_id, home, seed=seed)
    return home


@pytest.fixture(scope="module")
def results(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("grid") / "results"
    command = [sys.executable, "-m", "emoact", "extract", "--json", "--results", str(results)]
    for name in REPORT:
        command += ["--model", name]
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    environment.pop("HF_HUB_CACHE", None)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)
    return results


def _load(results: Path, model: str, emotion: str) -> dict[str, Any]:
    with (results / "activations" / model / f"activations_{emotion}.pkl").open("rb") as file:
        loaded: dict[str, Any] = pickle.load(file)
    return loaded


def test_the_twelve_files_have_the_names_of_the_report(results: Path) -> None:
    found = sorted(str(path.relative_to(results)) for path in results.rglob("*.pkl"))
    expected = [
        f"activations/{model}/activations_{emotion}.pkl" for model in REPORT for emotion in EMOTIONS
    ]
    assert found == sorted(expected)


@pytest.mark.parametrize("model", REPORT)
def test_each_file_keeps_the_contract_under_plain_pickle(results: Path, model: str) -> None:
    prompts = [
        json.loads(line) for line in (ROOT / "data" / "prompts.jsonl").read_text().splitlines()
    ]
    for emotion in EMOTIONS:
        saved = _load(results, model, emotion)
        hub_id, d_vocab = REPORT[model]
        metadata = saved["metadata"]
        expected = {
            "model_name": hub_id,
            "n_layers": 12,
            "d_model": 768,
            "d_vocab": d_vocab,
            "n_samples": 50,
            "emotion_label": emotion,
            "save_residual_stream": True,
            "save_mlp_output": True,
            "save_attention": False,
            "content_start": 1,
        }
        assert {key: metadata[key] for key in expected} == expected
        assert saved["labels"] == [emotion] * 50
        texts = [prompt["text"] for prompt in prompts if prompt["emotion"] == emotion]
        assert [prompt["text"] for prompt in metadata["prompts"]] == texts
        assert len(saved["residual_stream"]) == len(saved["mlp_output"]) == 12
        for sample, tokens in enumerate(saved["tokens"]):
            assert isinstance(tokens, torch.Tensor)
            assert tokens.dtype == torch.int64
            assert tokens.untyped_storage().nbytes() == 8 * len(tokens)
            strings = saved["token_strings"][sample]
            assert strings[0] == "<|endoftext|>"
            assert "".join(strings[1:]) == texts[sample]
            for site in ("residual_stream", "mlp_output"):
                for layer in range(12):
                    rows = saved[site][layer][sample]
                    assert rows.shape == (len(tokens), 768)
                    assert rows.dtype == np.float32
                    assert rows.flags.c_contiguous
                    assert rows.flags.owndata or rows.base is not None
                    assert np.isfinite(rows).all()
        provenance = metadata["provenance"]
        assert provenance["random_weights"] is True
        assert provenance["processing"] == "raw"
        assert provenance["throughput"]["samples_per_s"] > 0


@pytest.mark.parametrize("model", REPORT)
def test_full_size_models_equal_hugging_face(results: Path, home: Path, model: str) -> None:
    hub_id = REPORT[model][0]
    (folder,) = (home / "hub" / f"models--{hub_id.replace('/', '--')}" / "snapshots").iterdir()
    narrow, wide = hugging_face(folder), hugging_face(folder, torch.float64)
    saved = _load(results, model, "apology")
    largest, rounding = 0.0, 0.0
    for sample in (0, 17, 49):
        ids = saved["tokens"][sample].tolist()
        expected = hugging_face_activations(narrow, ids)
        exact = hugging_face_activations(wide, ids)
        for site, key in (("resid_pre", "residual_stream"), ("mlp_out", "mlp_output")):
            for layer in range(12):
                single = expected[site][layer]
                ours = saved[key][layer][sample]
                largest = max(largest, largest_difference(ours, single))
                rounding = max(rounding, largest_difference(single, exact[site][layer]))
    # Parity as the contract defines it: float32 noise, measured on the same prompts.
    assert largest <= max(1e-5, 3 * rounding), (largest, rounding)
    assert rounding < 1e-4
