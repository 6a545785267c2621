"""Ablation equals a loop over plain Hugging Face, and its command works from files to table."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from emoact import read_all
from emoact.causes.ablation import Ablations, Means, Part
from emoact.schema import ExtractionOptions
from tests.support.brute_force import PROJECTIONS, TEXTS, ablated
from tests.support.families import tiny_config
from tests.support.reference import blocks_of, hugging_face, hugging_face_activations
from tests.support.tiny_models import engine_of, save_tiny, seeded_model, texts_of
from tests.support.tiny_results import shipped, tiny_results
from tests.support.typed import Typed

N_HEADS, D_HEAD, READ = 4, 8, 2
LABELS = ("anger", "neutral")
WORDS = (7, 300)
WANTED = ("soup", "angry")
KINDS = ("direction", "directions", "layer", "mlp", "head")


@pytest.mark.parametrize("family", PROJECTIONS)
def test_every_ablation_equals_a_loop_over_plain_hugging_face(family: str, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / "model")
    options = ExtractionOptions(sites=("resid_pre",))
    engine = engine_of(folder, options, texts=TEXTS)
    texts = texts_of(engine, TEXTS, WORDS)
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(READ + 1, engine.facts.d_model))
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    found = Ablations(engine.bridge, texts, read=READ, directions=directions, direct=True)
    shape = (len(texts), READ)
    means = Means(
        z=rng.normal(size=(*shape, N_HEADS, D_HEAD)).astype(np.float32),
        attention=rng.normal(size=(*shape, engine.facts.d_model)).astype(np.float32),
        mlp=rng.normal(size=(*shape, engine.facts.d_model)).astype(np.float32),
    )
    model = hugging_face(folder)
    how = {"unit": units[READ], "read_layer": READ, "words": WORDS}
    plainly = partial(ablated, model, PROJECTIONS[family], **how)
    kinds = {part.kind for part in found.parts}
    assert kinds == {"head", "mlp", "layer", "direction"} | (
        {"group"} if family in ("llama", "gemma3_text") else set()
    )
    together = Part(kind="directions", layer=0, layers=(0, 1))
    for part in [*(part for part in found.parts if part.kind != "layer"), together]:
        whole = found.without(part.layer)
        for replacement in (None, means):
            changed = found.ablated(part, replacement)
            for at, text in enumerate(texts):
                ids = text.ids.tolist()
                value: Any = np.zeros(engine.facts.d_model, np.float32)
                if part.kind in ("direction", "directions"):
                    value = units
                elif part.heads:
                    value = np.zeros((len(part.heads), D_HEAD), np.float32)
                if replacement is not None and part.kind == "mlp":
                    value = replacement.mlp[at, part.layer]
                elif replacement is not None and part.heads:
                    value = replacement.z[at, part.layer, list(part.heads)]
                for ours, asked in ((whole[at], None), (changed[at], part)):
                    expected = plainly(ids=ids, part=asked, value=value)
                    assert ours.projection == pytest.approx(expected[0], abs=1e-5)
                    assert ours.log_odds == pytest.approx(expected[2], abs=1e-5)
                    assert ours.log_prob == pytest.approx(expected[1], abs=1e-5 * len(ids))
                if part.kind == "direction":
                    stream = hugging_face_activations(model, ids)["resid_pre"][part.layer][1:]
                    size = (stream @ units[part.layer]).mean()
                    removed = -size * (units[part.layer] @ units[READ])
                    assert changed[at].direct == pytest.approx(removed, abs=1e-5)
                if part.layer == READ - 1 and part.kind == "mlp" and family != "gpt_neox":
                    # Nothing comes behind the last MLP, so that all of its effect is direct.
                    total = changed[at].projection - whole[at].projection
                    assert changed[at].direct == pytest.approx(total, abs=1e-5)


def test_a_dead_head_changes_nothing_at_all(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "model")
    model = hugging_face(folder)
    with torch.no_grad():
        blocks_of(model)[1].self_attn.o_proj.weight[:, D_HEAD : 2 * D_HEAD] = 0
    model.save_pretrained(folder)
    options = ExtractionOptions(sites=("resid_pre",))
    engine = engine_of(folder, options, texts=TEXTS)
    texts = texts_of(engine, TEXTS)
    directions = np.random.default_rng(0).normal(size=(READ + 1, engine.facts.d_model))
    found = Ablations(engine.bridge, texts, read=READ, directions=directions, direct=True)
    whole = found.without(1)
    dead = found.ablated(Part(kind="head", layer=1, heads=(1,)), None)
    alive = found.ablated(Part(kind="head", layer=1, heads=(2,)), None)
    for before, after, other in zip(whole, dead, alive, strict=True):
        assert after.projection == before.projection
        assert after.log_prob == before.log_prob
        assert after.direct == 0.0
        assert other.projection != before.projection


def test_the_command_gives_what_plain_hugging_face_gives(tmp_path: Path, typed: Typed) -> None:
    kept = [row for row in shipped(6) if row["emotion"] in LABELS]
    made = seeded_model(tiny_config("llama", 2_000))
    with torch.no_grad():
        blocks_of(made)[0].self_attn.o_proj.weight[:, : 2 * D_HEAD] = 0
    asked = ["ablate", "--emotion", "anger", "--layer", str(READ), "--by", "zero"]
    asked += [f"--word={word}" for word in WANTED] + [f"--part={kind}" for kind in KINDS]
    with tiny_results(tmp_path, rows=kept, model=made):
        printed = typed(*asked, "--json")
    found = printed.json
    rows = found["ablations"]
    assert f"About {len(rows)} ablations" in printed.err
    assert len(rows) == 2 * (1 + 1 + 1 + N_HEADS) + 1
    for row in rows:
        assert row["total"] == pytest.approx(row["direct"] + row["repair"])
        assert row["low"] <= row["total"] <= row["high"]
    # Exact ties are flagged: two heads without weights change nothing.
    dead = [row for row in rows if row["layer"] == 0 and row["heads"] in ("0", "1")]
    assert [row["total"] for row in dead] == [0.0, 0.0]
    assert [row for row in rows if row["tied"]] == dead

    snapshot = next(tmp_path.glob("hub-home/hub/*/snapshots/*"))
    model = hugging_face(snapshot)
    tokens = {
        unit.emotion: {
            str(prompt["scenario_id"]): ids.tolist()
            for prompt, ids in zip(unit.prompts or (), unit.tokens, strict=True)
        }
        for unit in read_all(tmp_path / "results")
    }
    means = []
    for label in LABELS:
        streams = [
            hugging_face_activations(model, tokens[label][s])["resid_pre"][READ]
            for s in found["train_scenarios"]
        ]
        means.append(np.mean([stream[1:].mean(axis=0) for stream in streams], axis=0))
    unit = (means[0] - means[1]) / np.linalg.norm(means[0] - means[1])
    part, nothing = Part(kind="mlp", layer=0), np.zeros(32, np.float32)
    contrasts, said, odds = [], 0.0, np.float64(0.0)
    tokenizer: Any = AutoTokenizer.from_pretrained(snapshot)
    first_tokens = [
        int(tokenizer(f" {w}", add_special_tokens=False)["input_ids"][0]) for w in WANTED
    ]
    assert found["words"] == list(WANTED)
    for asked_part in (None, part):
        how = {"part": asked_part, "value": nothing, "unit": unit, "read_layer": READ}
        plainly = partial(ablated, model, PROJECTIONS["llama"], words=first_tokens, **how)
        by_class = {
            label: [plainly(ids=tokens[label][s]) for s in found["test_scenarios"]]
            for label in LABELS
        }
        projections = [np.mean([each[0] for each in by_class[label]]) for label in LABELS]
        contrasts.append(projections[0] - projections[1])
        said = sum(each[1] for each in by_class["anger"]) - said
        odds = np.mean([each[2] for each in by_class["anger"]]) - odds
    (row,) = [row for row in rows if row["part"] == "mlp" and row["layer"] == 0]
    assert found["contrast"] == pytest.approx(contrasts[0], abs=1e-5)
    assert row["total"] == pytest.approx(contrasts[1] - contrasts[0], abs=1e-5)
    assert row["log_odds"] == pytest.approx(odds, abs=1e-5)
    n_tokens = sum(len(tokens["anger"][s]) - 1 for s in found["test_scenarios"])
    assert row["log_prob"] == pytest.approx(said / n_tokens, abs=1e-5)
