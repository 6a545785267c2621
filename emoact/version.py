"""The version of emoact, for checkouts that were never installed as a package."""

from __future__ import annotations

from contextlib import suppress

__version__ = "0.1.0"


def versions(*libraries: str) -> dict[str, str]:
    """Versions of emoact, of Python and of those of the libraries that are installed."""
    # Imported here, because every import of emoact reads its version.
    import platform
    from importlib import metadata

    found = {"emoact": __version__, "python": platform.python_version()}
    for name in libraries:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
