"""Try a sentence with a stand-in for the model; the real one is in the browser journey."""

from pathlib import Path
from typing import Any

import pytest

from emoact.errors import RequestError
from emoact.models import alike
from emoact.models.source import ModelSource
from tests.support.pages import assert_same_rows, boxes, in_a_shell, open_page
from tests.support.planted import plant_grid, planted_norm
from tests.support.stand_in_sentence import installed


@pytest.fixture
def planted(results: Path, stand_in: Path) -> Path:
    """Four classes of gpt2, and workers of arithmetic."""
    plant_grid(results, ["gpt2"], n_samples=10)
    return results


def typed(app: Any, text: str) -> Any:
    app.text_input(key="sentence-text").set_value(text)
    (look,) = (each for each in app.button if each.label == "Look at the sentence")
    look.click().run()
    return app


def test_a_sentence_shows_norms_nearest_class_and_rate_of_the_rule(planted: Path) -> None:
    app = open_page("activations", view="sentence", site=["mlp_out"], layer="3")
    assert not app.get("plotly_chart")
    app = typed(app, "You drove two hours just to bring me my <b>keys</b>")
    text = "\n".join(element.value for element in app.markdown)
    assert "At layer 3 of `mlp_out` the sentence lies closest to" in text
    assert "of the 40 saved prompts, held out" in text
    assert len(app.get("plotly_chart")) == 2
    table = app.dataframe[0].value
    assert set(table["class"]) == {"gratitude", "anger", "apology", "neutral"}
    assert table["distance"].is_monotonic_increasing
    assert_same_rows(in_a_shell(app, planted), table)
    tokens, layers = in_a_shell(app, planted, 1), in_a_shell(app, planted, 2)
    assert tokens["token"].tolist()[:3] == ["<|endoftext|>", "You", "drove"]
    assert tokens["norm"].tolist()[:3] == [1.0, 3.0, 5.0]
    # The BOS is left out of the mean, 4 layers are alike.
    assert layers["sentence"].tolist() == pytest.approx([42 / 10] * 4)
    expected = [planted_norm("mlp_out", layer, "anger") for layer in range(4)]
    assert layers["anger median"].tolist() == pytest.approx(expected, rel=1e-4)
    # Markup in a sentence is text, in the figure as well.
    assert "<b>keys" not in app.get("plotly_chart")[0].proto.spec
    assert "&lt;b&gt;keys" in app.get("plotly_chart")[0].proto.spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("   ", "the sentence is empty"),
        ("refuse", "too many tokens"),
        ("die", "ended before it answered"),
    ],
)
def test_what_goes_wrong_is_said_and_the_page_goes_on(planted: Path, text: str, said: str) -> None:
    app = typed(open_page("activations", view="sentence"), text)
    assert said in app.error[0].value
    app = typed(app, "and again")
    assert not app.error
    assert len(app.get("plotly_chart")) == 2


def test_a_model_that_begins_otherwise_than_the_files_is_refused(planted: Path) -> None:
    plant_grid(
        planted,
        ["gpt2"],
        provenance={"bos": {"policy": "prepend", "prepended": True, "token": "<s>", "token_id": 1}},
    )
    app = typed(open_page("activations", view="sentence"), "hello")
    assert "begins with" in app.error[0].value
    assert not app.get("plotly_chart")


def test_a_sentence_stands_in_the_link_and_one_that_is_too_long_is_refused(planted: Path) -> None:
    app = open_page("activations", view="sentence", **{"sentence-text": "It is late"})
    assert app.text_input(key="sentence-text").value == "It is late"
    app = typed(open_page("activations", view="sentence"), "word " * 900)
    assert "4,499 characters; at most 2,000" in boxes(app).replace("\\", "")


def test_an_unknown_model_file_is_asked_for(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "gguf~gemma~0123456789ab"
    plant_grid(planted, [folder], n_samples=10)
    source = installed(folder)

    def resolved(name: str, **_: object) -> ModelSource:
        if name != "/models/gemma.gguf":
            raise RequestError(f"model file {name} does not exist")
        return source

    monkeypatch.setattr(alike, "resolve_model", resolved)
    app = open_page("activations", view="sentence", model=[folder])
    assert "whose path its files do not say. Type its path" in app.info[0].value
    app.text_input(key="model-path").set_value("/elsewhere.gguf").run()
    assert "/elsewhere.gguf does not exist" in boxes(app).replace("\\", "")
    app.text_input(key="model-path").set_value("/models/gemma.gguf").run()
    assert len(typed(app, "It is late").get("plotly_chart")) == 2
