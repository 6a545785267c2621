"""Saved activations are those of the libraries, one prompt at a time, for all four families."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components.block import BlockBridge
from transformers import AutoTokenizer

from emoact.errors import EmoactError, RequestError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from tests.support.families import CONTEXT
from tests.support.reference import (
    hugging_face,
    hugging_face_outputs,
    largest_difference,
    transformer_lens_activations,
)
from tests.support.tiny_models import FOUR, Rows, engine_of, save_tiny

TEXTS = [
    "Thank you for the soup that you left at our door.",
    "Thank you for the soup.",
    "Thank you for the soup.",
    "You kept the keys again, and nobody could get in.",
    "The train leaves at nine.",
    "A",
    "I lost the ticket that you gave me, and so we walked all the way home in the rain.",
]
PARITY = 1e-5


@dataclass(frozen=True)
class Family:
    name: str
    folder: Path
    engine: BridgeEngine
    bridge: Any
    model: Any


@pytest.fixture(scope="module", params=FOUR)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = save_tiny(request.param, tmp_path_factory.mktemp("models") / request.param)
    engine = engine_of(folder, texts=TEXTS)
    fresh = hugging_face(folder)
    bridge = TransformerBridge.boot_transformers(
        str(folder),
        hf_model=fresh,
        tokenizer=AutoTokenizer.from_pretrained(folder),
        dtype=torch.float32,
        device="cpu",
    )
    return Family(request.param, folder, engine, bridge, hugging_face(folder))


def _computed(engine: BridgeEngine, texts: list[str]) -> tuple[Any, Rows]:
    prompts = engine.tokenise(texts)
    found = Rows()
    engine.forward(prompts, put=found.put)
    return prompts, found


def test_each_activation_equals_transformer_lens_one_prompt_at_a_time(family: Family) -> None:
    prompts, found = _computed(family.engine, TEXTS)
    for sample, prompt in enumerate(prompts):
        reference = transformer_lens_activations(family.bridge, prompt.ids.tolist())
        for site, layers in reference.items():
            for layer, expected in enumerate(layers):
                ours = found[site, layer, sample]
                assert ours.dtype == np.float32
                assert largest_difference(ours, expected) <= PARITY, (site, layer, sample)


def test_the_self_check_sees_a_wide_tree(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    if family.name != "gpt_neo":
        assert family.engine.facts.plan["plan"] == "prefix_tree"
        return
    monkeypatch.setattr(
        "emoact.extraction.bridge_engine.BridgeEngine.budgets",
        {"prefix_tree": 96, "sorted_batches": 96, "one_at_a_time": 1},
    )
    engine = engine_of(family.folder, texts=TEXTS)
    assert engine.facts.plan["plan"] == "sorted_batches"
    assert "prefix_tree differs" in engine.facts.plan["reason"]


def test_tokens_are_those_of_transformer_lens_with_bos(family: Family) -> None:
    for text, prompt in zip(TEXTS, family.engine.tokenise(TEXTS), strict=True):
        expected = family.bridge.to_tokens(text, prepend_bos=True)[0].tolist()
        assert prompt.ids.tolist() == expected
        assert prompt.content_start == 1
        assert prompt.strings[0] == "<|endoftext|>"
        assert "".join(prompt.strings[1:]) == text


def test_without_bos_the_first_token_is_the_first_of_the_text(family: Family) -> None:
    options = ExtractionOptions(bos="none")
    engine = engine_of(family.folder, options, texts=TEXTS)
    (prompt,) = engine.tokenise([TEXTS[0]])
    assert prompt.content_start == 0
    assert "".join(prompt.strings) == TEXTS[0]
    assert engine.facts.bos == {
        "policy": "none",
        "prepended": False,
        "token": None,
        "token_id": None,
    }


def test_a_prompt_beyond_the_context_comes_back_cut_and_says_so(family: Family) -> None:
    (prompt,) = family.engine.tokenise(["soup " * 300])
    assert len(prompt.ids) == CONTEXT
    assert prompt.is_truncated
    assert prompt.full_length > 300


def test_the_residual_stream_is_the_sum_of_what_was_added_to_it(family: Family) -> None:
    sites = ("resid_pre", "mlp_out", "resid_post", "attn_out", "pattern")
    engine = engine_of(family.folder, ExtractionOptions(sites=sites), texts=TEXTS)
    prompts, found = _computed(engine, TEXTS)
    last = engine.facts.n_layers - 1
    for sample, prompt in enumerate(prompts):
        for layer in range(last + 1):
            parts = [found[site, layer, sample] for site in ("resid_pre", "attn_out", "mlp_out")]
            total = np.sum(parts, axis=0)
            site, after = ("resid_pre", layer + 1) if layer < last else ("resid_post", layer)
            assert largest_difference(total, found[site, after, sample]) < 1e-5
            pattern = found["pattern", layer, sample]
            length = len(prompt.ids)
            assert pattern.shape == (engine.facts.n_heads, length, length)
            np.testing.assert_allclose(pattern.sum(axis=-1), 1.0, rtol=1e-5)
            assert np.triu(pattern, k=1).max() == 0.0


def test_the_stream_before_the_mlp_holds_what_attention_added(family: Family) -> None:
    source = resolve_model(str(family.folder))
    options = ExtractionOptions(sites=("resid_pre", "attn_out", "mlp_out", "resid_mid"))
    if family.name == "gpt_neox":
        # Attention and MLP work in parallel: there is no stream between them.
        with pytest.raises(RequestError, match=r"no hook blocks\.0\.hook_resid_mid, so resid_mid"):
            engine_of(source, options, texts=TEXTS)
        return
    _, found = _computed(engine_of(source, options, texts=TEXTS), TEXTS)
    for (site, layer, sample), rows in found.items():
        if site == "resid_mid":
            total = found["resid_pre", layer, sample] + found["attn_out", layer, sample]
            assert largest_difference(total, rows) < 1e-5


def test_the_stream_behind_every_layer_is_what_plain_hugging_face_gives(family: Family) -> None:
    options = ExtractionOptions(sites=("resid_post", "resid_post_all"))
    engine = engine_of(family.folder, options, texts=TEXTS)
    prompts, found = _computed(engine, TEXTS)
    last = engine.facts.n_layers - 1
    for sample, prompt in enumerate(prompts):
        expected = hugging_face_outputs(family.model, prompt.ids.tolist())
        for layer, rows in enumerate(expected):
            ours = found["resid_post_all", layer, sample]
            assert largest_difference(ours, rows) < PARITY
        np.testing.assert_array_equal(found["resid_post", last, sample], ours)


@pytest.mark.parametrize("family_name", ["gpt2", "gpt_neox", "gpt_neo"])
def test_compatibility_mode_centres_the_residual_stream(family_name: str, tmp_path: Path) -> None:
    folder = save_tiny(family_name, tmp_path)
    raw = engine_of(folder, texts=TEXTS)
    processed = engine_of(folder, ExtractionOptions(processing="tl_compat"), texts=TEXTS)
    _, raw_found = _computed(raw, TEXTS)
    _, found = _computed(processed, TEXTS)
    for key, ours in found.items():
        if key[0] == "resid_pre":
            expected = raw_found[key] - raw_found[key].mean(axis=-1, keepdims=True)
            assert largest_difference(ours, expected) < 2e-4, key


def test_half_precision_is_close_to_float32_and_saved_as_float32(family: Family) -> None:
    engine = engine_of(family.folder, ExtractionOptions(dtype="bfloat16"), texts=TEXTS)
    _, exact = _computed(family.engine, TEXTS)
    _, found = _computed(engine, TEXTS)
    differences = [largest_difference(found[key], exact[key]) for key in found]
    assert all(rows.dtype == np.float32 for rows in found.values())
    assert 1e-5 < max(differences) < 0.1


def test_float16_that_overflows_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("gpt2", tmp_path)
    model = hugging_face(folder)
    with torch.no_grad():
        blocks = model.base_model.h
        blocks[1].mlp.c_proj.bias.fill_(1e6)
    model.save_pretrained(folder)
    frozen = {"plan": "one_at_a_time", "budget": 1, "reason": ""}
    frozen |= {"difference": 0.0, "tolerance": 0.0}
    options = ExtractionOptions(dtype="float16", allow_nonadditive_mlp=True)
    engine = engine_of(folder, options, texts=TEXTS, frozen=frozen)
    with pytest.raises(EmoactError, match=r"mlp_out of layer 1 overflows float16"):
        _computed(engine, TEXTS)


def test_an_mlp_hook_of_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny("gpt2", tmp_path)
    monkeypatch.setattr("emoact.extraction.self_check.additivity_error", lambda *_: 0.3)
    with pytest.raises(
        RequestError,
        match=r"mlp_out is not what is added to the stream.*\n.*--allow-nonadditive-mlp",
    ):
        engine_of(folder, texts=TEXTS)
    allowed = engine_of(folder, ExtractionOptions(allow_nonadditive_mlp=True), texts=TEXTS)
    assert allowed.facts.self_check["additivity_error"] == 0.3
    without = engine_of(folder, ExtractionOptions(sites=("resid_pre",)), texts=TEXTS)
    assert without.facts.self_check == {}


def test_a_missing_hook_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = resolve_model(str(save_tiny("gpt2", tmp_path)))
    fewer = {name: at for name, at in BlockBridge.hook_aliases.items() if name != "hook_mlp_out"}
    monkeypatch.setattr(BlockBridge, "hook_aliases", fewer)
    with pytest.raises(
        RequestError,
        match=r"no hook blocks\.0\.hook_mlp_out, so mlp_out cannot be read\n"
        r"Leave the site mlp_out out\. This model has resid_pre, resid_post, attn_out",
    ):
        engine_of(source, texts=TEXTS)
    engine = engine_of(source, ExtractionOptions(sites=("resid_pre",)), texts=TEXTS)
    _, found = _computed(engine, TEXTS)
    assert {site for site, _, _ in found} == {"resid_pre"}
    # What attention adds cannot be checked without what the MLP adds.
    with pytest.raises(RequestError, match="a hook is missing or overflows"):
        engine_of(source, ExtractionOptions(sites=("attn_out",)), texts=TEXTS)


def test_bos_without_any_such_token_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("gpt2", tmp_path, with_bos=False)
    with pytest.raises(RequestError, match="neither a BOS nor an end-of-text token"):
        engine_of(folder, texts=TEXTS)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
