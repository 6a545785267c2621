"""Rate of false warnings of the audit, on data sets whose labels are independent of the texts.

Run `python scripts/calibrate_audit.py` from the root of the repository: 200 data sets of five
designs, drawn with seeds 0 to 199. At most 16 of them may get a warning: 5 % of 200 and two
standard errors.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from emoact.schema import Dataset, Prompt
from emoact.stats.audit import AuditReport, Check, audit_dataset
from emoact.stats.audit.separation import ALPHA

SEEDS = range(200)
ALLOWED = 16
EMOTIONS = ("gratitude", "anger", "apology", "neutral")
DESIGNS = ("matched", "without scenarios", "partly crossed", "unequal", "small")

_SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "ti", "vo", "zu", "da", "fe")
_PRONOUNS = ("i", "you", "my", "your", "we", "they", "it", "her")
_REGISTER = (
    *("two", "twenty", "sunday", "july", "not", "never", "because", "so", "but", "when", "good"),
    *("better", "bad", "late", "very", "was", "went", "is", "am", "will", "can", "would", "have"),
    *("looked", "making", "put", "please", "the", "a", "for", "to", "with", "that", "and", "on"),
)
_MARKS = (".", ".", ".", ".", "!", "?", "", "...")


def fair_dataset(seed: int) -> Dataset:
    """Random texts under random labels; texts of one scenario are similar.

    The seed chooses the design as well. Nonsense words follow Zipf's law; lengths, punctuation,
    capitals, pronouns and English words of the register vary between prompts and between
    scenarios, and never with the label.
    """
    rng = np.random.default_rng(seed)
    design = DESIGNS[seed % len(DESIGNS)]
    labels, scenarios = _labelled(design, rng)
    styles = {name: _Style.drawn(rng) for name in dict.fromkeys(scenarios)}
    prompts = [
        Prompt(
            id=f"p{row:03d}",
            text=_Style.drawn(rng).text(rng) if name is None else styles[name].text(rng),
            emotion=label,
            scenario_id=name,
            lang="en",
        )
        for row, (label, name) in enumerate(zip(labels, scenarios, strict=True))
    ]
    return Dataset(source=f"{design}, seed {seed}", sha256="0" * 64, prompts=tuple(prompts))


def _labelled(design: str, rng: np.random.Generator) -> tuple[list[str], list[str | None]]:
    if design in ("matched", "small"):
        names = [f"s{index}" for index in range(50 if design == "matched" else 12)]
        return list(EMOTIONS) * len(names), [name for name in names for _ in EMOTIONS]
    if design == "unequal":
        labels = [
            label for label, n in zip(EMOTIONS, (80, 50, 40, 30), strict=True) for _ in range(n)
        ]
        return labels, [None] * len(labels)
    labels = [str(label) for label in rng.choice(EMOTIONS, 200)]
    if design == "without scenarios":
        return labels, [None] * len(labels)
    return labels, [f"s{index}" for index in rng.integers(0, 60, 200)]


@dataclass(frozen=True, kw_only=True)
class _Style:
    """Style that the texts of one scenario share."""

    length: float
    mark: str
    topic: int
    loud: float
    person: str

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Style:
        return cls(
            length=rng.uniform(7, 16),
            mark=str(rng.choice(_MARKS)),
            topic=int(rng.integers(0, 1000)),
            loud=float(rng.choice((0.0, 0.0, 0.1))),
            person=str(rng.choice(_PRONOUNS)),
        )

    def text(self, rng: np.random.Generator) -> str:
        words = [_word(self.topic)]
        for _ in range(max(4, int(rng.poisson(self.length)))):
            draw = rng.random()
            if draw < 0.15:
                words.append(str(rng.choice(_PRONOUNS)))
            elif draw < 0.2:
                words.append(self.person)
            elif draw < 0.5:
                words.append(str(rng.choice(_REGISTER)))
            else:
                words.append(_word(min(int(rng.zipf(1.3)), 5000)))
            if rng.random() < 0.05:
                words[-1] += ","
        rng.shuffle(words)
        words = [word.upper() if rng.random() < self.loud else word for word in words]
        mark = self.mark if rng.random() < 0.8 else str(rng.choice(_MARKS))
        text = " ".join(words).strip(",")
        return text[0].upper() + text[1:] + mark


def _word(rank: int) -> str:
    parts: list[str] = []
    while rank or not parts:
        rank, digit = divmod(rank, len(_SYLLABLES))
        parts.append(_SYLLABLES[digit])
    return "".join(parts)


def report_on(seed: int) -> AuditReport:
    """Audit of one fair data set."""
    return audit_dataset(fair_dataset(seed), seed=seed)


def accuses(check: Check) -> bool:
    """True for a warning, an error, and a note on single words, which would be false, too."""
    bad = check.outcome in ("warning", "error")
    return bad or (check.aspect == "single_words" and check.outcome != "ok")


def main() -> int:
    """Print the aspects with warnings, and the share of p-values up to 0.05 of each test."""
    parser = argparse.ArgumentParser(description="Calibrate the audit on fair data sets.")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many")
    parser.add_argument("--first", type=int, default=SEEDS.start, help="the first of them")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.workers) as pool:
        reports = list(pool.map(report_on, range(options.first, options.first + options.seeds)))
    warned = 0
    small: dict[str, list[bool]] = {}
    for report in reports:
        aspects = [check.aspect for check in report.checks if accuses(check)]
        if aspects:
            warned += 1
            print(f"{report.dataset['source']}: {', '.join(aspects)}")
        for check in report.checks:
            for test in check.tests:
                small.setdefault(f"{check.aspect}, {test.kind}", []).append(test.p <= ALPHA)
    print("\nshare of p-values up to 0.05 (expected 0.05):")
    for name, those in small.items():
        print(f"  {name:28} {np.mean(those):.3f}  of {len(those)}")
    print(f"\n{warned} of {options.seeds} fair data sets with a warning")
    return int(warned > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
