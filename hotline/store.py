"""Where recordings are kept: a folder by default, any fsspec address by setting."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import fsspec


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored: its name, its size and the SHA-256 of its bytes."""

    key: str
    size_bytes: int
    sha256: str


class Store:
    """Keeps sound as it came, byte by byte, under its own hash; nothing is ever altered.

    What belongs to somebody has its owner in its name too: stored once more after a kill it has the
    same name, and deleting it takes nothing from whoever said the same.
    """

    def __init__(self, url: str) -> None:
        self._files, self._root = fsspec.core.url_to_fs(url)

    def put(self, blocks: Iterable[bytes], extension: str, *, owner: str = "") -> Stored:
        """Store a stream. Written aside first, so that a half-written file never has a name."""
        self._files.makedirs(self._root, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with TemporaryDirectory() as folder:
            aside = Path(folder) / "recording"
            with aside.open("wb") as file:
                for block in blocks:
                    digest.update(block)
                    size += len(block)
                    file.write(block)
            name = f"{digest.hexdigest()}-{owner}" if owner else digest.hexdigest()
            key = f"{name[:2]}/{name}{extension}"
            if not self._files.exists(self._path(key)):
                self._files.makedirs(self._path(key).rpartition("/")[0], exist_ok=True)
                arriving = self._path(f"{key}.part")
                self._files.put_file(str(aside), arriving)
                self._files.mv(arriving, self._path(key))
        return Stored(key, size, digest.hexdigest())

    def open(self, key: str) -> IO[bytes]:
        """The stored bytes; raises FileNotFoundError."""
        file: IO[bytes] = self._files.open(self._path(key), "rb")
        return file

    def size(self, key: str) -> int:
        return int(self._files.size(self._path(key)))

    def keys(self) -> Iterator[str]:
        """The names of all that is stored."""
        if self._files.exists(self._root):
            for path in self._files.find(self._root):
                yield path[len(self._root.rstrip("/")) + 1 :]

    def delete(self, key: str) -> None:
        if self._files.exists(self._path(key)):
            self._files.rm_file(self._path(key))

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        """The stored bytes as a local file, for what reads files only."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / Path(key).name
            self._files.get_file(self._path(key), str(path))
            yield path

    def _path(self, key: str) -> Any:
        return f"{self._root.rstrip('/')}/{key}"
