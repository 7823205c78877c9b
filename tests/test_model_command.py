"""`hotline model` as an installer types it, and what the house says of its ear until it has a good one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import settings_for
from model_mirror import DEMO, NAME, Mirror, serving, zipped

from asr import download
from asr.installer import Hindrance
from hotline import cli, doctor, ear
from hotline.commands.model import SORRY
from hotline.doctor import Health
from worker.__main__ import open_ear

WRONG_DIGEST = "0" * 64


@pytest.fixture(autouse=True)
def a_machine_without_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def official() -> Iterator[Mirror]:
    """What stands for an official model: the demonstration's, without its mark."""
    with serving(Mirror(zipped(leave_out="DEMO_MODEL"))) as it:
        yield it


def hotline(*words: str, mirror: str = "", **environment: str) -> Result:
    return CliRunner().invoke(
        cli.main,
        words,
        env={"HOTLINE_MODEL_MIRROR": mirror, "VOSK_MODEL_PATH": None, **environment},
    )


def test_a_model_is_installed_listed_checked_and_used(official: Mirror, tmp_path: Path) -> None:
    assert "还没有装语音模型" in hotline("model", "list").output
    assert "hotline model install" in hotline("model", "check").output
    official.breaks_after = [50_000]

    said = hotline("model", "install", NAME, mirror=official.address)

    assert said.exit_code == 0, said.output
    assert "装好了，也试过了" in said.output
    assert "100%" in said.stderr  # the bar
    assert official.asked[1] == "bytes=50000-"
    folder = tmp_path / "data" / "models" / NAME
    assert f"{folder}  0 MB  在用" in hotline("model", "list").output
    assert "能用" in hotline("model", "check").output
    assert ear.choose(settings_for(tmp_path / "data")) == folder


def test_without_a_name_the_small_one_is_installed(official: Mirror, tmp_path: Path) -> None:
    assert hotline("model", "install", mirror=official.address).exit_code == 0
    assert (tmp_path / "data" / "models" / "vosk-model-small-cn-0.22").is_dir()


def test_a_machine_without_internet_takes_the_file_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "vosk-model-cn-0.22.zip").write_bytes(
        zipped({"vosk-model-cn-0.22/rescore/G.carpa": b"large"}, top="vosk-model-cn-0.22")
    )
    said = hotline("model", "install", "--from", "vosk-model-cn-0.22.zip", "--light")
    assert said.exit_code == 0, said.output
    folder = tmp_path / "data" / "models" / "vosk-model-cn-0.22"
    assert folder.is_dir()
    assert not (folder / "rescore").exists()


def test_every_hindrance_has_a_plain_sentence() -> None:
    assert set(SORRY) == set(Hindrance)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("a/b",), "不是模型的名字"),
        (("--from", "nowhere.zip"), "没有找到这个文件"),
        (("vosk-model-cn-0.22",), "没下载下来"),
        ((NAME, "--sha256", WRONG_DIGEST), "和说好的不一样"),
        (("--from", "page.zip"), "压缩包坏了"),
        (("--from", "outside.zip"), "不对劲"),
        (("--from", "broken.zip"), "解开试了一下，用不了"),
        ((NAME, "--into", "file/models"), "写不进"),
    ],
)
def test_what_went_wrong_is_said_in_one_sentence(
    official: Mirror, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "page.zip").write_bytes(b"<html>not here</html>")
    (tmp_path / "outside.zip").write_bytes(zipped({"../outside": b"x"}))
    (tmp_path / "broken.zip").write_bytes(zipped({f"{NAME}/graph/HCLG.fst": b"half"}))
    (tmp_path / "file").touch()
    said = hotline("model", "install", *words, mirror=official.address)
    assert said.exit_code == 1
    assert sentence in said.stderr
    assert "Traceback" not in said.output


def found(folder: Path, model: Path | None = None) -> doctor.Finding:
    given: dict[str, Any] = {"HOTLINE_MODEL_PATH": model}
    return doctor.check_model(settings_for(folder, **given))


def test_until_an_official_model_is_there_the_house_says_so(tmp_path: Path) -> None:
    none = found(tmp_path)
    assert (none.health, "每段录音都要人来听" in none.sentence) == (Health.MIND, True)
    demo = found(tmp_path, DEMO)
    assert (demo.health, "没听过真人" in demo.sentence) == (Health.MIND, True)
    for model in (None, DEMO):
        given: dict[str, Any] = {"HOTLINE_MODEL_PATH": model}
        assert "hotline model install" in ear.warning(settings_for(tmp_path, **given))
    shutil.copytree(DEMO, tmp_path / "models" / NAME, ignore=shutil.ignore_patterns("DEMO_MODEL"))
    assert found(tmp_path).health is Health.WELL
    assert ear.warning(settings_for(tmp_path)) == ""


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: shutil.rmtree(folder), "没有这个文件夹"),
        (lambda folder: (folder / "graph" / "Gr.fst").unlink(), "里面的文件不全，缺 graph/Gr.fst"),
        (lambda folder: (folder / "am" / "final.mdl").write_bytes(b"\0Bhalf"), "文件坏了"),
        (lambda folder: (folder / "conf" / "model.conf").write_text("--dance=yes"), "文件坏了"),
    ],
    ids=["no folder", "half", "cut", "wrong"],
)
def test_a_broken_model_is_named_and_the_worker_works_without(
    tmp_path: Path, spoil: Any, sentence: str
) -> None:
    shutil.copytree(DEMO, tmp_path / "model")
    spoil(tmp_path / "model")
    finding = found(tmp_path, tmp_path / "model")
    assert finding.health is Health.ILL
    assert sentence in finding.sentence
    given: dict[str, Any] = {"HOTLINE_MODEL_PATH": tmp_path / "model"}
    settings = settings_for(tmp_path, **given)
    assert open_ear(settings) is None
    seen_from_outside = "文件坏了" not in sentence
    assert (
        sentence in ear.warning(settings)
    ) == seen_from_outside  # what `hotline serve` says at once
    assert sentence in hotline("model", "check", str(tmp_path / "model")).stderr
