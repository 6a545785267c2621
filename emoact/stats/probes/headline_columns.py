"""Columns of the table `headline`; their source is a `headline.JudgedHeadline`."""

from __future__ import annotations

from emoact.measures import Measure, ends


def _comparison_measures(name: str, title: str) -> tuple[Measure, ...]:
    prefix = f"{name}_difference"
    return (
        Measure(
            name=f"{name}_balanced_accuracy",
            table="headline",
            definition=f"Held-out balanced accuracy of {title} on the same prompts",
            compute=lambda judged: judged.headline.comparisons[name].value,
        ),
        Measure(
            name=prefix,
            table="headline",
            definition=f"Balanced accuracy of the probe minus that of {title}",
            interval=(f"{prefix}_low", f"{prefix}_high"),
            chance=0.0,
            no_effect="no difference",
            compute=lambda judged: judged.headline.comparisons[name].difference,
        ),
        *ends(
            f"{prefix}_low",
            f"{prefix}_high",
            table="headline",
            of=f"the 95 % interval of {prefix}, paired over scenarios",
            compute=lambda judged: (
                judged.headline.comparisons[name].low,
                judged.headline.comparisons[name].high,
            ),
        ),
    )


MEASURES = (
    Measure(
        name="p_family",
        table="headline",
        definition="Permutation p-value of the emotion in this model over all layers and sites",
        source="Westfall & Young 1993",
        compute=lambda judged: judged.headline.significance.test.p_family,
    ),
    Measure(
        name="p_holm",
        table="headline",
        definition="This emotion anywhere: p_family after Holm over emotions and models",
        source="Holm 1979",
        compute=lambda judged: judged.headline.significance.p_holm,
    ),
    Measure(
        name="significant",
        table="headline",
        kind="bool",
        definition="p_holm is at most alpha (.05 by default)",
        compute=lambda judged: judged.headline.significant,
    ),
    Measure(
        name="layers",
        table="headline",
        kind="int",
        definition="Layers of the site with p_strong at most alpha: this layer of this emotion",
        unit="layers",
        compute=lambda judged: judged.headline.layers,
    ),
    Measure(
        name="probe",
        table="headline",
        kind="str",
        definition="Probe of the accuracies: logistic where it was fitted",
        compute=lambda judged: judged.headline.probes.probe,
    ),
    Measure(
        name="evaluation",
        table="headline",
        kind="str",
        definition="cross_validated, or explicit_to_implicit",
        compute=lambda judged: judged.headline.evaluation,
    ),
    Measure(
        name="layer_first",
        table="headline",
        kind="int",
        definition="First of the layers whose median accuracy is taken: the middle half, fixed "
        "beforehand",
        compute=lambda judged: judged.headline.probes.layers[0],
    ),
    Measure(
        name="layer_last",
        table="headline",
        kind="int",
        definition="Last of these layers",
        compute=lambda judged: judged.headline.probes.layers[-1],
    ),
    Measure(
        name="n_prompts",
        table="headline",
        kind="int",
        definition="Held-out prompts with a decision",
        unit="prompts",
        compute=lambda judged: judged.headline.median.n,
    ),
    Measure(
        name="n_scenarios",
        table="headline",
        kind="int",
        definition="Scenarios of these prompts",
        unit="scenarios",
        compute=lambda judged: judged.headline.median.n_scenarios,
    ),
    Measure(
        name="accuracy",
        table="headline",
        definition="Share of held-out prompts that are classified correctly, median over the "
        "layers",
        label="held-out accuracy",
        interval=("accuracy_low", "accuracy_high"),
        compute=lambda judged: judged.headline.median.accuracy,
    ),
    *ends(
        "accuracy_low",
        "accuracy_high",
        table="headline",
        of="its 95 % bootstrap interval over scenarios",
        compute=lambda judged: judged.headline.median.accuracy_interval,
    ),
    Measure(
        name="balanced_accuracy",
        table="headline",
        definition="Mean over the two classes of that share, median over the layers",
        label="held-out balanced accuracy",
        interval=("balanced_low", "balanced_high"),
        chance=0.5,
        no_effect="chance",
        compute=lambda judged: judged.headline.median.value,
    ),
    *ends(
        "balanced_low",
        "balanced_high",
        table="headline",
        of="the 95 % bootstrap interval of balanced_accuracy over scenarios",
        compute=lambda judged: (judged.headline.median.low, judged.headline.median.high),
    ),
    *ends(
        "balanced_min",
        "balanced_max",
        table="headline",
        of="the range of balanced accuracy over all layers at which the probe was fitted",
        compute=lambda judged: judged.headline.probes.extremes[judged.headline.evaluation],
    ),
    Measure(
        name="p_chance",
        table="headline",
        definition="One-sided p-value of a balanced accuracy that is not above 1/2",
        compute=lambda judged: judged.headline.p_chance,
    ),
    Measure(
        name="baseline",
        table="headline",
        kind="str",
        definition="Text baseline that is best among the training prompts, in most folds; layer_0 "
        "is one of them",
        compute=lambda judged: judged.headline.baseline,
    ),
    *_comparison_measures("text", "the text baseline that is best among the training prompts"),
    *_comparison_measures("contextless", "a probe of the same tokens without context"),
    *_comparison_measures("shuffled_words", "probes of the same words in random order"),
    Measure(
        name="p_beyond",
        table="headline",
        definition="p-value of a probe that is not better than all three: the largest of the three "
        "one-sided ones; Holm over all verdicts",
        source="Berger 1982; Holm 1979",
        compute=lambda judged: judged.p_beyond,
    ),
    Measure(
        name="p_words",
        table="headline",
        definition="p-value of a probe that is better than each of the three by more than 5 "
        "points: three times the smallest of the three one-sided ones; Holm over all verdicts",
        source="Lakens 2017; Holm 1979",
        compute=lambda judged: judged.p_words,
    ),
    Measure(
        name="detectable",
        table="headline",
        definition="Smallest gain over words in balanced accuracy that is shown in 80 % of such "
        "data sets, at alpha over the number of verdicts",
        formula="(t + 0.84) se, se the largest of the three",
        compute=lambda judged: judged.detectable,
    ),
    Measure(
        name="scenarios_needed",
        table="headline",
        definition="Scenarios with which a gain of 10 points is shown as often",
        formula="n (detectable / 0.1)²",
        unit="scenarios",
        compute=lambda judged: judged.scenarios_needed,
    ),
    Measure(
        name="verdict",
        table="headline",
        kind="str",
        definition="Verdict: beyond_words, words_suffice, inconclusive, no_separation or undecided",
        compute=lambda judged: judged.verdict,
    ),
)
