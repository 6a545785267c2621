"""Run the tests of the reliability table, and write docs/reliability.md from their results.

Usage: python scripts/write_reliability.py [--full] [--fuzz-seconds S] [--parts FOLDER [-k WORDS]]

`--full` adds the variants marked `long` and a minute of fuzz for each reader of pickles and for
all other readers together; `--fuzz-seconds 3600` makes it an hour. With `--parts` the results are
kept in a folder, `-k` runs some of the tests as in pytest, and the document is written from all
that the folder has: of a test that ran twice, the last run counts. A row stays as it is, with its
version, where the folder has fewer of its tests and none that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from emoact.store.reading import read
from emoact.version import __version__

ROOT = Path(__file__).parents[1]
ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "A run killed at every system call that changes the disk, then resumed: nothing "
        "acknowledged is lost, nothing is torn",
        ("killed_at_any_system_call", "order_of_system_calls"),
    ),
    (
        "A power cut at any sync, on a disk that keeps names late and on one that keeps them early",
        ("test_power_cut",),
    ),
    (
        "Memory that ends anywhere (`RLIMIT_AS`), a clock that jumps (libfaketime), files of "
        "another owner: a message, and nothing acknowledged is lost",
        ("test_clock_memory_owner",),
    ),
    (
        "A full, failing or read-only disk: a message with the remedy, the old file intact, no "
        "leftovers",
        ("disk_that", "file_size_limit", "read_only_disk", "every_error_that_is_tried"),
    ),
    ("Two to eight runs into one folder: identical to one", ("runs_into_one_folder",)),
    (
        "Malicious pickles: none accepted, none executed, no crash; bombs under 1 s and 200 MB",
        ("test_pickle_gadgets", "test_pickle_forged", "test_pickle_bombs"),
    ),
    (
        "Fuzz of honest files of every kind: no uncontrolled exception",
        ("test_pickle_fuzz", "test_file_fuzz", "read_torn"),
    ),
    (
        "A pipe, device, folder, link, empty, huge, deep, overflowing or foreign file in place of "
        "any file of a results folder: it costs its own row",
        ("test_every_read",),
    ),
    (
        "Configurations and headers of models that ask for more than there is: refused",
        ("test_hostile_models",),
    ),
    (
        "Bit flips and truncations of saved files, weights, summaries, runs, analyses and control "
        "extractions: all found by `verify`",
        ("test_verify",),
    ),
    (
        "Received files of other contents, under the hash that they should have: metadata, tables "
        "of analyses, control extractions, results about causes, plans, data sets to test on",
        ("test_hostile",),
    ),
    ("Malformed data sets: refused with file, row and remedy", ("test_prompts",)),
    ("Memory: bounded for any number of samples", ("memory",)),
    ("A canary token in `HF_TOKEN`: found nowhere", ("token",)),
    (
        "Hostile names, ids, labels, paths: nothing outside the results root",
        ("test_store_layout", "test_models_resolve", "test_models_folders"),
    ),
)
_OTHERS = "Other tests marked `fault` or `long`: "


@dataclass(frozen=True, kw_only=True)
class Case:
    """Result of one test, with the load of the machine when its run began and ended."""

    name: str
    outcome: str
    reason: str
    seconds: float
    points: int
    load: tuple[float, float]
    version: str


def main() -> int:
    """Write the document, and return pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="add the long variants, and a minute of fuzz"
    )
    parser.add_argument("--fuzz-seconds", type=int, default=60, help="fuzz of --full, 60 if absent")
    parser.add_argument("--parts", type=Path, help="folder that keeps the results of every run")
    parser.add_argument("-k", dest="words", default="", help="run these tests only, as in pytest")
    arguments = parser.parse_args()
    if arguments.words and arguments.parts is None:
        parser.error("-k runs a part of the tests: say with --parts where it is kept")
    with tempfile.TemporaryDirectory() as scratch:
        parts = arguments.parts or Path(scratch)
        parts.mkdir(parents=True, exist_ok=True)
        code = _run_tests(
            parts, full=arguments.full, fuzz_seconds=arguments.fuzz_seconds, words=arguments.words
        )
        cases = _cases(parts)
        ratio, place_us, n_bytes = _reader_speed(Path(scratch))
    path = ROOT / "docs" / "reliability.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(("| ", _OTHERS))]
    document = _document(cases, {row.split(" | ")[0]: row for row in rows})
    document += [
        "",
        "## The reader's speed",
        "",
        f"On a contract file of {n_bytes / 1e6:.0f} MB, medians of five alternating readings in "
        f"one process: opening with the closed reader takes {ratio:.2f} times what `pickle.load` "
        f"takes, and reaching one (layer, sample) afterwards {place_us:.0f} µs.",
    ]
    path.write_text("\n".join(document) + "\n", encoding="utf-8")
    return code


def _document(cases: list[Case], before: dict[str, str]) -> list[str]:
    lines = [
        "# Reliability",
        "",
        f"Written by `scripts/write_reliability.py` with emoact {__version__}. A test counts its "
        "cases; points are places or variants that a test tries within itself. Seconds were "
        "measured on a machine with other work: the load is the number of busy processes "
        f"on {os.cpu_count()} cores, at least and at most, when runs began and ended. The version "
        "is the commit whose code was tested; with a plus, what was committed next was added.",
        "",
        "| property | passed | failed | not run | points | seconds | load | version |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    left = list(cases)
    for name, words in ROWS:
        row = [case for case in left if any(word in case.name for word in words)]
        left = [case for case in left if case not in row]
        n_points = sum(case.points for case in row)
        counts = [
            sum(case.outcome == outcome for case in row)
            for outcome in ("passed", "failed", "not run")
        ]
        known = before.get(f"| {name}")
        if known and not counts[1] and len(row) < sum(map(int, known.split(" | ")[1:4])):
            lines.append(known)
            continue
        loads = [load for case in row for load in case.load]
        lines.append(
            f"| {name} | {counts[0]:,} | {counts[1]} | {counts[2]} "
            f"| {f'{n_points:,}' if n_points else ''} | {sum(case.seconds for case in row):,.0f} "
            f"| {f'{min(loads):.1f}–{max(loads):.1f}' if loads else ''} | {_versions(row)} |"
        )
    reasons = sorted({case.reason for case in cases if case.outcome == "not run"})
    if reasons:
        lines += ["", "Not run, and why:", "", *(f"- {reason}" for reason in reasons)]
    failed = sum(case.outcome == "failed" for case in left)
    others = next((row for row in before if row.startswith(_OTHERS)), f"{_OTHERS}0, 0 failed.")
    if failed or len(left) >= int(others.removeprefix(_OTHERS).partition(",")[0]):
        others = f"{_OTHERS}{len(left)}, {failed} failed."
    lines += ["", others]
    kinds = {row: line for row, line in before.items() if line.count(" | ") == 3}
    for case in cases:
        if "_fuzz" in case.name and case.points:
            kind = f"| {case.name.partition('[')[2].rstrip(']') or 'pickle'}"
            kinds[kind] = f"{kind} | {case.points:,} | {case.seconds:,.0f} | {case.version} |"
    head = "| file", "| file | damaged files | seconds | version |"
    kinds.pop(head[0], None)
    lines += ["", "## Fuzz", "", head[1], "|---|--:|--:|---|", *sorted(kinds.values())]
    return lines


def _versions(cases: list[Case]) -> str:
    return ", ".join(sorted({case.version for case in cases}))


def _run_tests(parts: Path, *, full: bool, fuzz_seconds: int, words: str) -> int:
    environment = dict(os.environ)
    if full:
        environment["EMOACT_FUZZ_SECONDS"] = str(fuzz_seconds)
    part = parts / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.json"
    report = part.with_suffix(".xml")
    command = [sys.executable, "-m", "pytest", "-q", "--durations=5", f"--junitxml={report}"]
    command += ["-m", "fault or long" if full else "fault", *(["-k", words] if words else [])]
    before = os.getloadavg()[0]
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    load = (before, os.getloadavg()[0])
    git = ["git", "rev-parse", "--short", "HEAD"]
    version = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # The file is the output of the pytest run above.
    cases = [_case(item, load, version.strip()) for item in ET.parse(report).iter("testcase")]  # noqa: S314
    report.unlink()
    part.write_text(json.dumps([asdict(case) for case in cases], indent=1), encoding="utf-8")
    return code


def _case(item: ET.Element, load: tuple[float, float], version: str) -> Case:
    skipped = item.find("skipped")
    bad = item.find("failure") is not None or item.find("error") is not None
    points = [each for each in item.iter("property") if each.get("name") == "points"]
    return Case(
        name=f"{item.get('classname')}::{item.get('name')}",
        outcome="failed" if bad else "passed" if skipped is None else "not run",
        reason="" if skipped is None else str(skipped.get("message")),
        seconds=float(item.get("time", 0)),
        points=sum(int(str(each.get("value"))) for each in points),
        load=load,
        version=version,
    )


def _cases(parts: Path) -> list[Case]:
    """Every test of every part, sorted; the last result of each."""
    found: dict[str, Case] = {}
    for part in sorted(parts.glob("*.json")):
        for fields in json.loads(part.read_text(encoding="utf-8")):
            case = Case(**{**fields, "load": tuple(fields["load"])})
            found[case.name] = case
    return [found[name] for name in sorted(found)]


def _reader_speed(scratch: Path) -> tuple[float, float, int]:
    path = scratch / "activations_speed.pkl"
    lengths, n_layers, d_model = [15] * 50, 30, 576
    rng = np.random.default_rng(0)
    layers = {
        key: [
            [rng.standard_normal((length, d_model), dtype=np.float32) for length in lengths]
            for _ in range(n_layers)
        ]
        for key in ("residual_stream", "mlp_output")
    }
    content = {
        **layers,
        "tokens": [np.arange(length) for length in lengths],
        "token_strings": [["x"] * length for length in lengths],
        "labels": ["speed"] * len(lengths),
        "metadata": {
            "model_name": "none",
            "n_layers": n_layers,
            "d_model": d_model,
            "d_vocab": 100,
            "n_samples": len(lengths),
            "emotion_label": "speed",
            "save_residual_stream": True,
            "save_mlp_output": True,
            "save_attention": False,
        },
    }
    path.write_bytes(pickle.dumps(content, protocol=5))
    ours, theirs, places = [], [], []
    for _ in range(5):
        began = time.perf_counter()
        unit = read(path)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        float(unit.residual_stream[17][23][3, 5])
        places.append(time.perf_counter() - began)
        began = time.perf_counter()
        with path.open("rb") as file:
            pickle.load(file)  # noqa: S301  written above
        theirs.append(time.perf_counter() - began)
    ratio = statistics.median(ours) / statistics.median(theirs)
    return ratio, statistics.median(places) * 1e6, path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
