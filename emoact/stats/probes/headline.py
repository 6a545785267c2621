"""The headline of one emotion, model and site: significance, nested probe and verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emoact.measures import Cell, Measure, ends
from emoact.stats.null.significance import Judged
from emoact.stats.probes.accuracy import Accuracy, LexicalComparison, Verdict
from emoact.stats.probes.grid import (
    CROSS_VALIDATED,
    TRANSFER,
    Correct,
    ProbeGrid,
    TextBaselines,
    compare_probe,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Headline:
    """One evaluation of one emotion in one model at one site.

    Attributes:
        probes: Probes at the site.
        judged: Permutation test over all layers and sites.
        evaluation: `cross_validated`, or `explicit_to_implicit`.
        accuracy: Of the headline probe, with its layer chosen inside the training prompts.
        comparison: With the best baseline that sees words only.
        baseline_accuracy: Of that baseline.
    """

    probes: ProbeGrid
    judged: Judged
    evaluation: str
    accuracy: Accuracy
    comparison: LexicalComparison
    baseline_accuracy: float

    @property
    def significant(self) -> bool:
        """The classes differ by more than chance somewhere."""
        return self.judged.significance.p_holm <= self.judged.alpha

    @property
    def verdict(self) -> Verdict:
        """Verdict of the comparison; `undecided` where only the probe sees a difference.

        Many probes are compared with words, and the permutation test alone controls the chance of
        a false alarm over all of them.
        """
        verdict = self.comparison.verdict
        return "undecided" if verdict == "beyond_words" and not self.significant else verdict


def headline_cells(
    probes: ProbeGrid,
    texts: TextBaselines,
    first_layer: Mapping[str, Correct] | None,
    judged: Judged,
) -> Iterator[Cell]:
    """One cell of the table `headline` for each evaluation that the data allow."""
    ids = {
        "model": probes.model.model,
        "emotion": probes.contrast.emotion,
        "site": probes.site,
    }
    for evaluation in (CROSS_VALIDATED, TRANSFER):
        accuracy, comparison, baseline = compare_probe(
            probes.model, probes.contrast, texts, probes, first_layer, evaluation
        )
        if evaluation == CROSS_VALIDATED or accuracy.n:
            headline = Headline(
                probes=probes,
                judged=judged,
                evaluation=evaluation,
                accuracy=accuracy,
                comparison=comparison,
                baseline_accuracy=baseline,
            )
            yield Cell(table="headline", ids=ids, source=headline)


MEASURES = (
    Measure(
        name="p_family",
        table="headline",
        definition="Permutation p-value of the emotion in this model over all layers and sites",
        source="Westfall & Young 1993",
        compute=lambda headline: headline.judged.significance.test.p_family,
    ),
    Measure(
        name="p_holm",
        table="headline",
        definition="This emotion anywhere: p_family after Holm over emotions and models",
        source="Holm 1979",
        compute=lambda headline: headline.judged.significance.p_holm,
    ),
    Measure(
        name="significant",
        table="headline",
        kind="bool",
        definition="This emotion anywhere: p_holm is at most alpha (.05 by default)",
        compute=lambda headline: headline.significant,
    ),
    Measure(
        name="layers",
        table="headline",
        kind="int",
        definition="Layers of the site with p_strong at most alpha: this layer of this emotion",
        unit="layers",
        compute=lambda headline: headline.judged.significant.sum(),
    ),
    Measure(
        name="probe",
        table="headline",
        kind="str",
        definition="Probe of the accuracies: logistic where it was fitted",
        compute=lambda headline: headline.probes.probe,
    ),
    Measure(
        name="evaluation",
        table="headline",
        kind="str",
        definition="cross_validated, or explicit_to_implicit",
        compute=lambda headline: headline.evaluation,
    ),
    Measure(
        name="accuracy",
        table="headline",
        definition="Held-out accuracy with the layer chosen inside the training prompts",
        label="held-out accuracy",
        interval=("accuracy_low", "accuracy_high"),
        compute=lambda headline: headline.accuracy.value,
    ),
    *ends(
        "accuracy_low",
        "accuracy_high",
        table="headline",
        of="its 95 % bootstrap interval over scenarios",
        compute=lambda headline: (headline.accuracy.low, headline.accuracy.high),
    ),
    Measure(
        name="baseline",
        table="headline",
        kind="str",
        definition="Best baseline that sees words only; layer_0 is one of them",
        compute=lambda headline: headline.comparison.baseline,
    ),
    Measure(
        name="baseline_accuracy",
        table="headline",
        definition="Held-out accuracy of that baseline on the same prompts",
        compute=lambda headline: headline.baseline_accuracy,
    ),
    Measure(
        name="difference",
        table="headline",
        definition="Accuracy of the probe minus that of the baseline on the same prompts",
        interval=("difference_low", "difference_high"),
        chance=0.0,
        no_effect="no difference",
        compute=lambda headline: headline.comparison.difference,
    ),
    *ends(
        "difference_low",
        "difference_high",
        table="headline",
        of="its paired 95 % bootstrap interval over scenarios",
        compute=lambda headline: (headline.comparison.low, headline.comparison.high),
    ),
    Measure(
        name="verdict",
        table="headline",
        kind="str",
        definition="Verdict: no_separation, beyond_words, lexical_suffices or undecided",
        compute=lambda headline: headline.verdict,
    ),
)
