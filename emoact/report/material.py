"""Facts of a results folder for a report, gathered before anything is written."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emoact import sites
from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.causes.ablate import ABLATE
from emoact.causes.heads import HEADS
from emoact.causes.lens import LENS
from emoact.causes.saved import SavedCause, left_out, saved_causes
from emoact.causes.steer import STEER
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.jobs.directory import RunDirectory
from emoact.models.cache import file_sha256
from emoact.schema import Dataset, Finding, Prompt
from emoact.stats.audit import audit_dataset
from emoact.stats.audit.outcome import AuditReport
from emoact.stats.findings.finding import ActivationFinding
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.store.summaries import measures_of
from emoact.store.summaries.joining import labels_by_emotion
from emoact.store.summaries.measures import UnitMeasures
from emoact.views.activations import findings as findings_of
from emoact.views.analysed import Analysed
from emoact.views.theme import emotion_order

_MIXED = "mixed comparison: "


@dataclass(frozen=True, kw_only=True)
class Phase3:
    """A saved analysis. `current`: true if it is of the files that are in the folder now."""

    source: Analysed
    current: bool

    @property
    def mixed(self) -> list[str]:
        """Fields in which the units differed although they were compared."""
        badges = self.source.saved.badges
        return [badge.removeprefix(_MIXED) for badge in badges if badge.startswith(_MIXED)]


def newest_phase3(
    root: ResultsRoot, hashes: Collection[str]
) -> tuple[Phase3 | None, tuple[str, ...]]:
    """The newest analysis of the files with these hashes, else the newest of any that can be read.

    Returns:
        The analysis, and the reasons for which newer ones cannot be read.
    """
    stale = None
    unread = []
    for row in list_analyses(root):
        if row.problem is not None:
            unread.append(f"{row.id}: {row.problem}")
            continue
        try:
            saved = SavedAnalysis.open(root.analysis_dir(row.id))
            source = Analysed(saved=saved, read=functools.cache(saved.table))
            # A damaged table has to show before a word is written.
            for name in saved.tables:
                source.read(name)
        except FileRefusedError as error:
            unread.append(f"{row.id}: {error.reason}")
            continue
        if all(each.sha256 in hashes for each in saved.inputs):
            return Phase3(source=source, current=True), tuple(unread)
        stale = stale or Phase3(source=source, current=False)
    return stale, tuple(unread)


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitFacts(UnitMeasures):
    """Measures of one file of activations, with size and hashes of the file.

    Attributes:
        provenance: How it was made, empty where it does not say.
        d_vocab: Size of the vocabulary, None where the model's first file does not say.
        size: Bytes of the file.
        hashes: Hash of each of its parts as they are now; of most files there is one.
        recorded: Hash that the manifest has for it, None without one.
    """

    file: str
    provenance: Mapping[str, Any]
    d_vocab: int | None
    size: int
    hashes: tuple[str, ...]
    recorded: str | None

    @property
    def sha256(self) -> str:
        """Hash of the file as it is now."""
        return _together(self.hashes)

    @property
    def n_tokens(self) -> int:
        """Tokens of all prompts, BOS included."""
        return sum(self.lengths)

    def stated(self, *path: str) -> Any:
        """A field of the provenance, by its path; None where it is not there."""
        found: Any = self.provenance
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def number(self, *path: str) -> float | None:
        """Such a field that is a number."""
        found = self.stated(*path)
        return float(found) if isinstance(found, int | float) else None


@dataclass(frozen=True, kw_only=True)
class Material:
    """Facts of a results folder.

    Attributes:
        units: By folder, emotions in the order of every page.
        audits: One for each data set that the files were made with.
        phase3: The newest saved analysis, or None.
        unread_analyses: Newer ones that cannot be read, each with the reason.
        left_out: Results about causes that are not included, how many for each reason.
        executors: Names of the executors of the runs that wrote the files, where their records are.
    """

    results: str
    units: tuple[UnitFacts, ...]
    problems: tuple[Finding, ...]
    findings: tuple[ActivationFinding, ...]
    audits: tuple[AuditReport, ...]
    phase3: Phase3 | None = None
    unread_analyses: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    heads: tuple[SavedCause, ...] = ()
    lenses: tuple[SavedCause, ...] = ()
    steered: tuple[SavedCause, ...] = ()
    ablated: tuple[SavedCause, ...] = ()
    executors: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """Models, by folder."""
        return tuple(dict.fromkeys(unit.folder for unit in self.units))

    @property
    def emotions(self) -> tuple[str, ...]:
        """Every label, in the order of every page."""
        return tuple(emotion_order(unit.emotion for unit in self.units))

    @property
    def sites(self) -> tuple[sites.Site, ...]:
        """Every site that a file has, in their usual order."""
        saved = {name for unit in self.units for name in unit.saved_sites}
        return tuple(site for site in sites.SITES if site.name in saved)

    @property
    def random(self) -> tuple[str, ...]:
        """Models whose weights are random, by folder."""
        return tuple(dict.fromkeys(unit.folder for unit in self.units if unit.random_weights))

    @property
    def n_samples(self) -> int:
        """Samples of all files."""
        return sum(unit.n_samples for unit in self.units)

    def of(self, folder: str) -> tuple[UnitFacts, ...]:
        """The files of one model."""
        return tuple(unit for unit in self.units if unit.folder == folder)


def gather(
    results: str | os.PathLike[str], *, on_step: Callable[[str], None] = lambda _: None
) -> Material:
    """The material of a results folder.

    Raises:
        RequestError: There is nothing to report on.
        EmoactError: The manifest is damaged.
    """
    root = ResultsRoot(results)
    on_step("files")
    listed = measures_of(results)
    readable = (*listed.units, *listed.pooled)
    if not readable:
        refused = f"; {len(listed.problems)} files were refused" if listed.problems else ""
        raise RequestError(
            f"there are no activations in {os.fspath(results)} to report on{refused}",
            remedy="`emoact extract --model smollm2-135m` makes some.",
        )
    order = emotion_order(unit.emotion for unit in readable)
    found = sorted(readable, key=lambda unit: (unit.folder, order.index(unit.emotion)))
    units = _facts(root, found)
    on_step("findings")
    findings = findings_of(tuple(unit for unit in units if unit.sites))
    on_step("audit")
    audits = tuple(audit_dataset(dataset) for dataset in datasets_of(units))
    on_step("analysis")
    hashes = {each for unit in units for each in (*unit.hashes, unit.sha256)}
    phase3, unread = newest_phase3(root, hashes)
    folders = {unit.folder for unit in units}
    heads = HEADS.saved(root)
    steered, ablated = (saved_causes(root, kind.name) for kind in (STEER, ABLATE))
    kinds = (HEADS.name, STEER.name, ABLATE.name)
    others = Counter(left_out(root, kinds, (*heads, *steered, *ablated)).values())

    def own(saved: Iterable[SavedCause]) -> tuple[SavedCause, ...]:
        return tuple(each for each in saved if each.found["model"] in folders)

    return Material(
        results=os.fspath(results),
        units=units,
        problems=tuple(each for each in listed.problems if each.code != "no_positions"),
        findings=findings,
        audits=audits,
        phase3=phase3,
        unread_analyses=unread,
        left_out=others,
        heads=own(heads),
        lenses=LENS.saved(root),
        steered=own(steered),
        ablated=own(ablated),
        executors=_executors(root, units),
    )


def _facts(root: ResultsRoot, found: Sequence[UnitMeasures]) -> tuple[UnitFacts, ...]:
    known, there = manifest.load(root), labels_by_emotion(root)
    vocabularies: dict[str, int | None] = {}
    facts = []
    for unit in found:
        path = root.unit_path(unit.folder, unit.emotion)
        labels = there.get((unit.folder, unit.emotion), [unit.emotion])
        files = [root.unit_path(unit.folder, label) for label in labels]
        entries = [known.get(root.unit_name(unit.folder, label)) for label in labels]
        if unit.folder not in vocabularies:
            stated = read(path).metadata.get("d_vocab")
            vocabularies[unit.folder] = stated if isinstance(stated, int) else None
        own = {field.name: getattr(unit, field.name) for field in dataclasses.fields(unit)}
        facts.append(
            UnitFacts(
                **{**own, "provenance": unit.provenance or {}},
                file=path.name,
                d_vocab=vocabularies[unit.folder],
                size=sum(file.stat().st_size for file in files),
                hashes=tuple(file_sha256(file) for file in files),
                recorded=_together([entry.sha256 for entry in entries if entry])
                if all(entries)
                else None,
            )
        )
    return tuple(facts)


def _together(hashes: Sequence[str]) -> str:
    """The hash of a file; of several parts the hash of their hashes."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _executors(root: ResultsRoot, units: Sequence[UnitFacts]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for run_id in dict.fromkeys(str(unit.provenance.get("run_id")) for unit in units):
        # A run's record may be deleted; its files stay.
        with contextlib.suppress(EmoactError):
            found[RunDirectory(root.run_dir(run_id)).config().executor] = None
    return tuple(found)


def datasets_of(units: Sequence[UnitFacts]) -> list[Dataset]:
    """The prompts of each data set that the files were made with, as the files hold them."""
    by_hash: dict[str, dict[tuple[str, str], Prompt]] = {}
    for unit in units:
        prompts = by_hash.setdefault(str(unit.stated("dataset", "sha256") or ""), {})
        for number, stated in enumerate(unit.prompts or ()):
            prompt = Prompt(
                id=str(stated.get("id") or f"{unit.emotion}-{number}"),
                text=str(stated["text"]),
                emotion=unit.emotion,
                scenario_id=_text(stated.get("scenario_id")),
                subset=_text(stated.get("subset")),
                lang=_text(stated.get("lang")),
            )
            prompts.setdefault((unit.emotion, prompt.id), prompt)
    return [
        Dataset(source="", sha256=sha256, prompts=tuple(prompts.values()))
        for sha256, prompts in by_hash.items()
        if prompts
    ]


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
