import dataclasses
from pathlib import Path
from typing import Any

import pytest

from emoact.errors import RequestError
from emoact.stats.comparable import (
    Configuration,
    check_comparable,
    differing_fields,
    differing_sites,
)
from emoact.store.unit import Unit

BASE = Configuration(
    model="gpt2",
    processing="raw",
    bos="prepend",
    dtype="float32",
    dataset="abc",
    pooling="mean_content",
    revision="main",
    weight_source="hub",
)


def unit_of(**metadata: Any) -> Unit:
    return Unit(
        path=Path("a.pkl"), by_site={}, tokens=(), token_strings=(), labels=(), metadata=metadata
    )


def test_units_made_alike_may_be_compared() -> None:
    other = dataclasses.replace(BASE, model="pythia", revision="v2", weight_source="local")
    assert check_comparable({"a": BASE, "b": BASE, "c": other}) == ()


@pytest.mark.parametrize("field", ["processing", "bos", "dtype", "dataset", "pooling"])
def test_field_that_differs_is_refused_by_name(field: str) -> None:
    other = dataclasses.replace(BASE, model="pythia", **{field: "other"})
    with pytest.raises(RequestError, match=f"{field} differs: .*other \\(pythia/anger\\)"):
        check_comparable({"gpt2/anger": BASE, "pythia/anger": other})


@pytest.mark.parametrize("field", ["revision", "weight_source"])
def test_revisions_may_differ_between_models_but_not_within_one(field: str) -> None:
    other = dataclasses.replace(BASE, **{field: "other"})
    with pytest.raises(RequestError, match=f"{field} differs within gpt2"):
        check_comparable({"gpt2/anger": BASE, "gpt2/neutral": other})


def test_override_lets_the_mixture_pass_and_says_what_it_mixes() -> None:
    other = dataclasses.replace(BASE, bos="none", dtype="float16")
    found = check_comparable({"a": BASE, "b": other}, override=True)
    assert [difference.field for difference in found] == ["bos", "dtype"]
    assert found[0].values == {"prepend": ("a",), "none": ("b",)}


def test_unknown_configuration_does_not_pass_for_a_known_one() -> None:
    unknown = Configuration(model="gpt2", pooling="mean_content")
    fields = {d.field for d in differing_fields({"a": BASE, "b": unknown})}
    assert {"processing", "bos", "dtype", "dataset", "revision", "weight_source"} == fields
    assert check_comparable({"a": unknown, "b": unknown}) == ()


def test_sites_that_differ_are_named() -> None:
    found = differing_sites({"a": ["resid_pre", "mlp_out"], "b": ["resid_pre"]})
    assert found is not None
    assert str(found) == "site differs: mlp_out, resid_pre (a); resid_pre (b)"
    assert differing_sites({"a": ["x", "y"], "b": ["y", "x"]}) is None


def test_configuration_is_read_from_provenance() -> None:
    provenance = {
        "processing": "raw",
        "bos": {"policy": "prepend", "token": "<s>"},
        "dtype": "float32",
        "dataset": {"source": "data/prompts.jsonl", "sha256": "abc", "prompts_sha256": "x"},
        "revision": "main",
        "weight_source": "hub",
    }
    unit = unit_of(provenance=provenance)
    expected = dataclasses.replace(BASE, chat="none", generation="none", precision="lossless")
    assert Configuration.of(unit, model="gpt2", pooling="mean_content") == expected


def test_content_that_starts_elsewhere_tells_another_bos_policy() -> None:
    files = {
        f"gpt2/{emotion}": Configuration.of(
            unit_of(content_start=start), model="gpt2", pooling="last"
        )
        for emotion, start in (("anger", 0), ("joy", 1), ("neutral", 1))
    }
    (found,) = differing_fields(files)
    assert found.field == "bos"
    assert list(found.values) == [f"unknown, content from position {start}" for start in (0, 1)]
