"""Results on object storage: a local copy to work in, and objects that are put there whole.

A URL such as `s3://bucket/results` stands for a results folder. A command works in a local copy in
the cache folder, which is a results folder like any other. Of that copy the units, the
analyses and the results about causes are on the object storage too:

- `activations/<folder>/<file>`: the file of a unit, put under its final name once it is whole. It
  is written once: the put fails where the object is there already (`If-None-Match`).
- `records/<folder>/<file>.json`: its entry of the manifest with its SHA-256, put after the file. A
  unit without a record is not saved.
- `analysis/<id>/`: a saved analysis, `analysis.json` last.
- `causes/<id>/`: a result about causes, its description last.

No lock is needed: two writers of one unit compute the same arrays, the first file that is there
stays, and both record that one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from emoact.decode import decode, parsed, read_json
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.models.cache import cache_root
from emoact.store import manifest
from emoact.store.atomic import replace_atomically, write_error, write_json
from emoact.store.layout import ResultsRoot, is_id
from emoact.store.manifest import ManifestEntry
from emoact.store.objects import LARGEST_RECORD, VANISHED, Objects

_MARK = "remote.json"
_BUCKET = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")
_COPIES = "results"
_STAMP = "emoact.json"
_LARGEST_FILE = 10_000_000_000
_EXTRAS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}


def local_copy(url: str) -> str:
    """Folder of the local copy of a results folder; it is made where it is missing.

    Raises:
        RequestError: The protocol is unknown, its library is not installed, or the URL names no
            folder in a bucket.
        EmoactError: The folder cannot be written.
    """
    protocol, _, place = url.partition("://")
    place = place.strip("/")
    bucket, *folders = place.split("/")
    # No key and secret either, which would be written down.
    plain = _BUCKET.fullmatch(bucket) and place.isprintable() and not {"", ".", ".."} & {*folders}
    if protocol not in _EXTRAS or not plain:
        raise RequestError(
            f"{url!r:.200} is no results folder on object storage; s3://BUCKET/FOLDER and "
            "gs://BUCKET/FOLDER are"
        )
    library = _EXTRAS[protocol]
    if importlib.util.find_spec(library) is None:
        remedy = "emoact[s3]" if library == "s3fs" else library
        raise RequestError(
            f"{library} is not installed here, which {protocol}:// needs",
            remedy=f"pip install '{remedy}' installs it.",
        )
    clean = f"{protocol}://{place}"
    name = f"{place.replace('/', '-')[:60]}-{hashlib.sha256(clean.encode()).hexdigest()[:12]}"
    folder = cache_root() / _COPIES / name
    if not (folder / _MARK).exists():
        write_json(folder / _MARK, {"url": clean})
    return str(folder)


def remote_of(root: ResultsRoot) -> Remote | None:
    """The object storage of which a results folder is the local copy; None for other folders.

    Only a folder of the cache is one. A received folder cannot name a place to read from or to send
    results to.
    """
    mark, copies = root.path / _MARK, cache_root() / _COPIES
    if root.path.resolve().parent != copies.resolve() or not mark.exists():
        return None
    try:
        url = read_json(mark, limit=LARGEST_RECORD)["url"]
    except (RequestError, LookupError, TypeError) as error:
        raise EmoactError(
            f"{mark} cannot be read: {error}", remedy="Remove the folder; it is a copy."
        ) from error
    return Remote(root, str(url))


class Remote:
    """A results folder on object storage, beside its local copy."""

    def __init__(self, root: ResultsRoot, url: str) -> None:
        self.root, self.url = root, url
        self.objects = Objects(url)

    def check(self) -> None:
        """Raise `RequestError` unless objects can be put there and read; called before any work."""
        text = json.dumps({"emoact_results": 1}).encode()
        try:
            with contextlib.suppress(FileExistsError):
                self.objects.put(_STAMP, text)
            found = self.objects.text(_STAMP)
        except EmoactError as error:
            raise RequestError(error.message, remedy=error.remedy) from error
        if found is None or found != text:
            raise RequestError(f"{self.url}/{_STAMP} is of another program, or of a newer emoact")

    def pull(self) -> list[FileRefusedError]:
        """Bring every unit, analysis and result about causes that is not in the local copy yet.

        Returns:
            What was not brought: an object vanished, or is not the one that was put there.

        Raises:
            EmoactError: The storage cannot be read, or the local copy not written.
        """
        refused: list[FileRefusedError] = []
        for name in sorted(set(self.objects.names("records"))):
            with _keeping(refused):
                entry = self._entry(name)
                if entry is not None:
                    self._bring(entry)
        for kind, folder_of, last in (
            ("analysis", self.root.analysis_dir, "/analysis.json"),
            ("causes", self.root.causes_dir, ".json"),
        ):
            listed: dict[str, list[str]] = {}
            for name in self.objects.names(kind):
                key, _, rest = name.removeprefix(f"{kind}/").partition("/")
                if rest and is_id(key):
                    listed.setdefault(key, []).append(name)
            for key, own in sorted(listed.items()):
                # What describes a folder was put there last: without it the folder is not whole.
                if any(name.endswith(last) for name in own) and not folder_of(key).exists():
                    with _keeping(refused):
                        self._bring_folder(f"{kind}/{key}/", own, folder_of(key))
        return refused

    def fetch(self, folder: str, emotion: str, *, store: str) -> None:
        """Bring one unit that another machine saved; one that is no such unit counts as missing.

        Raises:
            EmoactError: The storage cannot be read.
        """
        with contextlib.suppress(FileRefusedError):
            entry = self._entry(self._record_name(folder, emotion, store))
            if entry is not None:
                self._bring(entry)

    def push(self, entry: ManifestEntry) -> None:
        """Put a unit there that is in the local copy; one that is there already stays.

        Raises:
            EmoactError: The storage cannot be written, or holds another file under the name.
        """
        name = self.root.unit_name(entry.folder, entry.emotion, store=entry.store)
        record = self._record_name(entry.folder, entry.emotion, entry.store)
        path = self.root.path / name
        try:
            known, worthless = self._entry(record), False
        except FileRefusedError:
            # Nothing that reads could take it for a unit.
            known, worthless = None, True
        if known is not None and self.objects.size(name) == known.size:
            if known.sha256 == entry.sha256:
                return
            if known.key == entry.key:
                self._bring(known)
                return
        if known is not None or worthless:
            self.objects.put(name, path, replace=True)
            self.objects.put(record, _json(entry), replace=True)
            return
        try:
            self.objects.put(name, path)
        except FileExistsError:
            entry = self._adopted(entry, name)
        try:
            self.objects.put(record, _json(entry))
        except FileExistsError:
            self.push(entry)

    def push_folder(self, folder: Path, *, last: str) -> None:
        """Put a folder of the local copy there, the file that makes it whole last."""
        name = folder.relative_to(self.root.path).as_posix()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in sorted(files, key=lambda path: path.name == last):
            with contextlib.suppress(FileExistsError):
                self.objects.put(f"{name}/{path.relative_to(folder).as_posix()}", path)

    def differing(self) -> Iterator[tuple[str, str]]:
        """Names of units whose object is not what its record says, and what is wrong.

        Every object is read.
        """
        for name in sorted(self.objects.names("records")):
            file = name
            try:
                entry = self._entry(name)
                if entry is None:
                    continue
                file = self.root.unit_name(entry.folder, entry.emotion, store=entry.store)
                found = self.objects.read_to(file, None, most=entry.size)
            except FileRefusedError as error:
                yield file, error.reason
                continue
            if found != entry.sha256:
                yield file, "its content is not what was put there"

    def _adopted(self, entry: ManifestEntry, name: str) -> ManifestEntry:
        """The entry of the file that a writer left there before it could record it."""
        from emoact.store.reading import read

        path = self.root.path / name
        spare = path.with_name(f".emoact-found-{path.name}")
        try:
            with replace_atomically(spare) as file:
                sha256 = self.objects.read_to(
                    name, file, most=2 * path.stat().st_size + LARGEST_RECORD
                )
            if (read(spare).provenance or {}).get("unit_key") != entry.key:
                raise EmoactError(
                    f"{self.url}/{name} is in the way: it is another unit, and no run recorded it",
                    remedy="Remove the object, or choose another folder with --results.",
                )
            size = spare.stat().st_size
            spare.replace(path)
        finally:
            spare.unlink(missing_ok=True)
        found = replace(entry, sha256=sha256, size=size)
        manifest.record(self.root, found)
        return found

    def _bring(self, entry: ManifestEntry) -> None:
        known = manifest.entry(self.root, entry.folder, entry.emotion)
        name = self.root.unit_name(entry.folder, entry.emotion, store=entry.store)
        path = self.root.path / name
        there = path.is_file() and path.stat().st_size == entry.size
        if known is not None and known.sha256 == entry.sha256 and there:
            return
        with replace_atomically(path, need=entry.size) as file:
            if self.objects.read_to(name, file, most=entry.size) != entry.sha256:
                raise FileRefusedError(
                    "its content is not what was put there",
                    path=f"{self.url}/{name}",
                    remedy=VANISHED,
                )
        manifest.record(self.root, entry)

    def _bring_folder(self, prefix: str, names: list[str], target: Path) -> None:
        # Its own name, as another command may bring the same folder.
        hidden = target.with_name(f".new-{target.name}-{secrets.token_hex(4)}")
        try:
            for name in names:
                parts = name.removeprefix(prefix).split("/")
                if len(parts) > 2 or not all(map(_is_plain, parts)):
                    raise FileRefusedError("its name leads elsewhere", path=f"{self.url}/{name}")
                with replace_atomically(hidden.joinpath(*parts)) as file:
                    self.objects.read_to(name, file, most=_LARGEST_FILE)
            hidden.rename(target)
        except OSError as error:
            if not target.is_dir():
                raise write_error(error, path=target) from error
        finally:
            for left in target.parent.glob(f".new-{target.name}*"):
                if left == hidden or target.is_dir():
                    shutil.rmtree(left, ignore_errors=True)

    def _record_name(self, folder: str, emotion: str, store: str) -> str:
        name = self.root.unit_name(folder, emotion, store=store)
        return f"records/{name.removeprefix('activations/')}.json"

    def _entry(self, name: str) -> ManifestEntry | None:
        text = self.objects.text(name)
        if text is None:
            return None
        try:
            entry: ManifestEntry = decode(ManifestEntry, parsed(text), ignore_unknown=True)
            own = self._record_name(entry.folder, entry.emotion, entry.store)
        except (ValueError, RequestError) as error:
            raise FileRefusedError(
                f"it is no record: {error!s:.200}", path=f"{self.url}/{name}", remedy=VANISHED
            ) from None
        if own != name:
            raise FileRefusedError("it records another unit", path=f"{self.url}/{name}")
        return entry


@contextlib.contextmanager
def _keeping(refused: list[FileRefusedError]) -> Iterator[None]:
    """Go on behind an object that is refused: it costs itself and no other."""
    try:
        yield
    except FileRefusedError as error:
        refused.append(error)


def _json(entry: ManifestEntry) -> bytes:
    return json.dumps(entry.to_json(), allow_nan=False).encode()


def _is_plain(part: str) -> bool:
    return bool(part) and not part.startswith(".") and part.isprintable() and "\\" not in part
