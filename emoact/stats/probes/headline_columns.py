"""Columns of the table `headline`; their source is a judged `headline.Headline`."""

from __future__ import annotations

from emoact.measures import Columns, Measure
from emoact.stats.probes.accuracy import accuracy_columns, balanced_columns, n_prompts
from emoact.stats.probes.order import order_columns

_headline = Columns("headline")


def _comparison_columns(name: str, title: str) -> tuple[Measure, ...]:
    """The probe against one of `headline.WORDS`."""
    prefix = f"{name}_difference"
    return (
        _headline(
            f"{name}_balanced_accuracy",
            f"Held-out balanced accuracy of {title} on the same prompts",
            lambda headline: headline.comparisons[name].value,
        ),
        *_headline.estimate(
            prefix,
            f"Balanced accuracy of the probe minus that of {title}",
            lambda headline: headline.comparisons[name].difference,
            ends=lambda headline: headline.comparisons[name].interval,
            of=f"the 95 % interval of {prefix}, paired over scenarios",
            chance=0.0,
            no_effect="no difference",
        ),
    )


MEASURES = (
    _headline(
        "p_family",
        "Permutation p-value of the emotion in this model over all layers and sites",
        lambda headline: headline.significance.test.p_family,
        source="Westfall & Young 1993",
    ),
    _headline(
        "p_holm",
        "This emotion anywhere: p_family after Holm over emotions and models",
        lambda headline: headline.significance.p_holm,
        source="Holm 1979",
    ),
    _headline("significant", "p_holm is at most alpha (.05 by default)", kind="bool"),
    _headline(
        "layers",
        "Layers of the site with p_strong at most alpha: this layer of this emotion",
        kind="int",
        unit="layers",
    ),
    _headline(
        "probe",
        "Probe of the accuracies: logistic where it was fitted",
        lambda headline: headline.probes.probe,
        kind="str",
    ),
    _headline("evaluation", "cross_validated, or explicit_to_implicit", kind="str"),
    _headline(
        "layer_first",
        "First of the layers whose median accuracy is taken: the middle half, fixed beforehand",
        lambda headline: headline.probes.layers[0],
        kind="int",
    ),
    _headline(
        "layer_last",
        "Last of these layers",
        lambda headline: headline.probes.layers[-1],
        kind="int",
    ),
    n_prompts(_headline, "n_prompts", lambda headline: headline.median),
    _headline(
        "n_scenarios",
        "Scenarios of these prompts",
        lambda headline: headline.median.n_scenarios,
        kind="int",
        unit="scenarios",
    ),
    *accuracy_columns(
        _headline,
        "Share of held-out prompts that are classified correctly, median over the layers",
        lambda headline: headline.median,
        stem="accuracy",
    ),
    *balanced_columns(
        _headline,
        "Mean over the two classes of that share, median over the layers",
        lambda headline: headline.median,
    ),
    *_headline.ends(
        "balanced_min",
        "balanced_max",
        "the range of balanced accuracy over all layers at which the probe was fitted",
        lambda headline: headline.probes.extremes[headline.evaluation],
    ),
    _headline("p_chance", "One-sided p-value of a balanced accuracy that is not above 1/2"),
    _headline(
        "baseline",
        "Text baseline that is best among the training prompts, in most folds; layer_0 is one of "
        "them",
        kind="str",
    ),
    *_comparison_columns("text", "the text baseline that is best among the training prompts"),
    *_comparison_columns("contextless", "a probe of the same tokens without context"),
    *_comparison_columns("shuffled_words", "probes of the same words in random order"),
    _headline(
        "p_beyond",
        "p-value of a probe that is not better than all three: the largest of the three one-sided "
        "ones; Holm over all verdicts",
        source="Berger 1982; Holm 1979",
    ),
    _headline(
        "p_words",
        "p-value of a probe that is better than each of the three by more than 5 points: three "
        "times the smallest of the three one-sided ones; Holm over all verdicts",
        source="Lakens 2017; Holm 1979",
    ),
    _headline(
        "detectable",
        "True gain in balanced accuracy over all three that is shown in at most 80 % of such data "
        "sets at alpha over the number of verdicts, the strictest level of Holm; blank where a "
        "control is missing or noisy or a classifier one-sided, which more scenarios do not change",
        formula="(t + 0.84) se, se the largest of the three",
    ),
    _headline(
        "scenarios_needed",
        "Scenarios with which a gain of 10 points is shown as often, if gain and spread stay the "
        "same; words also learn from more scenarios",
        formula="n (detectable / 0.1)²",
        unit="scenarios",
    ),
    _headline(
        "noisy_controls",
        "A control scatters more than 1.2 times as much within classes as the prompts (median over "
        "dimensions and layers), so that no verdict is beyond_words",
        kind="bool",
    ),
    _headline(
        "one_sided",
        "Those of probe, contextless and shuffled_words that call less than 25 % or more than 75 % "
        "of the prompts the emotion (classes weigh the same; median over the layers)",
        kind="str",
    ),
    *order_columns(_headline, "the emotion"),
    _headline(
        "verdict",
        "Verdict: beyond_words, words_suffice, inconclusive, order_only, threshold_moved, "
        "no_separation or undecided",
        kind="str",
    ),
)
