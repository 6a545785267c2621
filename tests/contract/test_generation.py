"""Responses of tiny real models and their activations, against plain Hugging Face."""

import dataclasses
import functools
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from emoact.analysis.request import AnalyzeRequest, prepare_analysis
from emoact.errors import CancelledError, RequestError
from emoact.extraction.engine import Tokenised
from emoact.extraction.extractor import ActivationExtractor, Quiet
from emoact.extraction.generation import Generator
from emoact.extraction.pipeline import run_units
from emoact.jobs.request import ExtractRequest, prepare
from emoact.models.alike import request_like
from emoact.models.resolve import resolve_model
from emoact.positions import Pooling
from emoact.schema import ChatFormat, ExtractionOptions, Generation
from emoact.stats.features import features_of
from emoact.stats.norms.norm_tables import NormTable
from emoact.stats.settings import AnalysisSettings
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read, read_all
from emoact.store.summaries.measuring import measure_file
from emoact.store.verify import verify_files
from tests.support.families import CONTEXT, FAMILIES
from tests.support.reference import hugging_face, hugging_face_activations, largest_difference
from tests.support.tiny_models import engine_of, extracted, save_with_prompts
from tests.support.told import Told
from tests.support.typed import Typed

TEXTS = (
    "Thank you for the soup, thank you.",
    "Sorry!",
    "You kept the keys again, and nobody could get in.",
    "Rain!",
)
SITES = ("resid_pre", "mlp_out")
LONGEST = 30
"""Beyond the windows of the local layers of `tests.support.families`."""

CHECKED = {
    # Windows, ALiBi, a state instead of a cache, soft limits of logits.
    "GPT-2": ChatFormat(assistant="Well,"),
    "GPT-Neo": None,
    "Mistral": ChatFormat(),
    "BLOOM": None,
    "RecurrentGemma": None,
    "Gemma 2": None,
    "Gemma 3": ChatFormat(system="Be kind."),
}


made = functools.partial(save_with_prompts, texts=TEXTS)


def asked(
    model: Path, results: Path, generation: Generation, store: str = "pickle"
) -> ExtractRequest:
    return ExtractRequest(
        models=(str(model),),
        dataset=model.parent / "prompts.tsv",
        results=results,
        options=ExtractionOptions(generation=generation),
        store=store,
    )


def greedy(model: Any, ids: list[int], longest: int) -> list[int]:
    """Transformers' own continuation of one prompt, without the token that ends it."""
    found = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=longest,
        do_sample=False,
        pad_token_id=0,
    )[0].tolist()[len(ids) :]
    ends = model.generation_config.eos_token_id
    response: list[int] = found[:-1] if found and found[-1] == ends else found
    return response


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("generation"))


@pytest.fixture(scope="module")
def files(model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return extracted(
        model, tmp_path_factory.mktemp("results"), generation=Generation(max_tokens=LONGEST)
    )


@pytest.mark.parametrize("name", CHECKED)
def test_responses_and_activations_are_those_of_one_prompt_through_transformers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    family = next(each for each in FAMILIES if each.name == name)
    folder = made(tmp_path, family=family)
    sites = SITES[:1] if name == "RecurrentGemma" else SITES
    path, _ = extracted(
        folder,
        tmp_path / "results",
        sites=sites,
        chat=CHECKED[name],
        generation=Generation(max_tokens=LONGEST),
    )
    unit, plain = read(path), hugging_face(folder)
    assert not unit.notes
    assert unit.response_spans
    for sample, (first, end) in enumerate(unit.response_spans):
        ids = unit.tokens[sample].tolist()
        assert ids[first:end] == greedy(plain, ids[:first], LONGEST)
        expected = hugging_face_activations(plain, ids, mlp=family.mlp, scale=family.scale)
        for site in sites:
            for ours, theirs in zip(unit.site(site), expected[site], strict=True):
                assert largest_difference(ours[sample], theirs) < 1e-5


def test_files_hold_responses_and_how_they_were_made(model: Path, files: list[Path]) -> None:
    with files[0].open("rb") as file:
        metadata = pickle.load(file)["metadata"]
    assert metadata["provenance"]["generation"] == {"tokens": "greedy", "max_tokens": LONGEST}
    assert metadata["provenance"]["stop_tokens"] == [0]
    unit, tokenizer = read(files[0]), AutoTokenizer.from_pretrained(model)
    assert unit.responses
    assert unit.response_spans
    for sample, (first, end) in enumerate(unit.response_spans):
        ids = unit.tokens[sample].tolist()
        assert 0 < end - first <= LONGEST
        assert end == len(ids)
        assert "".join(unit.token_strings[sample][slice(*unit.content[sample])]) == TEXTS[sample]
        whole = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        assert str(whole).endswith(TEXTS[sample] + unit.responses[sample])
    assert not verify_files(files[0].parents[2]).findings


def test_files_without_format_or_responses_say_nothing(model: Path, tmp_path: Path) -> None:
    file, _ = extracted(model, tmp_path)
    with file.open("rb") as opened:
        metadata = pickle.load(opened)["metadata"]
    assert not {"content_spans", "response_spans", "responses"} & set(metadata)
    assert not {"generation", "stop_tokens"} & set(metadata["provenance"])
    assert not {name for name in metadata["provenance"] if "chat" in name}
    assert not {"chat", "generation"} & set(read(file).configuration or {})


def test_pooling_takes_the_response_alone_and_others_leave_it_out(files: list[Path]) -> None:
    unit, measured = read(files[0]), measure_file(files[0])
    assert unit.response_spans

    def expected(spans: Any, site: Any, layer: int) -> np.ndarray:
        rows = zip(unit.site(site)[layer], spans, strict=True)
        return np.stack([own[a:b].astype(np.float64).mean(axis=0) for own, (a, b) in rows])

    cases: dict[Pooling, list[tuple[int, int]]] = {
        "mean_response": list(unit.response_spans),
        "mean_content": [(1, first) for first, _ in unit.response_spans],
        "last": [(first - 1, first) for first, _ in unit.response_spans],
    }
    for pooling, spans in cases.items():
        pooled = features_of(unit, sites=SITES, pooling=pooling)
        for site in SITES:
            np.testing.assert_allclose(
                pooled.sites[site][:, 1], expected(spans, site, 1), rtol=1e-5, atol=1e-6
            )
    np.testing.assert_allclose(
        measured.sites["mlp_out"].pooled[1],
        expected(cases["mean_content"], "mlp_out", 1),
        rtol=1e-5,
        atol=1e-6,
    )
    tokens = NormTable(by="token").frame([measured])
    assert set(tokens["part"]) == {"bos", "text", "response"}
    own = tokens[(tokens["part"] == "response") & (tokens["layer"] == 0)]
    own = own[own["site"] == "mlp_out"]
    assert len(own) == sum(end - first for first, end in unit.response_spans)
    # Word baselines read what the vectors may have read.
    assert unit.responses is not None
    assert features_of(unit, sites=SITES, pooling="mean_response").prompts[0].text == (
        f"{TEXTS[0]} {unit.responses[0]}"
    )


def test_the_template_ends_where_the_response_begins(model: Path, tmp_path: Path) -> None:
    path, _ = extracted(model, tmp_path, chat=ChatFormat(), generation=Generation(max_tokens=4))
    unit = read(path)
    assert unit.response_spans
    pooled = features_of(unit, sites=SITES, pooling="last_template").sites["mlp_out"]
    for sample, (first, _) in enumerate(unit.response_spans):
        np.testing.assert_array_equal(pooled[sample, 1], unit.mlp_output[1][sample][first - 1])
    parts = NormTable(by="token").frame([measure_file(path)])["part"]
    assert set(parts) == {"template", "text", "response"}


def test_responses_are_not_mixed_with_none(model: Path, files: list[Path], tmp_path: Path) -> None:
    mixed = tmp_path / "activations" / files[0].parent.name
    _, plain = extracted(model, tmp_path / "plain")
    mixed.mkdir(parents=True)
    for file in (files[0], plain):
        (mixed / file.name).write_bytes(file.read_bytes())
    with pytest.raises(RequestError, match=r"generation differs: tokens greedy, max_tokens 30"):
        prepare_analysis(AnalyzeRequest(results=tmp_path))
    settings = AnalysisSettings(pooling="mean_response")
    with pytest.raises(RequestError, match=r"no responses \(field generation\)"):
        prepare_analysis(AnalyzeRequest(results=tmp_path / "plain", settings=settings))
    with pytest.raises(RequestError, match="no response"):
        prepare_analysis(
            AnalyzeRequest(
                results=files[0].parents[2],
                settings=dataclasses.replace(settings, control_shuffles=20),
            )
        )


def test_draws_follow_the_probabilities_the_seed_and_no_neighbour(model: Path) -> None:
    """The first token over many seeds has the frequencies of a softmax; a seed repeats itself."""
    temperature, n = 0.7, 150
    engine = engine_of(model, texts=TEXTS)
    generator = Generator(engine.bridge, torch.device("cpu"), direct=True, budget=64)
    prompts = engine.tokenise(["Sorry!", "Rain!"])

    def drawn(seed: int, rows: list[Tokenised], longest: int = 1) -> list[list[int]]:
        generation = Generation(max_tokens=longest, temperature=temperature, seed=seed)
        found = generator.run(rows, generation, lambda _: None)
        return [one.ids[len(row.ids) :].tolist() for one, row in zip(found, rows, strict=True)]

    with torch.no_grad():
        ids = torch.tensor([prompts[0].ids.tolist()])
        logits = hugging_face(model)(input_ids=ids).logits[0, -1].double()
    probabilities = torch.softmax(logits / temperature, dim=-1).numpy()
    likely = np.argsort(probabilities)[-20:]
    expected = float(probabilities[likely].sum())
    first = [drawn(seed, prompts[:1])[0] for seed in range(n)]
    share = float(np.mean([token in likely for row in first for token in row]))
    assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / n)
    assert drawn(3, prompts, 12) == [*drawn(3, prompts[:1], 12), *drawn(3, prompts[1:], 12)]
    assert drawn(3, prompts, 12) != drawn(4, prompts, 12)


def test_almost_no_temperature_is_greedy(model: Path) -> None:
    responses = [
        ActivationExtractor(
            str(model),
            options=ExtractionOptions(
                sites=("resid_pre",), generation=Generation(max_tokens=8, temperature=temperature)
            ),
        )
        .extract(TEXTS[0])
        .response_text
        for temperature in (None, 1e-6)
    ]
    assert responses[0] == responses[1] != ""


def test_an_empty_response_is_refused_before_a_file_is_written(tmp_path: Path) -> None:
    model = made(tmp_path)
    path = model / "generation_config.json"
    config = json.loads(path.read_text())
    first = greedy(hugging_face(model), _ids(model, TEXTS[1]), 1)
    path.write_text(json.dumps({**config, "eos_token_id": [0, *first]}))
    with pytest.raises(
        RequestError, match="no response to prompt p0002, prompt p0003: its first token"
    ):
        extracted(model, tmp_path / "results", generation=Generation(max_tokens=4))
    assert not list((tmp_path / "results").rglob("*.pkl"))
    extractor = ActivationExtractor(
        str(model), options=ExtractionOptions(generation=Generation(max_tokens=4))
    )
    with pytest.raises(RequestError, match="no response to the text"):
        extractor.extract(TEXTS[1])


def _ids(model: Path, text: str) -> list[int]:
    ids: list[int] = AutoTokenizer.from_pretrained(model)(f"<|endoftext|>{text}").input_ids
    return ids


def test_a_run_stopped_while_writing_makes_the_same_files(model: Path, tmp_path: Path) -> None:
    generation = Generation(max_tokens=6, temperature=1.0)
    engine = engine_of(model, ExtractionOptions(generation=generation), texts=TEXTS)
    stopped, whole = (
        prepare(asked(model, tmp_path / name, generation)) for name in ("stopped", "whole")
    )
    reporter = Told()
    # While responses of its second class are written.
    begun = re.compile("neutral, response [1-9]")
    reporter.stop = lambda: any(map(begun.match, reporter.details[-1:]))
    with pytest.raises(CancelledError):
        run_units(stopped, reporter=reporter, plans={}, engine_for=lambda *_: engine)
    assert [path.name for path in (tmp_path / "stopped").rglob("*.pkl")] == [
        "activations_anger.pkl"
    ]
    assert "anger, response 4 of 4" in reporter.details
    run_units(stopped, reporter=Quiet(), plans={}, engine_for=lambda *_: engine)
    run_units(whole, reporter=Quiet(), plans={}, engine_for=lambda *_: engine)
    folder = resolve_model(str(model)).folder
    for emotion in ("anger", "neutral"):
        one, other = (
            read(ResultsRoot(tmp_path / name).unit_path(folder, emotion))
            for name in ("stopped", "whole")
        )
        assert one.responses == other.responses
        for site in SITES:
            for layer, samples in enumerate(one.site(site)):
                for ours, theirs in zip(samples, other.site(site)[layer], strict=True):
                    np.testing.assert_array_equal(ours, theirs)


def test_compact_files_hold_responses_too(model: Path, files: list[Path], tmp_path: Path) -> None:
    config = prepare(asked(model, tmp_path, Generation(max_tokens=LONGEST), "compact"))
    engine = engine_of(model, config.options, texts=TEXTS)
    run_units(config, reporter=Quiet(), plans={}, engine_for=lambda *_: engine)
    unit, plain = read_all(tmp_path).units[0], read(files[0])
    assert (unit.emotion, unit.responses) == ("anger", plain.responses)
    assert unit.response_spans == plain.response_spans


@pytest.mark.parametrize(
    ("longest", "said"),
    [(CONTEXT, "leaves no room for a prompt"), (CONTEXT - 5, "before a response of 91")],
)
def test_a_response_beyond_the_context_is_refused(
    longest: int, said: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=said):
        extracted(model, tmp_path, generation=Generation(max_tokens=longest))
    assert not list(tmp_path.rglob("*.pkl"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--generate", "0"], "1 to 4,096"),
        (["--generate", "4", "--temperature", "0"], "above 0"),
        (["--generate", "4", "--seed", "1"], "--temperature"),
        (["--temperature", "1"], "--generate K"),
        (["--generate", "4", "--truncate"], "no room for a response"),
    ],
)
def test_wrong_options_are_refused(words: list[str], said: str, typed: Typed) -> None:
    assert said in typed("extract", "--model", "gpt2", *words, code=2).err


@pytest.mark.parametrize(
    "words", [None, "greedy", {}, {"max_tokens": "x"}, {"max_tokens": -1}, {"max_tokens": [1]}]
)
def test_a_file_that_states_no_such_generation_states_none(words: object) -> None:
    assert Generation.of(words) is None


def test_a_file_with_other_responses_is_in_the_way(model: Path, files: list[Path]) -> None:
    request = ExtractRequest(
        models=(str(model),),
        dataset=model.parent / "prompts.tsv",
        results=files[0].parents[2],
        options=ExtractionOptions(generation=Generation(max_tokens=5)),
    )
    with pytest.raises(RequestError, match=r"generation\.max_tokens: saved 30, asked 5"):
        prepare(request)


def test_controls_of_prompts_are_those_without_a_response(model: Path, files: list[Path]) -> None:
    unit = read(files[0])
    request = request_like(unit.folder, unit.configuration, SITES, name=str(model))
    assert request.options.generation is None
    engine = engine_of(model, request.options, texts=TEXTS)
    for prompt, saved in zip(engine.tokenise(TEXTS), unit.prompt_tokens, strict=True):
        np.testing.assert_array_equal(prompt.ids, saved)
