"""The headline of every emotion, model and site: significance, probe, words and verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emoact.data.controls import LEAST_SHUFFLES
from emoact.measures import Cell
from emoact.numbers import listed, percent, significant
from emoact.positions import Pooling
from emoact.schema import Finding
from emoact.stats.features import Controls
from emoact.stats.null.permutation import adjust
from emoact.stats.null.significance import Significance
from emoact.stats.probes.accuracy import (
    ASKED_GAIN,
    Accuracies,
    Comparison,
    Verdict,
    called_share,
    compare,
    detectable_gain,
    is_one_sided,
    judge,
    judge_order,
    measure_accuracies,
    median_over,
    p_beyond,
    p_words,
)
from emoact.stats.probes.candidates import Candidates, baseline_cells, chosen_baseline
from emoact.stats.probes.grid import ProbeGrid
from emoact.stats.probes.order import NO_ORDER, Order
from emoact.stats.probes.probes import CROSS_VALIDATED, EVALUATIONS, TRANSFER

NOISY = 1.2
"""Scatter of a control over that of the prompts from which beating it says nothing."""

WORDS = ("text", "contextless", "shuffled_words")
"""Comparisons of a probe: with the chosen text baseline, and with two controls."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Headline:
    """One evaluation of one emotion in one model at one site.

    Attributes:
        significance: Permutation test over all layers and sites.
        evaluation: `cross_validated`, or `explicit_to_implicit`.
        median: Accuracy of the headline probe, the median over its layers.
        baseline: Name of the chosen text baseline.
        comparisons: With each of `WORDS`; without a value where it is missing.
        p_beyond: Of `accuracy.p_beyond`; NaN where one of `WORDS` is missing.
        p_words: Of `accuracy.p_words`; NaN likewise.
        p_order: Of `order`, corrected by Holm over all headlines; NaN before.
        n_verdicts: Verdicts of the analysis for which both are corrected by Holm; 0 before.
    """

    probes: ProbeGrid
    significance: Significance
    alpha: float
    evaluation: str
    median: Accuracies
    baseline: str
    comparisons: Mapping[str, Comparison]
    p_beyond: float
    p_words: float
    p_order: float = math.nan
    n_verdicts: int = 0

    @property
    def p_chance(self) -> float:
        """p-value of a balanced accuracy that is not above 1/2."""
        return self.median.p_chance

    @property
    def order(self) -> Order:
        """Order of the tested prompts; that of the transfer only, where one probe scores all."""
        return self.probes.order if self.evaluation == TRANSFER else NO_ORDER

    @property
    def called(self) -> float:
        """Share of prompts that the probe calls the emotion."""
        return called_share(self.probes.correct[self.evaluation], self.probes.contrast.is_emotion)

    @property
    def significant(self) -> bool:
        """True where the permutation test over all layers and sites is significant."""
        return self.significance.p_holm <= self.alpha

    @property
    def layers(self) -> int:
        """Layers of the site at which the direction is significant."""
        return int((self.significance.at(self.probes.site) <= self.alpha).sum())

    @property
    def noisy_controls(self) -> bool:
        """A control scatters so much more than the prompts that it is too easy to beat."""
        return bool(_noisy(self.probes))

    @property
    def one_sided(self) -> str:
        """Classifiers of vectors that call more than 75 % of prompts one class."""
        return ", ".join(_one_sided(self.probes, self.evaluation))

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        moved = _one_sided(self.probes, self.evaluation)
        too_easy = self.noisy_controls or bool(set(moved) & set(WORDS))
        return judge(
            n_scenarios=int(self.median.n_scenarios),
            testable=self.significant or self.significance.least <= self.alpha,
            separated=self.significant and self.p_chance <= self.alpha,
            unseparated=judge_order(self.p_order, self.called, self.alpha),
            p_beyond=math.nan if too_easy else self.p_beyond,
            p_words=math.nan if "probe" in moved else self.p_words,
            alpha=self.alpha,
        )

    @property
    def detectable(self) -> float:
        """Smallest gain that is shown in 80 % of such data sets; NaN where none can be shown."""
        if self.one_sided or self.noisy_controls or not math.isfinite(self.p_beyond):
            return math.nan
        level = self.alpha / self.n_verdicts
        known = tuple(self.comparisons.values())
        return detectable_gain(known, int(self.median.n_scenarios), level)

    @property
    def scenarios_needed(self) -> float:
        """Scenarios with which an equal gain of 10 points is shown as often."""
        n = int(self.median.n_scenarios)
        return float(np.ceil(n * (self.detectable / ASKED_GAIN) ** 2))


def headline_cells(
    probes: Sequence[ProbeGrid],
    texts: Mapping[tuple[str, str], Candidates],
    judged: Mapping[tuple[str, str], Significance],
    alpha: float,
) -> Iterator[Cell]:
    """Cells of the tables `headline` and `baselines`."""
    first_layers = {
        (each.model.model, each.contrast.emotion): each.first_layer
        for each in probes
        if each.first_layer is not None
    }
    headlines = list[Headline]()
    baselines = dict[tuple[str, str], dict[tuple[str, str, str], Accuracies]]()
    for each in probes:
        key = (each.model.model, each.contrast.emotion)
        candidates = {**texts[key]}
        if key in first_layers:
            candidates["layer_0"] = first_layers[key]
        named = baselines.setdefault(key, {})
        for evaluation in EVALUATIONS:
            if evaluation in each.correct:
                for name, candidate in candidates.items():
                    if (name, "", evaluation) not in named:
                        found = _median(each, candidate.correct[evaluation][None], evaluation)
                        named[name, "", evaluation] = found
                headline, controls = _headline(each, candidates, judged[key], alpha, evaluation)
                headlines.append(headline)
                for name, median in controls.items():
                    named[name, each.site, evaluation] = median
    beyond = adjust(np.array([each.p_beyond for each in headlines]))
    words = adjust(np.array([each.p_words for each in headlines]))
    orders = adjust(np.array([each.order.p for each in headlines]))
    for headline, first, second, third in zip(headlines, beyond, words, orders, strict=True):
        ids = {
            "model": headline.probes.model.model,
            "emotion": headline.probes.contrast.emotion,
            "site": headline.probes.site,
        }
        source = dataclasses.replace(
            headline,
            p_beyond=float(first),
            p_words=float(second),
            p_order=float(third),
            n_verdicts=len(headlines),
        )
        yield Cell(table="headline", ids=ids, source=source)
    for (model, emotion), named in baselines.items():
        yield from baseline_cells(model, emotion, named)


def _headline(
    probes: ProbeGrid,
    candidates: Candidates,
    significance: Significance,
    alpha: float,
    evaluation: str,
) -> tuple[Headline, dict[str, Accuracies]]:
    median = _median(probes, probes.correct[evaluation], evaluation)
    baseline, correct = chosen_baseline(candidates, probes.contrast, evaluation)
    controls = {
        name: _median(probes, control[evaluation], evaluation)
        for name, control in (
            ("contextless", probes.contextless),
            ("shuffled_words", probes.reordered),
        )
        if control is not None
    }
    medians = {"text": _median(probes, correct[None], evaluation), **controls}
    comparisons = {
        name: compare(median, medians[name]) if name in medians else Comparison() for name in WORDS
    }
    found = tuple(comparisons.values())
    headline = Headline(
        probes=probes,
        significance=significance,
        alpha=alpha,
        evaluation=evaluation,
        median=median,
        baseline=baseline,
        comparisons=comparisons,
        p_beyond=p_beyond(found),
        p_words=p_words(found),
    )
    return headline, controls


def _median(probes: ProbeGrid, correct: np.ndarray, evaluation: str) -> Accuracies:
    contrast, crossed = probes.contrast, evaluation == CROSS_VALIDATED
    return median_over(
        measure_accuracies(
            correct,
            contrast.is_emotion,
            probes.model.design,
            contrast.draws,
            cross_validated=crossed,
        )
    )


def _noisy(probes: ProbeGrid) -> dict[str, float]:
    return {name: ratio for name, ratio in probes.scatter.items() if ratio > NOISY}


def _one_sided(probes: ProbeGrid, evaluation: str) -> dict[str, float]:
    """Share of prompts called the emotion, of classifiers of vectors whose threshold moved."""
    shares = {
        name: called_share(correct[evaluation], probes.contrast.is_emotion)
        for name, correct in (
            ("probe", probes.correct),
            ("contextless", probes.contextless),
            ("shuffled_words", probes.reordered),
        )
        if correct is not None
    }
    return {name: share for name, share in shares.items() if is_one_sided(share)}


def control_findings(probes: Sequence[ProbeGrid], pooling: Pooling) -> Iterator[Finding]:
    """Controls that are missing, not finite, or noisier than the prompts, by model."""
    without = pooling in ("mean_typical", "mean_response", "last_template")
    for each in probes:
        noisy = [f"{name} {significant(ratio, 2)}" for name, ratio in _noisy(each).items()]
        if noisy:
            yield Finding(
                code="noisy_controls",
                severity="warning",
                where=f"{each.model.model}/{each.contrast.emotion}",
                message=f"{each.site}: controls scatter more within classes than the prompts do "
                f"({', '.join(noisy)} times, median over dimensions and layers); a noisier control "
                "is easier to beat, so that no verdict is beyond_words",
            )
    for model in dict.fromkeys(each.model.model for each in probes):
        own = [each for each in probes if each.model.model == model]
        for evaluation in EVALUATIONS:
            moved = [
                f"{each.contrast.emotion} ({each.site}): {name} {percent(share)}"
                for each in own
                if evaluation in each.correct
                for name, share in _one_sided(each, evaluation).items()
            ]
            if moved:
                yield Finding(
                    code="one_sided_probe",
                    severity="warning",
                    where=model,
                    message=f"{evaluation}: more than 75 % of prompts are called one class (share "
                    f"called the emotion): {'; '.join(moved)}; the threshold does not carry over. "
                    "Whether the order of the prompts does, balanced accuracy does not say; auroc "
                    "and p_order of the transfer do. No verdict is words_suffice or no_separation "
                    "because of such a probe, nor beyond_words because of such a control",
                )
        for place in dict.fromkeys(each.site for each in own):
            broken = [each for each in own if each.site == place and each.nonfinite]
            if broken:
                names = sorted({name for each in broken for name in each.nonfinite})
                yield Finding(
                    code="nonfinite_control",
                    severity="warning",
                    where=model,
                    message=f"{place}: values of {listed(names)} are not finite, so that there is "
                    f"no verdict on words for {listed([e.contrast.emotion for e in broken])}",
                    remedy="What overflows in half precision is finite in float32: extract with "
                    "--dtype float32 and analyse again.",
                )
        controls = own[0].model.controls or Controls()
        missing = ["the tokens without context"] if controls.contextless is None else []
        n_shuffles = len(controls.shuffled)
        if n_shuffles < LEAST_SHUFFLES:
            missing.append(f"shuffled words ({n_shuffles} of {LEAST_SHUFFLES} shuffles)")
        if missing:
            yield Finding(
                code="controls_missing",
                severity="note",
                where=model,
                message=f"{' and '.join(missing)} were not extracted; without them no verdict is "
                "beyond_words or words_suffice"
                + (f"; there are none for the pooling {pooling}" if without else ""),
                remedy="Run `emoact analyze --controls"
                f"{' --pooling mean_content' if without else ''}`.",
            )
