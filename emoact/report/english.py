"""English strings of a report; what records say already comes from them."""

from __future__ import annotations

from collections.abc import Mapping

STRINGS: Mapping[str, str] = {
    "title": "emoact: activations and directions of emotion",
    "subtitle": "Results folder {folder}: {models}",
    "contents": "Contents",
    "date": "{year}-{padded} {time} UTC",
    "unknown": "unknown",
    "list.separator": ", ",
    "count.model.one": "{number} model",
    "count.model.many": "{number} models",
    "count.emotion.one": "{number} emotion",
    "count.emotion.many": "{number} emotions",
    "count.file.one": "{number} file",
    "count.file.many": "{number} files",
    "count.sample.one": "{number} sample",
    "count.sample.many": "{number} samples",
    "count.finding.one": "{number} finding that may change results",
    "count.finding.many": "{number} findings that may change results",
    "random.badge": "Random weights.",
    "random.text": "The weights of {models} are random. These files show that the tools work; "
    "they say nothing about language or emotion. Only their sizes, times and checks are "
    "meaningful.",
    "random.short": "The results below say nothing about emotion.",
    "random.source": "random weights in the same architecture",
    "column.model": "model",
    "column.models": "models",
    "column.emotion": "emotion",
    "column.file": "file",
    "column.samples": "samples",
    "column.tokens": "tokens",
    "column.size": "size",
    "column.sha256": "SHA-256",
    "column.seconds": "time",
    "column.samples_per_s": "samples/s",
    "column.tokens_per_s": "tokens/s",
    "column.library": "library",
    "column.version": "version",
    "column.processing": "weights",
    "column.bos": "BOS",
    "column.dtype": "precision",
    "column.device": "device",
    "column.sites": "sites",
    "column.aspect": "aspect",
    "column.verdict": "verdict",
    "column.eta": "variance between emotions",
    "column.p": "p",
    "column.accuracy": "accuracy",
    "column.chance": "chance",
    "column.p_holm": "p (Holm)",
    "column.layers": "significant layers",
    "column.baseline": "best classifier of words",
    "column.difference": "difference [95 % CI]",
    "column.score_corr": "score correlation",
    "column.ceiling": "ceiling by reliability",
    "column.procrustes": "Procrustes, held out",
    "column.raw_cos": "raw cosine (negative control)",
    "column.raw_band": "its 95 % null band",
    "when.title": "Date",
    "when.at": "The activations were extracted on {first}.",
    "when.span": "The activations were extracted from {first} to {last}.",
    "when.unknown": "Some files do not record when they were made.",
    "when.report": "This report was made on {date} with emoact {version}.",
    "overview.title": "Overview",
    "overview.main": "Prompts of {emotions} were run through {models}. The residual stream and "
    "the MLP output of every layer were saved at every token: **{samples} in {files}**, {size}.",
    "overview.findings": "The checks of the activations gave {findings}, listed below. ",
    "overview.no_findings": "The checks of the activations found nothing that may change results. ",
    "overview.audit_ok": "The audit of the prompts found no confound except words.",
    "overview.audit_bad": "The audit of the prompts found a confound: a direction could represent "
    "it instead of the emotion.",
    "overview.refused": "{files} could not be read and are not part of this report.",
    "models.title": "Models",
    "models.lead": "As recorded in the files of activations.",
    "models.name": "**Model**: {name}",
    "models.family": "**Architecture**: {family}",
    "models.layers": "**Layers**: {layers}",
    "models.width": "**Hidden size**: {width}",
    "models.vocabulary": "**Vocabulary**: {size}",
    "models.vocabulary_unknown": "**Vocabulary**: unknown",
    "models.weights": "**Weights**: {source}, revision {revision}",
    "models.processing": "**Processing of weights**: {processing}",
    "models.no_provenance": "The files do not record how they were made.",
    "footnote.smollm2-135m": "The weights are dequantised from Q4_1. The model uses RMSNorm, so "
    "its residual stream is not centred.",
    "footnote.pythia-160m": "Attention and MLP read the same residual stream in parallel.",
    "footnote.gpt-neo-125m": "Every second layer has local attention with a window of 256 "
    "positions.",
    "data.title": "Data set",
    "data.total": "**Prompts per model**: {total}",
    "data.emotion": "**{emotion}**: {count} prompts",
    "data.subsets": "Prompts by subset",
    "data.source": "File {source}, SHA-256 {sha256}.",
    "audit.title": "Audit of the data set",
    "audit.ok": "Only words predict the class. ",
    "audit.bad": "These aspects predict the class and may be what a direction represents: "
    "**{aspects}**. ",
    "audit.words": "A classifier that sees only which words occur has an accuracy of {accuracy} "
    "(chance {chance}).",
    "audit.caption": "Two permutation tests for each aspect ({permutations} permutations, labels "
    "exchanged {scheme}, seed {seed}): the feature with the strongest association with emotion, "
    "and a classifier that sees this aspect only, tested on held-out scenarios. p values are "
    "corrected by Holm over all tests but those of words, which do not enter the verdict.",
    "audit.remedy": "**{aspect}**: ",
    "scheme.within scenario": "within scenarios",
    "scheme.over all prompts": "over all prompts",
    "scheme.over scenarios": "between scenarios",
    "scheme.mixed": "within scenarios where these hold several emotions",
    "outcome.ok": "no problem",
    "outcome.note": "note",
    "outcome.warning": "confound",
    "outcome.error": "error",
    "activations.title": "Extracted activations",
    "activations.lead": "Each file holds the prompts of one emotion for one model:",
    "activations.norms": "The charts show the L2 norm of a position, averaged over the content of "
    "a prompt (all positions except the BOS). Lines are medians over prompts, bands the "
    "interquartile range. This is a mean of norms and not the norm of a mean. Norms cannot be "
    "compared between models, and between layers only with care.",
    "contents.metadata": "**Metadata**: model, sizes, prompts, settings and versions",
    "files.lead": "Saved in {folder}:",
    "findings.title": "Findings on the activations",
    "findings.lead": "Fixed thresholds, applied without regard to the emotion.",
    "findings.none": "There are none.",
    "findings.colon": ": ",
    "finding.nonfinite_values.title": "NaN or infinite values",
    "finding.mixed_settings.title": "Different settings",
    "finding.massive_tokens.title": "Massive tokens",
    "finding.rogue_dimensions.title": "Rogue dimensions",
    "finding.dead_dimensions.title": "Dead dimensions",
    "finding.norm_collapse.title": "Collapsing norm",
    "finding.outlier_prompts.title": "Outlier prompts",
    "finding.unequal_lengths.title": "Unequal lengths",
    "finding.first_token_sink.title": "First-token sink",
    "structure.title": "Structure of the files",
    "structure.lead": "Each file of activations (`.pkl`) holds:",
    "structure.layer": "layer ",
    "structure.residual": "**Residual stream**: `[pos, d_model]` for each layer and sample",
    "structure.mlp": "**MLP output**: `[pos, d_model]` for each layer and sample",
    "structure.safe": "`pickle.load` executes code that a file may contain. `emoact.read` reads "
    "the same file without executing anything.",
    "timing.title": "Processing time",
    "timing.lead": "Wall time of the forward passes, without the time to load a model.",
    "timing.total": "**{model}**: {seconds} for {units}, {rate} samples/s",
    "technical.title": "Technical details",
    "libraries.title": "Libraries",
    "libraries.transformer_lens": "**TransformerLens**: loading models, hooks",
    "libraries.torch": "**PyTorch**: tensors",
    "libraries.numpy": "**NumPy**: numbers and saved arrays",
    "hooks.title": "Hooks",
    "format.title": "File format",
    "format.pickle": "**Format**: pickle (`.pkl`), protocol 4",
    "format.other": "**Format**: {name} (`{suffix}`)",
    "format.executors": "**Runs worked off by**: {names}",
    "format.reason": "**Reason**: lists of NumPy arrays of different lengths, which the scripts "
    "of phase 3 read with `pickle.load`",
    "settings.title": "Settings",
    "settings.unknown": "Some files do not record how they were made. They cannot be compared "
    "with others.",
    "bos.prepended": "prepended",
    "bos.none": "none",
    "reproduce.title": "Commands that reproduce this report",
    "reproduce.lead": "With the versions above, in a folder that holds the data set:",
    "reproduce.same": "The same model, data set and settings on the same machine give "
    "bit-identical arrays and tokens. Other processors may differ in the last bits.",
    "checks.title": "Checks",
    "checks.contract": "**Contract**: {files} were read without executing anything, and all keep "
    "the contract.",
    "checks.hashes": "**Hashes**: {same} of {files} files have the SHA-256 that the manifest "
    "recorded when they were saved.",
    "checks.additivity": "**Residual stream**: the sum of a layer's input, attention output and "
    "MLP output differs from the next layer's input by at most {error} (relative, checked when "
    "the model was loaded).",
    "checks.parity": "**Batched passes**: prompts computed together differ from prompts computed "
    "one at a time by at most {error} (relative, checked when the model was loaded).",
    "checks.changed": "These files changed after they were saved: {files}. Extract them again "
    "before you use them.",
    "checks.refused": "{file} was refused: {reason}",
    "checks.verify": "`python -m emoact verify` repeats these checks and recomputes a sample of "
    "prompts.",
    "phase3.title": "Phase 3: emotion directions",
    "phase3.missing": "There is no saved analysis of these files. This command or the page "
    "Directions makes one; the next report includes it:",
    "phase3.plan.direction": "**Directions**: `emotion_vec[layer] = mean(resid_emotion[layer]) - "
    "mean(resid_neutral[layer])`",
    "phase3.plan.strength": "**Strength by layer**: L1 and L2 norm, cross-validated strength, "
    "stability, separation on held-out prompts",
    "phase3.plan.distances": "**Distances within a model**: cosines between emotions with their "
    "permutation band",
    "phase3.plan.across": "**Across models**: the plan's cosine as a negative control, and "
    "measures that need no common basis",
    "phase3.lead": "Analysis {id}: directions from {neutral}, pooling {pooling}, {permutations} "
    "permutations, seed {seed}.",
    "phase3.grand_mean": "the mean of all classes",
    "phase3.stale": "This analysis rests on other files than those in the folder now. Run it "
    "again before you quote it.",
    "phase3.unread": "An analysis cannot be read and is not included: {reason}",
    "phase3.mixed_badge": "Mixed settings.",
    "phase3.mixed": "The files differ in {fields} and were compared on request.",
    "phase3.random": "The weights of {models} are random. Their rows show that the tools work and "
    "support no claim about emotion.",
    "directions.title": "Directions: strength and separation",
    "directions.lead": "A direction is the difference of two class means. Its plain norm is "
    "biased upward, so the strength is cross-validated here: with noise alone, half of its "
    "values are negative.",
    "directions.answer": "{site}: **{significant} of {total} directions** are significant over "
    "all layers and sites. For **{beyond} of {total}** a probe is more accurate on held-out "
    "scenarios than every classifier that sees words only.",
    "directions.caption": "{site}: permutation p over all layers and sites after Holm, number of "
    "significant layers, held-out accuracy of the probe (layer chosen on training prompts), the "
    "best classifier that sees words only, and their paired difference.",
    "directions.transfer": ", explicit → implicit",
    "baseline.majority": "majority",
    "baseline.length": "length",
    "baseline.punctuation": "punctuation",
    "baseline.bag_of_words": "bag of words",
    "baseline.char_tfidf": "character TF-IDF",
    "baseline.tfidf": "TF-IDF",
    "baseline.layer_0": "layer 0",
    "verdict.beyond_words": "beyond words",
    "verdict.lexical_suffices": "words suffice, no evidence beyond words",
    "verdict.no_separation": "no separation",
    "verdict.undecided": "undecided",
    "verdict.random": "random weights, no claim",
    "distances.title": "Distances within a model",
    "distances.lead": "Directions that subtract the same reference have a positive cosine even "
    "without any emotion; the grey band shows the values under permuted labels. The "
    "cross-validated cosine has no such bias. It is missing where a strength is not positive.",
    "across.title": "Across models",
    "across.missing": "The analysis has one model. With a second one in the folder the two are "
    "compared.",
    "across.lead": "Two models share no basis, so the raw cosine of the plan is a negative "
    "control. The score correlation compares the order of the same held-out prompts in the two "
    "models.",
    "across.caption": "{site}: medians over matched layers. A score correlation is missing where "
    "the reliabilities in its denominator are unknown or near 0.",
    "limits.title": "Limits and next steps",
    "limits.words": "Words predict the class of some prompts. Only a probe that is more accurate "
    "than the classifiers of words shows more than words.",
    "limits.acts": "Gratitude and apology are speech acts as well as emotions. A direction may "
    "represent the act.",
    "limits.scale": "The models are small and the sentences short and English. Results may not "
    "hold elsewhere.",
    "limits.attention": "Attention patterns were not saved. `--site pattern` saves them and needs "
    "much disk space.",
    "limits.quantised": "Weights dequantised from four bits differ from the published ones.",
    "limits.random": "Replace files of random weights by files of trained models before you draw "
    "conclusions.",
    "limits.one_model": "There is one model, so nothing can be said about others.",
    "conclusion.title": "Conclusion",
    "conclusion.sum": "Total: ",
    "conclusion.total": "{models} × {emotions} = {files}, {samples}.",
    "conclusion.incomplete": "{files} of {models} and {emotions}, {samples}. Some combinations "
    "are missing.",
    "conclusion.ready": "The files are ready for phase 3.",
    "conclusion.phase3": "The directions of phase 3 are saved in the same results folder.",
    "several": "several models",
}
