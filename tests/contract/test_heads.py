"""Contributions of real models equal plain Hugging Face, head by head, and their command works."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from emoact.causes.components import collect_terms
from emoact.causes.contributions import TERM_SITES, ContrastSettings, Target, contributions, project
from emoact.errors import RequestError
from emoact.schema import ExtractionOptions
from emoact.stats.design import design_of
from emoact.store.reading import read
from tests.support.brute_force import PROJECTIONS
from tests.support.families import FAMILIES, Family
from tests.support.pages import ROOT, click, figure, open_page, words
from tests.support.reference import blocks_of, hugging_face, hugging_face_activations
from tests.support.tiny_models import engine_of, save_tiny
from tests.support.tiny_results import FOLDER, ROWS, TEXTS, shipped
from tests.support.typed import Typed

LAYER = 2
MORE = {**PROJECTIONS, "olmo2": "self_attn.o_proj", "granite": "self_attn.o_proj"}
FAMILIES_BY = {kind: next(family for family in FAMILIES if family.type == kind) for kind in MORE}


@torch.no_grad()
def head_inputs(model: Any, family: Family, ids: list[int]) -> list[torch.Tensor]:
    """What enters the output projection of every layer, `[pos, head * d_head]`."""
    inputs: list[torch.Tensor] = []
    handles = [
        dict(block.named_modules())[MORE[family.type]].register_forward_pre_hook(
            lambda _module, args: inputs.append(args[0][0])
        )
        for block in blocks_of(model)
    ]
    model(input_ids=torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    return inputs


@torch.no_grad()
def brute_force(model: Any, family: Family, ids: list[int], direction: np.ndarray) -> np.ndarray:
    """What each head adds alone, through projection and the norm behind it, as `[layer, head]`."""
    n_heads, found = model.config.num_attention_heads, []
    for block, z in zip(blocks_of(model), head_inputs(model, family, ids), strict=True):
        modules = dict(block.named_modules())
        projection = modules[MORE[family.type]]
        whole = projection(z)
        row = []
        for head in range(n_heads):
            width = z.shape[1] // n_heads
            alone = torch.zeros_like(z)
            alone[:, head * width : (head + 1) * width] = z[:, head * width : (head + 1) * width]
            added = projection(alone) - projection(torch.zeros_like(z))
            norm = modules.get("post_attention_layernorm")
            if norm is not None and family.type in ("gemma3_text", "olmo2"):
                eps = getattr(norm, "eps", None) or norm.variance_epsilon
                root = torch.sqrt((whole**2).mean(dim=1, keepdim=True) + eps)
                gain = norm.weight + (1.0 if family.type == "gemma3_text" else 0.0)
                added = added / root * gain
            row.append(float((family.scale * added[1:].mean(dim=0)).numpy() @ direction))
        found.append(row)
    return np.array(found)


@pytest.mark.parametrize("family", FAMILIES_BY.values(), ids=lambda family: family.name)
def test_heads_of_a_family_equal_a_loop_of_hugging_face(family: Family, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / "model")
    engine = engine_of(folder, ExtractionOptions(sites=TERM_SITES), texts=TEXTS)
    prompts = engine.tokenise(TEXTS)
    terms = collect_terms(engine, prompts, Target(layer=LAYER))
    drawn = np.random.default_rng(0).normal(size=terms.target.shape[1])
    direction = np.asarray(drawn / np.linalg.norm(drawn))

    found, table = project(terms, direction), terms.components

    largest = np.abs(found).max()
    is_head = (table["component"] == "head").to_numpy()
    plain = hugging_face(folder)
    for sample, prompt in enumerate(prompts):
        expected = brute_force(plain, family, prompt.ids.tolist(), direction)[:LAYER]
        assert np.abs(found[sample, is_head] - expected.ravel()).max() < 1e-5 * largest
    total = terms.target.astype(np.float64) @ direction
    assert np.abs(found.sum(axis=1) - total).max() < 1e-5 * largest
    if family.type == "llama":
        # Query heads name the group of keys that they read.
        assert table["kv_group"][is_head].tolist() == LAYER * [0, 0, 1, 1]


def test_a_head_that_writes_the_direction_is_found_with_its_share(tmp_path: Path) -> None:
    neutral = [row["text"] for row in shipped(12) if row["emotion"] == "neutral"]
    texts = [f"How dare you! {text}" for text in neutral] + neutral
    n = len(neutral)
    design = design_of(["anger"] * n + ["neutral"] * n, [f"s{i}" for i in range(n)] * 2)
    folder, family = save_tiny("llama", tmp_path / "model"), FAMILIES_BY["llama"]
    plain, options = hugging_face(folder), ExtractionOptions(sites=TERM_SITES)
    prompts = engine_of(folder, options, texts=texts).tokenise(texts)

    def contrast(of_prompt: Callable[[list[int]], Any]) -> Any:
        values = np.array([of_prompt(each.ids.tolist()) for each in prompts])
        return values[:n].mean(axis=0) - values[n:].mean(axis=0)

    # What head 2 of layer 1 gathers differs between the classes; its output turns this into one
    # direction of the stream.
    gathered = contrast(
        lambda ids: head_inputs(plain, family, ids)[1][1:, 16:24].mean(dim=0).numpy()
    )
    drawn = np.random.default_rng(0).normal(size=plain.config.hidden_size)
    with torch.no_grad():
        projection = blocks_of(plain)[1].self_attn.o_proj
        projection.weight[:, 16:24] = torch.tensor(100 * np.outer(drawn, gathered))
    plain.save_pretrained(folder)

    engine = engine_of(folder, options, texts=texts)
    terms = collect_terms(engine, prompts, Target(layer=LAYER))
    found = contributions(terms, design, "anger", ContrastSettings(n_permutations=199))

    direction = contrast(
        lambda ids: hugging_face_activations(plain, ids)["resid_pre"][LAYER][1:].mean(axis=0)
    )
    unit = direction / np.linalg.norm(direction)
    share = contrast(lambda ids: brute_force(plain, family, ids, unit)[1, 2])
    largest = found.table.loc[found.table["contrast"].idxmax()]
    assert (largest["component"], largest["layer"], largest["head"]) == ("head", 1, 2)
    assert largest["contrast"] == pytest.approx(share, rel=1e-4)
    assert found.total == pytest.approx(np.linalg.norm(direction), rel=1e-4)
    assert share > 0.5 * found.total
    assert largest["p"] <= 0.05


def test_a_model_whose_heads_do_not_sum_is_refused_with_the_gap(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "model")
    engine = engine_of(folder, ExtractionOptions(sites=TERM_SITES), texts=TEXTS)
    projection = engine.bridge.blocks[1].attn.o.original_component
    plain = projection.forward
    projection.forward = lambda values: plain(values) + values.square().sum(-1, keepdim=True)
    with pytest.raises(RequestError, match="the heads of layer 1 do not sum"):
        collect_terms(engine, engine.tokenise(TEXTS), Target(layer=LAYER))


ASKED = ("heads", "--model", FOLDER, "--emotion", "anger")
FEW = ("--permutations", "19")


def test_the_command_s_sum_is_the_norm_of_the_direction(tiny: Path, typed: Typed) -> None:
    asked = [*ASKED, "--layer", "2", "--results", str(tiny), *FEW, "--json"]
    found = typed(*asked).json
    assert found["target"] == {"site": "resid_pre", "layer": 2, "pooling": "mean_content"}
    contrasts = [component["contrast"] for component in found["components"]]
    assert found["total"] == pytest.approx(sum(contrasts))
    assert found["total"] == pytest.approx(found["direction_norm"], rel=1e-5)
    kinds = [component["component"] for component in found["components"]]
    assert kinds == ["embedding", *(["head"] * 4 + ["mlp"]) * 2]
    assert all(0 < component["p"] <= 1 for component in found["components"])
    kept = found["by_prompt"]
    assert kept["emotion"] == ["anger"] * 3 + ["neutral"] * 3
    largest = sorted(contrasts, key=abs, reverse=True)[:10]
    differences = [
        np.mean(values[:3]) - np.mean(values[3:]) for values in kept["contributions"].values()
    ]
    assert differences == pytest.approx(largest)
    # Asked again, it is read from disk.
    again = typed(*asked)
    assert again.json == found
    assert "started" not in again.err


def test_a_sentence_is_taken_apart_token_by_token(tiny: Path, typed: Typed) -> None:
    asked = [*ASKED, "--layer", "2", "--results", str(tiny), "--json"]
    found = typed(*asked, "--text", TEXTS[1]).json
    values = np.array([each["contributions"] for each in found["components"]])
    # The oracle reads each head of the plain model, as a mean over the positions of the text.
    plain = hugging_face(next(tiny.parent.glob("hub-home/hub/*/snapshots/*")))
    from transformers import AutoTokenizer

    snapshot = plain.config.name_or_path
    tokenizer: Any = AutoTokenizer.from_pretrained(snapshot)
    ids = [tokenizer.bos_token_id, *tokenizer(TEXTS[1])["input_ids"]]
    means = []
    for emotion in ("anger", "neutral"):
        unit = read(tiny / "activations" / FOLDER / f"activations_{emotion}.pkl")
        rows = [row[1:].mean(axis=0, dtype=np.float64) for row in unit.residual_stream[2]]
        means.append(np.mean(rows, axis=0))
    direction = (means[0] - means[1]) / np.linalg.norm(means[0] - means[1])
    family = FAMILIES_BY["llama"]
    expected = brute_force(plain, family, ids, direction)[:2]
    is_head = [each["component"] == "head" for each in found["components"]]
    largest = np.abs(values).max()
    assert np.abs(values[is_head][:, 1:].mean(axis=1) - expected.ravel()).max() < 1e-5 * largest
    stream = hugging_face_activations(plain, ids)["resid_pre"][2]
    assert np.abs(values.sum(axis=0) - stream @ direction).max() < 1e-5 * largest
    assert found["projection"] == pytest.approx(values.sum(axis=0).tolist())
    assert "contribute most" in found["sentences"][0]
    # The saved prompt with the same text.
    kept = typed(*asked, *FEW).json["by_prompt"]
    at = kept["prompt"].index("anger-1")
    assert kept["projection"][at] == pytest.approx(stream[1:].mean(axis=0) @ direction, rel=1e-5)


def test_a_prompt_is_taken_apart_by_token(tiny: Path, tmp_path: Path, typed: Typed) -> None:
    asked = [*ASKED, "--layer", "2", "--results", str(tiny)]
    typed(*asked, *FEW)
    assert "Name it with --text" in typed(*asked, "--by", "token", code=2).err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOACT_RESULTS", str(tiny))
        patch.chdir(ROOT)
        app = open_page("heads", view="tokens")
        app.selectbox(key="heads-prompt").set_value("anger: anger-1").run()
        assert app.text_input(key="sentence-text").value == TEXTS[1]
        click(app, "Look at the sentence")
        file = tmp_path / "tokens.csv"
        typed(*asked, "--text", TEXTS[1], "--by", "token", "--csv", file)
    (table,) = (each.value for each in app.dataframe)
    assert "contribute most" in words(app)
    assert figure(app)["data"][0]["type"] == "heatmap"
    assert table["token"].tolist()[0] == "You"
    pd.testing.assert_frame_equal(pd.read_csv(file), table, check_dtype=False, rtol=1e-6)
    # The components of a token sum to its projection, which plain Hugging Face gives above.
    parts = table.drop(columns=["position", "token", "projection"])
    assert list(parts)[-1] == "all others"
    np.testing.assert_allclose(parts.sum(axis=1), table["projection"], rtol=1e-5)


def test_one_prompt_a_class_of_two_data_sets_has_no_interval(
    tiny: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in (ROWS[0], ROWS[3]):
        (tmp_path / "own.jsonl").write_text(json.dumps(row))
        asked = ("--dataset", tmp_path / "own.jsonl", "--results", tmp_path)
        typed("extract", "--model", "lab/tiny", *asked)
    heads = (*ASKED, "--layer", "2", "--results", tmp_path, *FEW)
    found = typed(*heads, "--json").json
    assert {(row["low"], row["high"]) for row in found["components"]} == {(None, None)}
    assert "nan" not in typed(*heads).out.lower()
    monkeypatch.setenv("EMOACT_RESULTS", str(tmp_path))
    monkeypatch.chdir(ROOT)
    for view in ("map", "largest", "trajectory"):
        app = open_page("heads", view=view)
        assert not app.error, view
        assert "nan" not in words(app).lower()
    # The sentence can be one of either class.
    assert app.selectbox(key="heads-prompt").options == ["anger: anger-0", "neutral: neutral-0"]
