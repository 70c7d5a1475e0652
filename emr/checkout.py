"""This checkout → the files that a cluster gets: an archive of the code, and the script that installs it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ARCHIVE", "BOOTSTRAP", "Code", "read_code"]

ARCHIVE, BOOTSTRAP = "sentispark.tar.gz", "bootstrap.sh"
_PARTS = ("setup.py", "setup.cfg", "README.md", "LICENSE", "requirements", "sentispark", "emr/gpus.sh")


@dataclass(frozen=True)
class Code:
    """What is uploaded.

    Attributes
    ----------
    files : mapping of str to bytes
        The archive and the script, by name.
    """

    files: Mapping[str, bytes]

    @property
    def version(self) -> str:
        """A hash of the files. It names their folder, as nodes that join a cluster later must find the same ones."""
        return hashlib.sha256(b"".join(self.files[name] for name in sorted(self.files))).hexdigest()[:12]


def read_code(checkout: Path) -> Code:
    """The code of a checkout; equal files give equal bytes."""
    paths = sorted(path for part in _PARTS for path in _files(checkout / part))
    names = {path.relative_to(checkout).as_posix(): path.read_bytes() for path in paths}
    return Code({ARCHIVE: _archive(names), BOOTSTRAP: (checkout / "emr" / BOOTSTRAP).read_bytes()})


def _files(path: Path) -> Iterable[Path]:
    found = path.rglob("*") if path.is_dir() else [path]
    return (one for one in found if one.is_file() and one.suffix != ".pyc")


def _archive(contents: Mapping[str, bytes]) -> bytes:
    """A tar.gz without times and owners; scripts are executable."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file, tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
