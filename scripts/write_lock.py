"""Write requirements.lock, the whole tree with the hash of every file, and its bill of materials.

Usage: python scripts/write_lock.py [--requirements FILE] [--lock FILE] [--sbom FILE]

pip resolves the tree without installing it. The files are those for this machine and Python, such
as the CPU build of torch where pip finds that one. `pip install --require-hashes -r
requirements.lock` then refuses any other file. The bill of materials is CycloneDX 1.5 in JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements.txt")
    parser.add_argument("--lock", type=Path, default=ROOT / "requirements.lock")
    parser.add_argument("--sbom", type=Path, default=ROOT / "sbom.json")
    arguments = parser.parse_args(argv)
    packages = resolved(arguments.requirements)
    arguments.lock.write_text(lock_of(packages), encoding="utf-8")
    arguments.sbom.write_text(json.dumps(sbom_of(packages), indent=1) + "\n", encoding="utf-8")
    print(f"{len(packages)} packages in {arguments.lock} and {arguments.sbom}")
    return 0


def resolved(requirements: Path) -> list[dict[str, Any]]:
    """The tree of a file of requirements as pip's installation report names it, by name."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--quiet", "--report", str(report), "-r", str(requirements)]
        subprocess.run(command, check=True)
        found: list[dict[str, Any]] = json.loads(report.read_bytes())["install"]
    return sorted(found, key=lambda each: str(each["metadata"]["name"]).lower())


def lock_of(packages: Sequence[dict[str, Any]]) -> str:
    """Requirements with hashes.

    Raises:
        ValueError: pip knows no hash of a package.
    """
    where = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    lines = [f"# Written by scripts/write_lock.py for {where}."]
    for package in packages:
        name, version = package["metadata"]["name"], package["metadata"]["version"]
        lines.append(f"{name}=={version} --hash=sha256:{_sha256(package)}")
    return "\n".join(lines) + "\n"


def sbom_of(packages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Bill of materials of the same packages."""
    components = []
    for package in packages:
        about = package["metadata"]
        component = {
            "type": "library",
            "name": about["name"],
            "version": about["version"],
            "purl": f"pkg:pypi/{about['name'].lower()}@{about['version']}",
            "hashes": [{"alg": "SHA-256", "content": _sha256(package)}],
        }
        stated = about.get("license_expression") or about.get("license")
        if stated:
            # Some packages put the whole text of their licence into this field.
            component["licenses"] = [{"license": {"name": stated.splitlines()[0][:100]}}]
        components.append(component)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "emoact"}},
        "components": components,
    }


def _sha256(package: dict[str, Any]) -> str:
    archive = package["download_info"].get("archive_info", {})
    # pip before 23.1 gives one text and no table.
    hashes = archive.get("hashes") or dict([str(archive.get("hash", "=")).split("=", 1)])
    if "sha256" not in hashes:
        raise ValueError(f"{package['metadata']['name']} has no hash: {package['download_info']}")
    return str(hashes["sha256"])


if __name__ == "__main__":
    raise SystemExit(main())
