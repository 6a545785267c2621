"""Folder names: no two models share one, and a hub model's can be read back."""

from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emoact.models.registry import (
    REGISTRY,
    configured,
    content_folder,
    display_name,
    hub_folder,
    parse_hub_folder,
    split_configured,
)
from emoact.store.layout import check_folder_name

pytestmark = pytest.mark.fault

_PART = st.text("abcAB019._-", min_size=1, max_size=12)
_HUB_ID = st.one_of(_PART, st.tuples(_PART, _PART).map("/".join))
_REVISION = st.one_of(st.none(), st.text("abc019._-/@~=é", min_size=1, max_size=12))


@given(one=st.tuples(_HUB_ID, _REVISION), other=st.tuples(_HUB_ID, _REVISION))
def test_folders_are_distinct(one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    same = (one[0], one[1] or "main") == (other[0], other[1] or "main")
    assert (hub_folder(*one) == hub_folder(*other)) == same


@given(hub_id=_HUB_ID, revision=_REVISION)
def test_a_folder_reads_back_to_its_model(hub_id: str, revision: str | None) -> None:
    folder = hub_folder(hub_id, revision)
    assert parse_hub_folder(folder) == (hub_id, revision or "main")
    assert check_folder_name(folder)


@example(hub_id="0", revision="//0", label="0")
@given(
    hub_id=_HUB_ID,
    revision=_REVISION,
    label=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,9}[a-z0-9])?", fullmatch=True),
)
def test_configurations_have_own_folders(hub_id: str, revision: str | None, label: str) -> None:
    folder = hub_folder(hub_id, revision)
    beside = configured(folder, label)
    assert check_folder_name(beside) != folder
    assert split_configured(beside) == (folder, label)
    assert split_configured(folder) == (folder, "")
    assert configured(beside, "other") == configured(folder, "other")
    assert parse_hub_folder(beside) == parse_hub_folder(folder)


def test_slash_and_underscore_do_not_meet() -> None:
    assert hub_folder("a/b") != hub_folder("a_b")
    assert hub_folder("a/b") != hub_folder("a~b")


def test_the_registry_keeps_its_short_names_at_the_default_revision_only() -> None:
    assert hub_folder("gpt2") == "gpt2"
    assert hub_folder("gpt2", "main") == "gpt2"
    assert hub_folder("EleutherAI/pythia-160m") == "pythia-160m"
    assert hub_folder("EleutherAI/gpt-neo-125M") == "gpt-neo-125m"
    assert hub_folder("gpt2", "abc123") == "gpt2@abc123"
    # The embedded weights are dequantised; those of the hub are others and go elsewhere.
    assert hub_folder("HuggingFaceTB/SmolLM2-135M-Instruct") != "smollm2-135m"


@pytest.mark.parametrize("name", ["gpt2", "x@y", "../../etc", ".", "", "名前", "a/b"])
@pytest.mark.parametrize("kind", ["local", "gguf"])
def test_local_models_take_no_other_name(kind: Literal["local", "gguf"], name: str) -> None:
    folder = content_folder(kind, name, "ab" * 32)
    assert folder not in {spec.name for spec in REGISTRY}
    assert parse_hub_folder(folder) is None
    assert "/" not in folder
    assert check_folder_name(folder)


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("gemma-3-270m", "Gemma 3 270M (Q4_K_M)"),
        ("gguf~gemma-3-270m-q4_k_m~a5fd3b62230a", "gemma-3-270m-q4_k_m (a5fd)"),
        ("local~my=20model~0123456789ab", "my model (0123)"),
        ("EleutherAI~pythia-70m@main", "pythia-70m"),
        ("EleutherAI~pythia-70m@step1000", "pythia-70m (step1000)"),
        ("by hand", "by hand"),
        # Of a stranger: bytes that are no text.
        ("lab~x=FF@main", "x\ufffd"),
        ("local~=ED=A0=80~0123456789ab", "\ufffd\ufffd\ufffd (0123)"),
        ("smollm2-135m~~no-bos", "SmolLM2 135M (Q4_1) · no BOS"),
        ("EleutherAI~pythia-70m@main~~chat-bfloat16", "pythia-70m · chat bfloat16"),
    ],
)
def test_a_model_has_one_name_that_fits_on_an_axis(folder: str, shown: str) -> None:
    assert display_name(folder) == shown
