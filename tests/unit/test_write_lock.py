"""Requirements with hashes from pip's report, checked by pip itself."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.write_lock import lock_of, resolved, sbom_of


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package of one empty module."""
    path = tmp_path / "tiny_lock-1.2-py3-none-any.whl"
    about = "Metadata-Version: 2.4\nName: tiny-lock\nVersion: 1.2\nLicense: MIT\n"
    kind = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_lock.py", "")
        archive.writestr("tiny_lock-1.2.dist-info/METADATA", about)
        archive.writestr("tiny_lock-1.2.dist-info/WHEEL", kind)
        archive.writestr("tiny_lock-1.2.dist-info/RECORD", "")
    return path


def test_the_lock_takes_the_resolved_file_and_no_other(wheel: Path, tmp_path: Path) -> None:
    requirements, lock = tmp_path / "requirements.txt", tmp_path / "requirements.lock"
    requirements.write_text(f"--no-index\n--find-links {tmp_path}\ntiny-lock==1.2\n")
    packages = resolved(requirements)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert f"tiny-lock==1.2 --hash=sha256:{sha256}\n" in lock_of(packages)
    (component,) = sbom_of(packages)["components"]
    assert component["purl"] == "pkg:pypi/tiny-lock@1.2"
    assert component["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    assert component["licenses"] == [{"license": {"name": "MIT"}}]

    lock.write_text(lock_of(packages))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--no-index", "--find-links", str(tmp_path), "--require-hashes", "-r", str(lock)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tiny_lock_more.py", "import os")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "DO NOT MATCH" in done.stderr
