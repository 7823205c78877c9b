"""Official models: where they are found, how they are fetched, and what makes one fit to be used.

A model is downloaded with resume, compared with its digest, unpacked beside its place, tried by making a recogniser
of it, and only then moved into place by one rename: there is never half a model.
"""

import fcntl
import hashlib
import json
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path, PurePosixPath

from asr import download, recognizer
from asr.recognizer import Recognizer
from asr.shelf import looks_like_a_model

RECORD = "INSTALLED.json"  # beside the model; vosk passes over files that it does not know
LIGHT_LEAVES_OUT = frozenset(
    {"rescore", "rnnlm"}
)  # second passes of the big model: 1 GB of memory without them

MOST_UNPACKED_BYTES = 8 << 30  # the big model is 2 GB
SPARE_BYTES = 200 << 20  # left free on the disk

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


class Hindrance(StrEnum):
    """Why a model was not installed."""

    BAD_NAME = "that is no name of a model"
    NO_FILE = "the zip file is not there"
    UNREACHABLE = "the download did not come through"
    WRONG_DIGEST = "the file is not the one expected (sha256 differs)"
    BAD_ZIP = "the zip file is damaged or no model is in it"
    UNSAFE_ZIP = "the zip file would write outside its folder, or far too much"
    NO_ROOM = "there is not enough room on the disk"


class InstallFailed(Exception):  # noqa: N818 - named for what went wrong
    """A model was not installed; what stood in its place before still stands there."""

    def __init__(self, hindrance: Hindrance, detail: str = "") -> None:
        super().__init__(f"{hindrance}{f': {detail}' if detail else ''}")
        self.hindrance, self.detail = hindrance, detail


def check(folder: Path) -> Recognizer:
    """Make a recogniser of a folder's model, and not only a model; raise ModelUnusable with what is wrong."""
    return recognizer.load(folder)


def install(
    name: str,
    into: Path,
    *,
    from_zip: Path | None = None,
    mirror: str | None = None,
    sha256: str | None = None,
    light: bool = False,
    show_progress: bool = False,
) -> Path:
    """Install a model under its name and return its folder; raise InstallFailed or ModelUnusable.

    It comes from `from_zip`, else from `mirror` (the address of a folder), else from vosk's own site. Without `sha256`
    the digest that a mirror keeps beside the file (NAME.zip.sha256) is asked for; in every case the digest found is
    written into the record beside the model, so that the next machine can be told what to expect.
    """
    if not _NAME.fullmatch(name):
        raise InstallFailed(Hindrance.BAD_NAME, name)
    into.mkdir(parents=True, exist_ok=True)
    with _alone(into):
        if from_zip is not None:
            if not from_zip.is_file():
                raise InstallFailed(Hindrance.NO_FILE, str(from_zip))
            return _put_in_place(from_zip, name, into, sha256, light=light)
        address = f"{(mirror or _home_of_vosk()).rstrip('/')}/{name}.zip"
        part = into / f".{name}.zip.part"
        sha256 = sha256 or download.digest_beside(address)
        try:
            download.fetch(address, part, show_progress=show_progress)
        except download.Unreachable as error:
            raise InstallFailed(Hindrance.UNREACHABLE, str(error)) from error
        try:
            return _put_in_place(part, name, into, sha256, light=light)
        finally:
            # A whole file that was refused is as useless as one that was installed.
            part.unlink(missing_ok=True)
            download.mark_of(part).unlink(missing_ok=True)


def _put_in_place(file: Path, name: str, into: Path, sha256: str | None, *, light: bool) -> Path:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if sha256 and digest != sha256.strip().lower():
        raise InstallFailed(Hindrance.WRONG_DIGEST, digest)
    for left in into.glob(".unpacking-*"):
        shutil.rmtree(left, ignore_errors=True)
    room = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=into))
    try:
        _unpack(file, room, light=light)
        root = next(
            (path for path in (room, *sorted(room.iterdir())) if looks_like_a_model(path)), None
        )
        if root is None:
            raise InstallFailed(Hindrance.BAD_ZIP, "no model in it")
        recognizer.load(root)
        (root / RECORD).write_text(
            json.dumps({"name": name, "sha256": digest, "light": light}) + "\n"
        )
        _swap(root, into / name, room)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return into / name


def _swap(new: Path, place: Path, room: Path) -> None:
    """Rename the new model into place; the old one leaves with the room that is cleared away."""
    new.chmod(0o755)
    old = room.with_name(room.name + "-old")
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _unpack(file: Path, room: Path, *, light: bool) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [
                member
                for member in archive.infolist()
                if not (light and _is_second_pass(member.filename))
            ]
            size = sum(member.file_size for member in members)
            if size > MOST_UNPACKED_BYTES or any(_escapes(member) for member in members):
                raise InstallFailed(Hindrance.UNSAFE_ZIP)
            if size + SPARE_BYTES > shutil.disk_usage(room).free:
                raise InstallFailed(Hindrance.NO_ROOM, f"{size >> 20} MB")
            for member in members:
                archive.extract(member, room)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        UnicodeDecodeError,
    ) as error:
        raise InstallFailed(Hindrance.BAD_ZIP, str(error)) from error


def _escapes(member: zipfile.ZipInfo) -> bool:
    """Say whether a member is a link or names a place outside the folder."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    drive = ":" in path.parts[0] if path.parts else False
    return (
        path.is_absolute()
        or ".." in path.parts
        or drive
        or stat.S_ISLNK(member.external_attr >> 16)
    )


def _is_second_pass(filename: str) -> bool:
    return bool(LIGHT_LEAVES_OUT & set(PurePosixPath(filename).parts[:2]))


def _home_of_vosk() -> str:
    import vosk  # here: it loads 30 MB of libraries, and only its address is wanted

    return str(vosk.MODEL_PRE_URL)


@contextmanager
def _alone(into: Path) -> Iterator[None]:
    """Let one installation work in a folder at a time; the system frees the lock of one that was killed."""
    with (into / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
