import dataclasses
import json
from typing import Any

import pytest

from emoact.decode import decode
from emoact.errors import RequestError
from emoact.models import alike as module
from emoact.models.alike import ModelRequest, check_bos, request_like
from emoact.models.source import ModelSource
from tests.support.stand_in_sentence import installed

SOURCE = installed(commit="c" * 40)
SAVED: dict[str, Any] = {
    "model_name": "gpt2",
    "revision": "c" * 40,
    "weight_source": "Hugging Face hub",
    "processing": "tl_compat",
    "dtype": "bfloat16",
    "bos": {"policy": "none", "prepended": False, "token": None, "token_id": None},
}


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resolve_model", lambda _, **__: SOURCE)


def test_a_sentence_is_treated_as_the_files_were() -> None:
    found = request_like("gpt2", SAVED, ("resid_pre", "mlp_out"))
    assert found.options.bos == "none"
    assert found.options.processing == "tl_compat"
    assert found.options.dtype == "bfloat16"
    assert found.options.sites == ("resid_pre", "mlp_out")
    assert decode(ModelRequest, json.loads(json.dumps(dataclasses.asdict(found)))) == found


@pytest.mark.parametrize(
    ("folder", "saved", "said"),
    [
        *(
            ("gpt2", {**SAVED, field: "other"}, f"{field} of the files is 'other'")
            for field in ("model_name", "revision", "weight_source")
        ),
        ("gpt2", None, "do not say how they were made"),
        ("local~mine~0123456789ab", SAVED, "whose path its files do not say"),
    ],
)
def test_files_of_another_model_or_of_none_that_is_known_are_refused(
    folder: str, saved: dict[str, Any] | None, said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        request_like(folder, saved, ("resid_pre",))


def test_a_model_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = dataclasses.replace(SOURCE, needs="download", commit=None)
    monkeypatch.setattr(module, "resolve_model", lambda _, **__: missing)
    with pytest.raises(RequestError, match="not installed here"):
        request_like("gpt2", SAVED, ("resid_pre",))


def test_a_hub_model_is_asked_for_with_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolved(name: str, **_: object) -> ModelSource:
        asked.append(name)
        return SOURCE

    monkeypatch.setattr(module, "resolve_model", resolved)
    request_like("EleutherAI~pythia-70m@step1000", SAVED, ("resid_pre",))
    assert asked == ["EleutherAI/pythia-70m@step1000"]


def test_another_first_token_is_refused() -> None:
    loaded = {"prepended": True, "token": "<s>", "token_id": 1}
    with pytest.raises(RequestError, match="begins with '<s>'"):
        check_bos(loaded, SAVED)
    check_bos(loaded, {"bos": loaded})


def test_another_setting_needs_the_model_loaded_in_another_way() -> None:
    one = request_like("gpt2", SAVED, ("resid_pre",))
    other = request_like("gpt2", {**SAVED, "dtype": "float32"}, ("resid_pre",))
    assert one.loading != other.loading
