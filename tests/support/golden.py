"""A planted results folder, and every number and sentence that emoact computes from it.

Write `tests/golden` again only where a number is meant to change, and say in the commit why:
`python -m tests.support.golden`
"""

import contextlib
import io
import json
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import emoact
from emoact.cli import main
from emoact.stats import catalogue
from tests.support.planted_scenarios import made_up_provenance
from tests.support.units import contract_metadata

FILES = Path(__file__).parents[1] / "golden"
_DATA = Path(__file__).parents[2] / "data" / "prompts.jsonl"
_HEADING = {"en": "### Findings on the activations", "ja": "### 活性に関する所見"}
TABLES = tuple(table.name for table in catalogue.TABLES)
ANALYSES: dict[str, tuple[str, ...]] = {
    "neutral": ("--model", "alpha", "--model", "beta", "--model", "gamma"),
    "grand_mean": (
        *("--model", "alpha", "--model", "beta"),
        *("--reference", "grand_mean", "--pooling", "last"),
    ),
    "mixed": (
        *("--model", "alpha", "--model", "delta", "--site", "resid_pre"),
        *("--allow-mixed", "--leave-out-nonfinite"),
    ),
}
"""The words of `emoact analyze`, by the name of the case."""

_ONE = ("--model", "beta", "--emotion", "joy")
_KINDS: tuple[tuple[str, ...], ...] = ((), ("--norm", "l1"), ("--norm", "rms"))
NORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "layer": (*_KINDS, ("--relative",), ("--relative", "--norm", "l1"), ("--content",)),
    "position": (*((*_ONE, *kind) for kind in _KINDS), ("--together", "--layer", "2")),
    "prompt": tuple((*_ONE, *kind) for kind in _KINDS),
    "token": tuple((*_ONE, "--layer", "2", *kind) for kind in _KINDS),
    "length": ((),),
    "growth": ((),),
    "dimension": (_ONE, ("--model", "gamma", "--emotion", "neutral")),
}
"""The words of `emoact norms`, by the kind of row."""

N_SCENARIOS = 12
_STRENGTH = {"joy": 1.2, "anger": 0.25, "pride": 2.5, "neutral": 0.0}
_CUES = {
    "joy": ("wonderful", "thank you so much", "smiling"),
    "anger": ("how dare you", "stop that", "unfair"),
    "pride": ("I did it", "look at this", "my own work"),
    "neutral": ("there is", "it was", "on the table"),
}
_NOUNS = (
    *("soup", "bicycle", "letter", "garden", "train", "window"),
    *("concert", "exam", "recipe", "meeting", "river", "holiday"),
)


@dataclass(frozen=True, kw_only=True)
class Model:
    """One planted model; its name seeds its numbers."""

    name: str
    n_layers: int
    d_model: int
    scenarios: bool = True
    provenance: tuple[tuple[str, Any], ...] = ()


MODELS = (
    Model(name="alpha", n_layers=3, d_model=12),
    Model(name="beta", n_layers=4, d_model=12),
    Model(name="gamma", n_layers=3, d_model=16, provenance=(("random_weights", True),)),
    Model(
        name="delta",
        n_layers=3,
        d_model=16,
        scenarios=False,
        provenance=(("dtype", "bfloat16"), ("processing", "folded")),
    ),
)


def plant(results: Path) -> None:
    """Write every unit as the contract says, with Python's own pickle."""
    for model in MODELS:
        folder = results / "activations" / model.name
        folder.mkdir(parents=True)
        for number, emotion in enumerate(_STRENGTH):
            payload = _payload(model, emotion, number)
            (folder / f"activations_{emotion}.pkl").write_bytes(pickle.dumps(payload, protocol=4))


def _payload(model: Model, emotion: str, number: int) -> dict[str, Any]:
    texts = [_text(emotion, number, scenario) for scenario in range(N_SCENARIOS)]
    words = [["<s>", *text.split()] for text in texts]
    layers = {
        key: [
            [_rows(model, emotion, number, key, layer, i, len(w)) for i, w in enumerate(words)]
            for layer in range(model.n_layers)
        ]
        for key in ("residual_stream", "mlp_output")
    }
    return {
        **layers,
        "tokens": [np.arange(len(own), dtype=np.int64) for own in words],
        "token_strings": words,
        "labels": [emotion] * N_SCENARIOS,
        "metadata": {
            **contract_metadata(
                model.name,
                emotion,
                n_layers=model.n_layers,
                d_model=model.d_model,
                n_samples=N_SCENARIOS,
                d_vocab=100,
            ),
            "content_start": 1,
            "sites": ["resid_pre", "mlp_out"],
            "prompts": [
                {
                    "id": f"{emotion}-{i}",
                    **({"scenario_id": f"s{i}"} if model.scenarios else {}),
                    "subset": "explicit" if i % 2 else "implicit",
                    "text": text,
                }
                for i, text in enumerate(texts)
            ],
            "provenance": {**made_up_provenance(model.name), **dict(model.provenance)},
        },
    }


def _text(emotion: str, number: int, scenario: int) -> str:
    """An explicit prompt names its emotion; an implicit one shares its words with the others."""
    rng = np.random.default_rng([11, number, scenario])
    noun, other = _NOUNS[scenario], _NOUNS[rng.integers(len(_NOUNS))]
    cue = _CUES[emotion if scenario % 2 else "neutral"][rng.integers(3)]
    tail = "and so on " * (1 + int(rng.integers(3)) if emotion == "joy" else 0)
    mark = "!" if rng.random() < 0.2 + _STRENGTH[emotion] / 4 else "."
    return f"{cue} the {noun} near a {other} {tail}{'today' if rng.random() < 0.5 else 'now'}{mark}"


def _rows(
    model: Model, emotion: str, number: int, key: str, layer: int, sample: int, length: int
) -> np.ndarray:
    """Noise, an emotion that all models share, a rogue dimension, a sink, massive and odd tokens.

    Values are multiples of 1/256, so that sums of squares are exact in float64 in any order.
    """
    kind = ("residual_stream", "mlp_output").index(key)
    rng = np.random.default_rng([7, model.n_layers, model.d_model, number, kind, layer, sample])
    intensity = np.random.default_rng([5, number, sample]).normal(1.0, 0.4)
    rows = rng.normal(size=(length, model.d_model)) * (1 + layer) / (1 + kind)
    if layer:
        rows[:, number] += _STRENGTH[emotion] * intensity * (1 + layer)
        rows[:, 3] += 0.5 * intensity * (1 + layer)
    if not kind and layer:
        rows[:, 5] += 40 + 4 * layer
    if model.name == "gamma":
        rows[:, 9] = 0.25
    if model.name == "beta" and emotion == "pride" and sample == 4:
        rows *= 6
    rows = np.round(rows * 256) / 256
    if not kind and layer == 2:
        rows[0] = np.round(rows[0] * 8)
        if model.name == "beta" and sample % 5 == 0:
            rows[2] = np.round(rows[2] * 6)
    if model.name == "delta" and (number, layer, sample) == (1, 1, 3):
        rows[2, 0] = np.nan
    return np.asarray(rows, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Tables by name, whose column `case` says which command a row is of, and words."""

    tables: dict[str, pd.DataFrame]
    words: dict[str, Any]


def record(results: Path) -> Record:
    """Run every command on a planted folder."""
    tables: dict[str, list[pd.DataFrame]] = {}
    words: dict[str, Any] = {}
    for case, options in ANALYSES.items():
        base = ("analyze", "--results", str(results), "--permutations", "1000", "--json")
        document = json.loads(_said(*base, *options))
        found = emoact.read_analysis(results, document["id"])
        words[case] = {
            name: document[name]
            for name in ("sentences", "badges", "findings", "refusals", "settings")
        } | {"emotions": list(found.emotions), "random_weights": list(found.random_weights)}
        for name in TABLES:
            tables.setdefault(name, []).append(found.table(name).assign(case=case))
        tables.setdefault("directions", []).append(_directions(found).assign(case=case))
    for by, commands in NORMS.items():
        for options in commands:
            case = " ".join(options)
            tables.setdefault(f"norms_{by}", []).append(_norms(results, by, options, case))
    words["audit"] = _audit()
    words["report"] = {language: _report(results, language) for language in ("en", "ja")}
    return Record(
        tables={name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()},
        words=words,
    )


def _said(*words: str) -> str:
    """Standard output of a command that succeeds."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main(words)
    assert status == 0, f"{' '.join(words)}: exit code {status}"
    return said.getvalue()


def _directions(found: Any) -> pd.DataFrame:
    """Every direction as one row for each number."""
    kinds = [None, *sorted(set(found.table("variants")["kind"]))]
    parts = []
    for model in found.models:
        for site in found.sites:
            for kind in kinds:
                for emotion, values in sorted(found.directions(model, site, kind).items()):
                    layers, dims = np.indices(values.shape)
                    columns = {"layer": layers, "dimension": dims, "value": values}
                    frame = pd.DataFrame({name: own.ravel() for name, own in columns.items()})
                    parts.append(
                        frame.assign(model=model, site=site, kind=kind or "", emotion=emotion)
                    )
    return pd.concat(parts, ignore_index=True)


def _norms(results: Path, by: str, options: tuple[str, ...], case: str) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "norms.csv"
        _said("norms", "--results", str(results), "--by", by, *options, "--csv", str(path))
        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    return frame.assign(case=case)


def _audit() -> dict[str, Any]:
    """The audit of the shipped prompts, without its tables of means."""
    document: dict[str, Any] = json.loads(_said("audit", "--dataset", str(_DATA), "--json"))
    del document["dataset"]["source"]
    for check in document["checks"]:
        del check["by_emotion"]
    return document


def _report(results: Path, language: str) -> list[str]:
    """The findings about activations, as the report in Markdown gives them."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "report.md"
        words = ("report", "--results", str(results), "--lang", language, "--format", "md")
        _said(*words, "--out", str(path))
        lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line == _HEADING[language]]
    assert len(starts) == 1, f"{_HEADING[language]} is no heading of the report"
    section = lines[starts[0] + 1 :]
    end = next(number for number, line in enumerate(section) if line.startswith("#"))
    return [line for line in section[:end] if line]


def write() -> None:
    """Write the files below `tests/golden` again."""
    with tempfile.TemporaryDirectory() as scratch:
        plant(Path(scratch))
        made = record(Path(scratch))
    FILES.mkdir(exist_ok=True)
    for name, table in made.tables.items():
        table.to_parquet(FILES / f"{name}.parquet", compression="zstd", index=False)
    text = json.dumps(made.words, indent=1, ensure_ascii=False, sort_keys=True)
    (FILES / "words.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
