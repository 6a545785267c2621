"""Chat formats of tiny real models, against transformers and plain Hugging Face."""

import functools
import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers
from transformers import AutoTokenizer

from emoact.analysis.request import AnalyzeRequest, prepare_analysis
from emoact.errors import RequestError
from emoact.extraction.controls import compute_controls
from emoact.extraction.extractor import ActivationExtractor
from emoact.models.alike import request_like
from emoact.positions import Pooling
from emoact.schema import ChatFormat, ExtractionOptions
from emoact.stats.features import features_of
from emoact.stats.norms.norm_tables import NormTable
from emoact.stats.settings import AnalysisSettings
from emoact.store.controls import CONTEXTLESS, ControlSettings, UnitControls, shuffle_name
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.store.summaries.measuring import measure_file
from tests.support.planted import plant_unit
from tests.support.reference import hugging_face, hugging_face_activations, largest_difference
from tests.support.tiny_models import ROLES, Rows, engine_of, extracted, save_with_prompts
from tests.support.typed import Typed

TEMPLATES = {
    "roles": ROLES,
    "instructions": "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content | trim }} "
    "[/INST]{% else %}{{ m.content }} {% endif %}{% endfor %}",
}
TEXTS = (
    "Thank you for the soup, thank you.",
    "user",
    "Sorry!",
    "You kept the keys again, and nobody could get in.",
)
SITES = ("resid_pre", "mlp_out")


made = functools.partial(save_with_prompts, texts=TEXTS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def files(model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return extracted(model, tmp_path_factory.mktemp("results"), chat=ChatFormat())


@pytest.mark.parametrize("template", TEMPLATES)
def test_tokens_and_activations_are_those_of_transformers(template: str, tmp_path: Path) -> None:
    model = made(tmp_path, family="llama", template=TEMPLATES[template])
    plain = hugging_face(model)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    for system, prefix in itertools.product((None, "Be kind."), (None, " Well,")):
        options = ExtractionOptions(chat=ChatFormat(system=system, assistant=prefix))
        engine = engine_of(model, options, texts=TEXTS)
        prompts = engine.tokenise(TEXTS)
        found = Rows()
        engine.forward(prompts, put=found.put)
        for number, (text, prompt) in enumerate(zip(TEXTS, prompts, strict=True)):
            messages = [{"role": "user", "content": text}]
            if system is not None:
                messages.insert(0, {"role": "system", "content": system})
            whole = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=False
            )
            expected = tokenizer(whole + (prefix or ""), add_special_tokens=False).input_ids
            if prefix is None:
                assert expected == tokenizer.apply_chat_template(
                    messages, add_generation_prompt=True, return_dict=False
                )
            assert prompt.ids.tolist() == expected
            start, stop = prompt.content
            assert "".join(prompt.strings[start:stop]).strip() == text
            reference = hugging_face_activations(plain, expected)
            for site, layers in reference.items():
                for layer, rows in enumerate(layers):
                    assert largest_difference(found[site, layer, number], rows) < 1e-5


def test_a_tokenizer_that_changes_a_typed_text_is_refused(tmp_path: Path) -> None:
    model = made(tmp_path)
    file = model / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.normalizer = normalizers.Replace("ß", "ss")
    tokenizer.save(str(file))
    options = ExtractionOptions(sites=("resid_pre",), chat=ChatFormat())
    extractor = ActivationExtractor(str(model), options=options)
    assert extractor.extract("Danke.").text == "Danke."
    with pytest.raises(RequestError, match=r"changes a prompt: 'Viele Grüße' is read as"):
        extractor.extract("Viele Grüße")


def test_files_say_where_the_text_is_and_what_is_around_it(model: Path, files: list[Path]) -> None:
    with files[0].open("rb") as file:
        metadata = pickle.load(file)["metadata"]
    assert metadata["content_start"] == 1
    assert metadata["provenance"]["chat"] == {"format": "template"}
    assert len(metadata["provenance"]["chat_template_sha256"]) == 64
    unit = read(files[0])
    assert not unit.notes
    for text, strings, (start, stop) in zip(TEXTS, unit.token_strings, unit.content, strict=True):
        assert "".join(strings[start:stop]) == text
        assert 1 < start < stop < len(strings)
    request = request_like(unit.folder, unit.configuration, SITES, name=str(model))
    assert request.options.chat == ChatFormat()


def test_template_positions_never_enter_a_mean(tmp_path: Path) -> None:
    spans = [(2, 3), (3, 4), (2, 5), (1, 3), (2, 4)]
    path = plant_unit(tmp_path, spans=spans)
    unit, measured = read(path), measure_file(path)
    for site in SITES:
        pooled = features_of(unit, sites=SITES).sites[site]
        for layer, samples in enumerate(unit.site(site)):
            own = [rows[a:b] for rows, (a, b) in zip(samples, spans, strict=True)]
            means = np.stack([rows.mean(axis=0) for rows in own])
            np.testing.assert_allclose(pooled[:, layer], means, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(
                measured.sites[site].pooled[layer], means, rtol=1e-5, atol=1e-6
            )
            np.testing.assert_allclose(
                measured.sites[site].mean[layer], np.concatenate(own).mean(axis=0), atol=1e-5
            )
    rows = NormTable(by="layer", content=True).frame([measured])
    assert np.isfinite(rows["mean"]).all()
    tokens = NormTable(by="token", content=True, prompt="p1").frame([measured])
    assert set(tokens["position"]) == {3}
    assert set(NormTable(by="token", prompt="p1").frame([measured])["part"]) == {"text", "template"}
    last = features_of(unit, sites=SITES, pooling="last").sites["resid_pre"]
    assert np.isfinite(last).all()
    assert np.isnan(features_of(unit, sites=SITES, pooling="last_template").sites["mlp_out"]).all()


def test_formatted_and_plain_do_not_mix(model: Path, files: list[Path], tmp_path: Path) -> None:
    mixed = tmp_path / "activations" / files[0].parent.name
    (_, plain) = extracted(model, tmp_path / "plain")
    mixed.mkdir(parents=True)
    for file in (files[0], plain):
        (mixed / file.name).write_bytes(file.read_bytes())
    with pytest.raises(RequestError, match=r"chat differs: template .*; none "):
        prepare_analysis(AnalyzeRequest(results=tmp_path))
    settings = AnalysisSettings(pooling="last_template")
    with pytest.raises(RequestError, match=r"no chat template \(field chat\)"):
        prepare_analysis(AnalyzeRequest(results=tmp_path / "plain", settings=settings))


@pytest.mark.parametrize("pooling", ["last_template", "mean_all"])
def test_controls_are_refused_if_a_pooling_needs_more(pooling: Pooling, files: list[Path]) -> None:
    settings = AnalysisSettings(pooling=pooling, control_shuffles=20)
    with pytest.raises(RequestError, match="no chat template behind it"):
        prepare_analysis(AnalyzeRequest(results=files[0].parents[2], settings=settings))


def test_contextless_tokens_and_shuffles_keep_the_template(model: Path, files: list[Path]) -> None:
    unit, plain = read(files[0]), hugging_face(model)
    controls = UnitControls(
        root=ResultsRoot(files[0].parents[2]),
        unit=unit,
        settings=ControlSettings(sites=SITES, pooling="mean_content", n_shuffles=20, seed=0),
    )
    options = ExtractionOptions(chat=ChatFormat())
    engine = engine_of(model, options, texts=TEXTS)
    alone = compute_controls(controls, CONTEXTLESS, engine, lambda _: None)
    ids, (start, stop) = unit.tokens[0], unit.content[0]
    rows = [
        hugging_face_activations(plain, [*ids[:start].tolist(), int(token)])["mlp_out"][1][-1]
        for token in ids[start:stop]
    ]
    np.testing.assert_allclose(alone["mlp_out"][0, 1], np.mean(rows, axis=0), rtol=1e-4, atol=1e-5)
    shuffled = compute_controls(controls, shuffle_name(0), engine, lambda _: None)
    one_word = features_of(unit, sites=SITES).sites["mlp_out"][1]
    np.testing.assert_allclose(shuffled["mlp_out"][1], one_word, rtol=1e-4, atol=1e-5)


def test_parts_of_a_format_need_the_format(typed: Typed) -> None:
    assert (
        "--chat template" in typed("extract", "--model", "gpt2", "--system", "Be kind.", code=2).err
    )
