"""Two sites that are defined here, one record each, work everywhere with no other file changed."""

import csv
import dataclasses
import html
import io
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import emoact
from emoact import sites
from emoact.cli import main
from emoact.errors import FileRefusedError, RequestError
from emoact.extraction.extractor import ActivationExtractor
from emoact.models.load import load_model
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from emoact.sites import Site, Wording
from emoact.store.unit import Unit
from emoact.views.separation import classifier_titles
from tests.support.families import tiny_config
from tests.support.pages import ROOT, choices, figure, open_page, words
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import FAST, plant_scenarios
from tests.support.tiny_models import save_in_hub_cache, seeded_model, small_tokenizer
from tests.support.typed import Typed

NORMED = Site(
    name="mlp_in",
    hook="blocks.{l}.mlp.hook_in",
    key="mlp_input",
    label=Wording("MLP input", "MLP入力"),
    words=Wording("MLP input", "MLP入力"),
    definition=Wording("what the MLP of layer l reads", "層lのMLPが読む値"),
    formula="LN(x_l + a_l)",
)
HEADS = Site(
    name="head_in",
    hook="blocks.{l}.attn.o.hook_in",
    key="attention_heads",
    label=Wording("Head inputs", "ヘッド入力"),
    words=Wording("head inputs", "ヘッド入力"),
    definition=Wording("the output of each head before W_O", "W_O以前の各ヘッドの出力"),
    formula="h_l",
    shape="pos head d_head",
    dash="dot",
)
ADDED = (NORMED, HEADS)
ASKED = ("resid_pre", "mlp_out", "mlp_in", "head_in")
N_LAYERS, N_HEADS, D_MODEL = 3, 4, 32
TEXTS = {
    "joy": "We won the match on day {}.",
    "fear": "Something in hall {} moved towards us.",
    "neutral": "The train of {} leaves here.",
}
PARITY = 1e-5


@pytest.fixture(scope="module", autouse=True)
def added() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "SITES", (*sites.SITES, *ADDED))
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Units of a tiny model with both sites, and an analysis of them."""
    folder = tmp_path_factory.mktemp("added")
    save_in_hub_cache(
        seeded_model(tiny_config("gpt2", len(small_tokenizer(d_vocab=2_000)))),
        "lab/tiny",
        folder / "hub",
    )
    rows = [
        {"text": text.format(number), "emotion": emotion, "scenario_id": f"s{number}"}
        for emotion, text in TEXTS.items()
        for number in range(8)
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = folder / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(folder / "hub"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("EMOACT_RESULTS", str(results))
        patch.setenv("EMOACT_CACHE", str(folder / "cache"))
        options = ExtractionOptions(sites=ASKED)
        ActivationExtractor("lab/tiny", options=options).extract_dataset(
            folder / "data.jsonl", results=results
        )
        settings = dataclasses.replace(FAST, sites=("resid_pre", "mlp_in", "head_in"))
        plant_analysis(results, settings)
        yield results


@pytest.fixture
def file(results: Path) -> Path:
    return results / "activations" / "lab~tiny@main" / "activations_joy.pkl"


@pytest.fixture
def unit(file: Path) -> Unit:
    return emoact.read(file)


@pytest.mark.parametrize("command", ["extract", "norms", "sentence", "analyze"])
def test_help_lists_them(command: str, typed: Typed) -> None:
    assert ", mlp_in, head_in" in " ".join(typed(command, "--help").out.split())


def test_a_name_that_is_none_of_them_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        RequestError, match=r"site is 'q'; allowed are resid_pre, .*, mlp_in, head_in$"
    ):
        ExtractionOptions(sites=("q",))


def test_what_is_saved_is_what_single_prompts_give(unit: Unit) -> None:
    bridge = load_model(resolve_model("lab/tiny"), ExtractionOptions()).bridge
    for sample, tokens in enumerate(unit.tokens):
        with torch.no_grad():
            _, cache = bridge.run_with_cache(torch.from_numpy(tokens.copy())[None])
        for site in ADDED:
            for layer in range(N_LAYERS):
                ours = unit.site(site.name)[layer][sample].reshape(len(tokens), -1)
                exact = cache[site.hook_at(layer)][0].numpy().reshape(len(tokens), -1)
                gap = np.linalg.norm(ours - exact, axis=1)
                assert (gap <= PARITY * np.linalg.norm(exact, axis=1)).all()


def test_the_file_holds_their_arrays_under_their_keys(unit: Unit, file: Path) -> None:
    assert unit.sites == ASKED
    n_tokens = len(unit.tokens[0])
    assert unit.site("mlp_in")[0][0].shape == (n_tokens, D_MODEL)
    assert unit.site("head_in")[0][0].shape == (n_tokens, N_HEADS, D_MODEL // N_HEADS)
    payload = pickle.loads(file.read_bytes())
    np.testing.assert_array_equal(payload["attention_heads"][2][1], unit.site("head_in")[2][1])
    assert list(payload)[:6] == [
        *("residual_stream", "mlp_output", "tokens", "token_strings", "labels", "metadata")
    ]


def test_inspect_and_verify_know_them(results: Path, file: Path, typed: Typed) -> None:
    found = typed("inspect", file, "--json").json
    assert found["ok"]
    assert found["sites"] == list(ASKED)
    found = typed("verify", "--results", results, "--samples", "1", "--json").json
    assert [finding for finding in found["findings"] if finding["severity"] != "note"] == []
    for entry in found["parity"]:
        assert set(entry["differences"]) == set(ASKED)
        assert max(map(max, entry["differences"].values())) <= PARITY


@pytest.mark.parametrize(
    ("key", "shape"),
    [("mlp_input", (D_MODEL - 1,)), ("attention_heads", (N_HEADS, 7)), ("attention_heads", (32,))],
)
def test_an_array_of_another_shape_is_refused(
    key: str, shape: tuple[int, ...], file: Path, tmp_path: Path
) -> None:
    payload = pickle.loads(file.read_bytes())
    length = len(payload["tokens"][1])
    payload[key][1][1] = np.zeros((length, *shape), dtype=np.float32)
    copy = tmp_path / file.name
    copy.write_bytes(pickle.dumps(payload))
    with pytest.raises(FileRefusedError, match=rf"{key}\[1\]\[1\]: shape"):
        emoact.read(copy)


def test_without_the_records_the_file_is_read_and_its_other_sites_are_there(
    file: Path, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "SITES", sites.SITES[: -len(ADDED)])
    plain = emoact.read(file)
    assert plain.sites == ("resid_pre", "mlp_out")
    assert {note.code for note in plain.notes} >= {"unknown_keys", "sites"}
    np.testing.assert_array_equal(plain.residual_stream[1][0], unit.residual_stream[1][0])


@pytest.mark.parametrize("site", ADDED)
def test_norms_are_of_each_vector(site: Site, results: Path, unit: Unit, typed: Typed) -> None:
    words = ["norms", "--results", str(results), "--site", site.name, "--emotion", "joy"]
    rows = list(csv.DictReader(io.StringIO(typed(*words, "--csv", "-").out)))
    content = [row for row in rows if row["position"] == "content"]
    assert {row["site"] for row in rows} == {site.name}
    for layer, row in enumerate(content):
        arrays = unit.site(site.name)[layer]
        means = [
            np.linalg.norm(array.reshape(len(array), -1).astype(float), axis=1)[1:].mean()
            for array in arrays
        ]
        assert float(row["median"]) == pytest.approx(np.median(means), rel=1e-9)


def test_an_analysis_takes_them(results: Path, unit: Unit) -> None:
    saved = emoact.read_analysis(results)
    table = saved.table("strength")
    assert set(table["site"]) == {"resid_pre", "mlp_in", "head_in"}
    others = emoact.read(unit.path.with_name("activations_neutral.pkl"))
    means = [
        np.mean(
            [
                array[1:].reshape(len(array) - 1, -1).mean(axis=0)
                for array in one.site("head_in")[2]
            ],
            axis=0,
        )
        for one in (unit, others)
    ]
    np.testing.assert_allclose(
        saved.directions("lab~tiny@main", "head_in")["joy"][2], means[0] - means[1], atol=1e-5
    )
    titles = classifier_titles(["probe mlp_in", "probe z"])
    assert titles == {"probe mlp_in": "probe, MLP input", "probe z": "probe, head outputs"}


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_report_names_hooks_and_definitions(lang: str, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    words = ["report", "--results", str(results), "--lang", lang, "--out", str(out)]
    assert main(words) == 0
    text = html.unescape(re.sub(r"<[^>]*>", "", out.read_text(encoding="utf-8")))
    for site in ADDED:
        assert f"{site.hook}: {site.label.of(lang)}" in text
        assert site.definition.of(lang) in text
        assert f"'{site.key}'" in text


def test_an_analysis_of_one_other_site_fills_the_report_and_the_separation(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "report.html"
    plant_scenarios(results, sites=("resid_pre", "mlp_out", "attn_out"))
    plant_analysis(results, dataclasses.replace(FAST, sites=("attn_out",)))
    assert main(["report", "--results", str(results), "--out", str(out)]) == 0
    text = html.unescape(re.sub(r"<[^>]*>", "", out.read_text(encoding="utf-8")))
    assert re.search(r"Attention output: \d of 2 directions", text)
    assert classifier_titles(["probe attn_out"]) == {"probe attn_out": "probe, attention output"}


def test_pages_offer_and_draw_them(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    app = open_page("activations", site=["mlp_in", "head_in"], model=["lab~tiny@main"])
    assert "MLP input" in str(figure(app))
    assert "Head inputs" in str(figure(app))
    assert "`blocks.{l}.attn.o.hook_in`: the output of each head before W_O" in words(app)
    app = open_page("directions", site=["head_in"])
    assert "Head inputs" in str(figure(app))
    assert "of the head inputs" in words(app)
    app = open_page("extract")
    assert choices(app)["Sites"][-2:] == ["mlp_in", "head_in"]


def test_the_table_of_the_documents_has_them() -> None:
    line = sites.sites_markdown().split("\n")[-1]
    assert line == (
        "| `head_in` | `blocks.{l}.attn.o.hook_in` | `attention_heads` | `[pos, head, d_head]` | "
        "the output of each head before W_O (h_l) |"
    )


def test_every_site_has_a_name_a_key_and_layers_of_a_hook_of_its_own() -> None:
    for values in (
        [site.name for site in sites.SITES],
        [site.key for site in sites.SITES],
        [(site.hook, site.layers) for site in sites.SITES],
    ):
        assert len(set(values)) == len(values)
