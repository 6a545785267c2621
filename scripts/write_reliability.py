"""Run the tests of the reliability table, and write docs/reliability.md from their results.

Usage: python scripts/write_reliability.py [--full] [--fuzz-seconds S]

`--full` adds the variants marked `long` and a minute of fuzz for each reader of pickles and for
all other readers together; `--fuzz-seconds 3600` makes it an hour.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
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
    ("Malformed data sets: refused with file, row and remedy", ("test_prompts",)),
    ("Memory: bounded for any number of samples", ("memory",)),
    ("A canary token in `HF_TOKEN`: found nowhere", ("token",)),
    (
        "Hostile names, ids, labels, paths: nothing outside the results root",
        ("test_store_layout", "test_models_resolve", "test_models_folders"),
    ),
)


@dataclass
class Row:
    """Results of the tests of one property."""

    passed: int = 0
    failed: int = 0
    not_run: list[str] = field(default_factory=list)
    points: int = 0
    seconds: float = 0.0


def main() -> int:
    """Write the document, and return pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="add the long variants, and a minute of fuzz"
    )
    parser.add_argument("--fuzz-seconds", type=int, default=60, help="fuzz of --full, 60 if absent")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        code = _run_tests(report, full=arguments.full, fuzz_seconds=arguments.fuzz_seconds)
        rows, strays = _collect(report)
        ratio, place_us, n_bytes = _reader_speed(Path(scratch))
    lines = [
        "# Reliability",
        "",
        f"Written by `scripts/write_reliability.py` with emoact {__version__}"
        + (
            " with `--full`: the short variants, which every run of the suite has, and the long; "
            f"{arguments.fuzz_seconds:,} s of fuzz for pickles, and as much for all other files."
            if arguments.full
            else "; `--full` tries every place of every kind."
        ),
        "A test counts its cases; points are places or variants that a test tries within itself.",
        "",
        "| property | passed | failed | not run | points | seconds |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for (name, _), row in zip(ROWS, rows, strict=True):
        points = f"{row.points:,}" if row.points else ""
        lines.append(
            f"| {name} | {row.passed:,} | {row.failed} | {len(row.not_run)} | {points} "
            f"| {row.seconds:.0f} |"
        )
    reasons = sorted({reason for row in rows for reason in row.not_run})
    if reasons:
        lines += ["", "Not run, and why:", "", *(f"- {reason}" for reason in reasons)]
    if strays:
        lines += ["", f"Other tests marked `fault`: {strays}."]
    lines += [
        "",
        "## The reader's speed",
        "",
        f"On a contract file of {n_bytes / 1e6:.0f} MB, medians of five alternating readings in "
        f"one process: opening with the closed reader takes {ratio:.2f} times what `pickle.load` "
        f"takes, and reaching one (layer, sample) afterwards {place_us:.0f} µs.",
    ]
    (ROOT / "docs" / "reliability.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return code


def _run_tests(report: Path, *, full: bool, fuzz_seconds: int) -> int:
    environment = dict(os.environ)
    if full:
        environment["EMOACT_FUZZ_SECONDS"] = str(fuzz_seconds)
    marked = "fault or long" if full else "fault"
    command = [sys.executable, "-m", "pytest", "-q", "-m", marked, "--durations=5"]
    done = subprocess.run(
        [*command, f"--junitxml={report}"], cwd=ROOT, env=environment, check=False
    )
    return done.returncode


def _collect(report: Path) -> tuple[list[Row], int]:
    rows = [Row() for _ in ROWS]
    strays = 0
    # The file is the output of the pytest run above.
    for case in ET.parse(report).iter("testcase"):  # noqa: S314
        name = f"{case.get('classname')}::{case.get('name')}"
        row = next(
            (
                row
                for row, (_, words) in zip(rows, ROWS, strict=True)
                if any(word in name for word in words)
            ),
            None,
        )
        if row is None:
            strays += 1
            continue
        row.seconds += float(case.get("time", 0))
        skipped = case.find("skipped")
        if skipped is not None:
            row.not_run.append(str(skipped.get("message")))
        elif case.find("failure") is not None or case.find("error") is not None:
            row.failed += 1
        else:
            row.passed += 1
        for item in case.iter("property"):
            if item.get("name") == "points":
                row.points += int(str(item.get("value")))
    return rows, strays


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
