"""Official models: fetched with resume, compared, unpacked safely, tried, and moved into place whole."""

import hashlib
import io
import json
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_mirror import DEMO, NAME, Mirror, serving, zipped

from asr import download, installer, shelf
from asr.installer import Hindrance, InstallFailed
from asr.shelf import Fault, ModelUnusable


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    with serving(Mirror(zipped())) as it:
        yield it


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_a_model_is_fetched_tried_and_put_in_place(mirror: Mirror, tmp_path: Path) -> None:
    folder = installer.install(NAME, tmp_path, mirror=mirror.address)
    assert folder == tmp_path / NAME
    assert installer.check(folder).rate_hz == 8000
    record = json.loads((folder / installer.RECORD).read_text())
    assert record == {
        "name": NAME,
        "sha256": hashlib.sha256(mirror.content).hexdigest(),
        "light": False,
    }
    assert hidden(tmp_path) == [".installing"]


def test_a_broken_download_goes_on_where_it_stopped(mirror: Mirror, tmp_path: Path) -> None:
    mirror.breaks_after = [50_000, 60_000]
    installer.install(NAME, tmp_path, mirror=mirror.address)
    assert mirror.asked == [None, "bytes=50000-", "bytes=110000-"]


def test_the_next_run_goes_on_where_the_last_one_was_killed(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.zip.part").write_bytes(mirror.content[:30_000])
    (tmp_path / f".{NAME}.zip.part.mark").write_text(mirror.tag)
    installer.install(NAME, tmp_path, mirror=mirror.address)
    assert mirror.asked == ["bytes=30000-"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.zip.part").write_bytes(b"of another file" * 2000)
    (tmp_path / f".{NAME}.zip.part.mark").write_text('"other"')
    installer.install(NAME, tmp_path, mirror=mirror.address)
    assert installer.check(tmp_path / NAME)


def test_a_server_without_ranges_sends_it_all_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.understands_ranges = False
    mirror.breaks_after = [50_000]
    installer.install(NAME, tmp_path, mirror=mirror.address)
    assert installer.check(tmp_path / NAME)


def test_a_line_that_always_breaks_is_given_up_and_the_beginning_kept(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.breaks_after = [1000] * 50
    with pytest.raises(InstallFailed) as failed:
        installer.install(NAME, tmp_path, mirror=mirror.address)
    assert failed.value.hindrance is Hindrance.UNREACHABLE
    assert (tmp_path / f".{NAME}.zip.part").stat().st_size == 1000 * download.TRIES
    assert not (tmp_path / NAME).exists()


def test_a_model_that_the_mirror_has_not_is_not_asked_for_twice(
    mirror: Mirror, tmp_path: Path
) -> None:
    with pytest.raises(InstallFailed, match="404"):
        installer.install("vosk-model-cn-0.22", tmp_path, mirror=mirror.address)


@pytest.mark.parametrize("told_by", ["caller", "mirror"])
def test_a_file_with_another_digest_is_refused(
    mirror: Mirror, tmp_path: Path, told_by: str
) -> None:
    wrong = "0" * 64
    mirror.digest = f"{wrong}  {NAME}.zip\n" if told_by == "mirror" else None
    with pytest.raises(InstallFailed) as failed:
        installer.install(
            NAME, tmp_path, mirror=mirror.address, sha256=wrong if told_by == "caller" else None
        )
    assert failed.value.hindrance is Hindrance.WRONG_DIGEST
    assert hidden(tmp_path) == [".installing"]


def test_a_file_with_the_digest_beside_it_is_taken(mirror: Mirror, tmp_path: Path) -> None:
    mirror.digest = hashlib.sha256(mirror.content).hexdigest()
    assert installer.install(NAME, tmp_path, mirror=mirror.address).is_dir()


def from_zip(tmp_path: Path, content: bytes, *, light: bool = False) -> Path:
    (tmp_path / "brought.zip").write_bytes(content)
    return installer.install(
        NAME, tmp_path / "models", from_zip=tmp_path / "brought.zip", light=light
    )


def test_a_machine_without_internet_takes_a_zip_file(tmp_path: Path) -> None:
    assert from_zip(tmp_path, zipped()).is_dir()
    assert (tmp_path / "brought.zip").exists()


def test_a_zip_without_a_folder_of_its_own_is_taken_too(tmp_path: Path) -> None:
    assert installer.check(from_zip(tmp_path, zipped(top=".")))


def test_light_leaves_the_second_pass_out(tmp_path: Path) -> None:
    folder = from_zip(tmp_path, zipped({f"{NAME}/rescore/G.carpa": b"large"}), light=True)
    assert not (folder / "rescore").exists()


def link(name: str, target: str) -> bytes:
    file = io.BytesIO(zipped())
    with zipfile.ZipFile(file, "a") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, target)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "hindrance"),
    [
        (zipped({"../outside": b"x"}), Hindrance.UNSAFE_ZIP),
        (zipped({f"{NAME}/../../outside": b"x"}), Hindrance.UNSAFE_ZIP),
        (zipped({"/outside": b"x"}), Hindrance.UNSAFE_ZIP),
        (zipped({"..\\outside": b"x"}), Hindrance.UNSAFE_ZIP),
        (link(f"{NAME}/link", "/etc"), Hindrance.UNSAFE_ZIP),
        (zipped()[:-4000], Hindrance.BAD_ZIP),
        (b"<html>not a zip</html>", Hindrance.BAD_ZIP),
        (zipped(leave_out="am/final.mdl"), Hindrance.BAD_ZIP),
    ],
    ids=["parent", "deep parent", "absolute", "backslash", "link", "cut", "error page", "no model"],
)
def test_a_bad_zip_leaves_nothing_behind(
    tmp_path: Path, content: bytes, hindrance: Hindrance
) -> None:
    with pytest.raises(InstallFailed) as failed:
        from_zip(tmp_path, content)
    assert failed.value.hindrance is hindrance
    assert hidden(tmp_path / "models") == [".installing"]
    assert not list(tmp_path.rglob("outside"))


def test_a_zip_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installer, "MOST_UNPACKED_BYTES", 100_000)
    with pytest.raises(InstallFailed, match="far too much"):
        from_zip(tmp_path, zipped())


def test_a_model_that_makes_no_recogniser_never_takes_the_place_of_one_that_does(
    tmp_path: Path,
) -> None:
    good = from_zip(tmp_path, zipped())
    with pytest.raises(ModelUnusable) as refused:
        from_zip(tmp_path, zipped({f"{NAME}/graph/HCLG.fst": b"half a graph"}))
    assert refused.value.fault in (Fault.REFUSED, Fault.DEADLY)
    assert installer.check(good)


def test_a_model_is_replaced_by_a_later_one(tmp_path: Path) -> None:
    from_zip(tmp_path, zipped())
    folder = from_zip(tmp_path, zipped({f"{NAME}/README": b"later"}))
    assert (folder / "README").read_bytes() == b"later"
    assert [path.name for path in shelf.standing([tmp_path / "models"])] == [NAME]


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "a\nb"])
def test_a_name_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InstallFailed) as failed:
        installer.install(name, tmp_path, from_zip=tmp_path / "x.zip")
    assert failed.value.hindrance is Hindrance.BAD_NAME


def put(folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(DEMO, folder / name)
    return folder


def test_the_configured_model_is_the_one(tmp_path: Path) -> None:
    assert shelf.find(tmp_path / "mine", [put(tmp_path / "cache", NAME)]) == tmp_path / "mine"


def test_the_configured_folder_may_hold_some_as_vosks_own_variable_does(tmp_path: Path) -> None:
    put(tmp_path, "vosk-model-small-en-us-0.15", NAME)
    assert shelf.find(tmp_path, []) == tmp_path / NAME


def test_else_the_best_chinese_one_of_the_folders_that_vosk_uses(tmp_path: Path) -> None:
    own, home = tmp_path / "own", tmp_path / "home"
    folders = shelf.places(home, str(own))
    assert folders[:2] == [own, home / ".cache" / "vosk"]
    assert shelf.find(None, folders[:2]) is None
    put(own, "vosk-model-small-en-us-0.15", NAME)
    assert shelf.find(None, folders) == own / NAME
    put(home / ".cache" / "vosk", "vosk-model-cn-0.22")
    assert shelf.find(None, folders) == home / ".cache" / "vosk" / "vosk-model-cn-0.22"


def test_a_folder_may_be_the_model_itself(tmp_path: Path) -> None:
    put(tmp_path, NAME)
    assert (
        shelf.find(None, shelf.places(tmp_path / "home", str(tmp_path / NAME))) == tmp_path / NAME
    )
