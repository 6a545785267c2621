"""A saved analysis, read only: description, tables and directions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from emoact.analysis.direction_files import Directions, file_name, read_directions
from emoact.analysis.key import ANALYSIS_VERSION, InputFile, analysis_id
from emoact.analysis.table_files import check_rows, missing_columns, read_table
from emoact.child import ask
from emoact.decode import decode, read_json, read_regular, unsealed, versioned
from emoact.errors import FileRefusedError, RequestError
from emoact.files import open_regular
from emoact.models.cache import is_remembered, remember
from emoact.schema import Finding
from emoact.sites import SiteName
from emoact.stats import catalogue
from emoact.stats.directions.directions import DIRECTION_KINDS, DirectionKind
from emoact.stats.settings import AnalysisSettings
from emoact.store.layout import check_folder_name

T = TypeVar("T")

DESCRIPTION = "analysis.json"
_MAX_BYTES = 50_000_000
_MAX_FILE, _MAX_TABLE = 2_000_000_000, 200_000_000
OTHER_METHODS = "of another version of the methods: figures and verdicts may differ, analyse again"
"""Badge of an analysis that the same files and settings would not give now."""

_DAMAGE = (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
_AGAIN = "Delete the folder and analyse again; the activations are not touched."


@dataclass(frozen=True, kw_only=True)
class FileState:
    """Size and hash of a file when it was written."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ControlsUsed:
    """Control extractions of one unit.

    Attributes:
        key: Folder of the vectors below `results/controls`.
        n_tokens: Distinct tokens that were run without context.
        n_shuffles: Shuffles of the words of every prompt.
        n_one_word: Prompts of one word, which are their own shuffle.
        behind_bos: False where no BOS was prepended, so that a token without context stood alone.
    """

    folder: str
    emotion: str
    key: str
    n_tokens: int
    n_shuffles: int
    n_one_word: int
    behind_bos: bool


@dataclass(frozen=True, kw_only=True)
class Description:
    """Content of `analysis.json`, apart from the settings.

    Attributes:
        id: Name of the folder: a hash of files, settings and columns.
        created_at: ISO 8601 with offset.
        badges: Warnings that every chart and export carries.
        refusals: Figures that were not computed, with the reason.
        files: Size and hash of every file, by path below the folder.
        controls: The control extractions of each unit; empty for an analysis without them.
    """

    id: str
    created_at: str
    inputs: tuple[InputFile, ...]
    emotions: tuple[str, ...]
    sentences: Mapping[str, str]
    badges: tuple[str, ...]
    findings: tuple[Finding, ...]
    refusals: tuple[Finding, ...]
    files: Mapping[str, FileState]
    kind: Literal["analysis"] = "analysis"
    run_id: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    random_weights: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    controls: tuple[ControlsUsed, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.emotions) - {each.emotion for each in self.inputs}
        if not self.inputs or unknown:
            raise RequestError(
                f"inputs have no file of {', '.join(sorted(unknown))[:80] or 'any model'}"
            )
        if any("\0" in name for name in self.files):
            raise RequestError("files has a name that no file has")


@dataclass(frozen=True, kw_only=True)
class SavedAnalysis(Description):
    """One folder below `results/analysis`."""

    path: Path
    settings: AnalysisSettings

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SavedAnalysis:
        """The analysis in a folder; tables and directions are read when they are asked for.

        Raises:
            FileRefusedError: `analysis.json` is missing, damaged, foreign or of a newer format.
        """
        folder = Path(path)
        where = folder / DESCRIPTION
        try:
            fields = versioned(
                read_json(where, limit=_MAX_BYTES), version=ANALYSIS_VERSION, what="analysis"
            )
            # What only a newer emoact knows does not keep the figures from being shown.
            description = decode(Description, fields, ignore_unknown=True)
            settings = decode(
                AnalysisSettings, fields.get("settings"), where="settings", ignore_unknown=True
            )
        except RequestError as error:
            raise _refused(where, error.message, error.remedy) from None
        if description.id != folder.absolute().name:
            raise _refused(where, "it is the analysis of another folder")
        found = vars(description)
        if analysis_id(description.inputs, settings) != description.id:
            found["badges"] = (*description.badges, OTHER_METHODS)
        return cls(path=folder, settings=settings, **found)

    @property
    def models(self) -> tuple[str, ...]:
        """Model folders, as the column `model` of the tables names them."""
        return tuple(dict.fromkeys(each.folder for each in self.inputs))

    @property
    def sites(self) -> tuple[SiteName, ...]:
        """Sites that were analysed."""
        return self.settings.sites

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that were saved."""
        names = (name.removeprefix("tables/") for name in self.files if name.startswith("tables/"))
        return tuple(n.removesuffix(".parquet") for n in names if n.endswith(".parquet"))

    def table(self, name: str) -> Any:
        """One tidy table as a pandas data frame.

        Columns that this version of emoact knows and the file lacks are blank; see `missing`.
        Columns that only another version knows come last.

        Raises:
            RequestError: There is no table of that name; the remedy is the command that makes it.
            FileRefusedError: The file is missing, truncated or not the one that was written.
        """
        return self._read(name, self._rows)

    def missing(self, name: str) -> tuple[str, ...]:
        """Columns of a table that another version of emoact did not save.

        Raises:
            RequestError: There is no table of that name.
            FileRefusedError: The file is missing, truncated or not the one that was written.
        """
        return self._read(name, missing_columns)

    @property
    def lacks(self) -> dict[str, tuple[str, ...]]:
        """Known columns that were not saved, by table; all columns of a table that is missing."""
        found = {}
        for table in catalogue.TABLES:
            there = table.name in self.tables
            missing = self.missing(table.name) if there else tuple(table.columns)
            if missing:
                found[table.name] = missing
        return found

    @property
    def command(self) -> str:
        """The shell command that makes this analysis with the installed version of emoact."""
        # Not at the top: the request reads saved analyses.
        from emoact.analysis.request import AnalyzeRequest, analyze_command

        emotions = dict.fromkeys(each.emotion for each in self.inputs)
        return analyze_command(
            AnalyzeRequest(
                results=self.path.parent.parent,
                settings=self.settings,
                models=self.models,
                emotions=tuple(emotions),
            )
        )

    def _read(self, name: str, reader: Callable[[bytes, str], T]) -> T:
        if name not in self.tables:
            title = catalogue.table_named(name, catalogue.TABLES).title
            raise RequestError(
                f"analysis {self.id} has no table {name} ({title}); it was made by emoact "
                f"{self.versions.get('emoact', 'of an unknown version')}",
                remedy=f"Analyse again: {self.command}",
            )
        file = f"tables/{name}.parquet"
        path = self._file(file)
        self._check_size(path, self.files[file].sha256)
        try:
            return reader(read_regular(path, limit=_MAX_TABLE, whole=True), name)
        except (RequestError, *_DAMAGE) as error:
            raise _refused(path, f"it is no table of this emoact ({error})") from error

    @property
    def names(self) -> Mapping[str, Collection[str]]:
        """Values that the columns `model`, `site` and `emotion` may have in its tables."""
        labels = {"", *(each.emotion for each in self.inputs)}
        return {"model": self.models, "site": self.sites, "emotion": labels}

    def _rows(self, data: bytes, name: str) -> Any:
        frame = read_table(data, name)
        check_rows(frame, name, self.names)
        return frame

    def _check_size(self, path: Path, sha256: str) -> None:
        """Have a process with limits read a table before this one does, once for each content.

        A folder from another machine can hold a small file with billions of values.
        """
        if is_remembered("tables", sha256):
            return
        try:
            ask("emoact.analysis.table_files:check_size", os.fspath(path))
        except RequestError as error:
            raise _refused(path, f"it is no table of this emoact ({error.message})") from error
        remember("tables", sha256)

    def directions(
        self, folder: str, site: SiteName, kind: DirectionKind | None = None
    ) -> Directions:
        """The directions of a model at a site, `[layer, d_model]` by emotion.

        `kind` names another kind than the one that the analysis uses.

        Raises:
            RequestError: The analysis has no such model, site or kind.
            FileRefusedError: The file is missing, truncated or not the one that was written.
        """
        if folder not in self.models or site not in self.sites:
            raise RequestError(
                f"analysis {self.id} has no {folder!r} at {site!r}; it has "
                f"{', '.join(self.models)} at {', '.join(self.sites)}"
            )
        if kind is not None and kind not in DIRECTION_KINDS:
            raise RequestError(f"kind is {kind!r}; allowed are {', '.join(DIRECTION_KINDS)}")
        path = self.directions_path(folder, site)
        try:
            return read_directions(path, kind)
        except _DAMAGE as error:
            raise _refused(path, f"it is no file of directions ({error})") from error

    def directions_path(self, folder: str, site: SiteName) -> Path:
        """The file of a model's directions, checked against what was written.

        Raises:
            FileRefusedError: The file is missing, truncated or not the one that was written.
        """
        return self._file(file_name(check_folder_name(folder), site))

    def check(self) -> None:
        """Raise `FileRefusedError` unless every file is the one that was written."""
        where = self.path / DESCRIPTION
        if not unsealed(read_json(where, limit=_MAX_BYTES))[1]:
            raise _refused(where, "its content is not what was written")
        for name in self.files:
            self._file(name)

    def _file(self, name: str) -> Path:
        """Path of a file, whose content is checked against what was written."""
        path = self.path / name
        written = self.files.get(name)
        if written is None:
            raise _refused(path, "analysis.json does not list it")
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path)):
            raise _refused(path, "it leads out of the folder of the analysis")
        most = _MAX_TABLE if name.endswith(".parquet") else _MAX_FILE
        if not 0 <= written.size <= most:
            raise _refused(path, f"analysis.json says that it has {written.size:,} bytes")
        try:
            with open_regular(path, follow=False) as file:
                size = os.fstat(file.fileno()).st_size
                same = (
                    size == written.size
                    and hashlib.file_digest(file, "sha256").hexdigest() == written.sha256
                )
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise _refused(path, "is missing" if missing else f"({error.strerror})") from None
        if size != written.size:
            how = "truncated" if size < written.size else "longer than it was written"
            raise _refused(path, f"it is {how}: {written.size:,} bytes are expected")
        if not same:
            raise _refused(path, "its content is not what was written")
        return path


def _refused(path: Path, why: str, remedy: str | None = None) -> FileRefusedError:
    return FileRefusedError(why, path=str(path), remedy=remedy or _AGAIN)
