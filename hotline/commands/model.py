"""`hotline model`: the speech model, fetched or brought along, listed and tried."""

import time
from collections.abc import Mapping
from pathlib import Path

import click

from asr.installer import RECORD, Hindrance, InstallFailed, install
from asr.recognizer import load
from asr.shelf import ModelUnusable, is_demo, standing
from hotline import ear
from hotline.config import Settings, environment_name

# Names and sizes as Vosk's own page gives them.
OFFICIAL: Mapping[str, str] = {
    "vosk-model-small-cn-0.22": "下载 42 MB，一般的机器都带得动",
    "vosk-model-cn-0.22": "下载 1.3 GB，听得更准，要 4 GB 以上内存；加 --light 省内存",
}
SMALL = next(iter(OFFICIAL))

SORRY: Mapping[Hindrance, str] = {
    Hindrance.BAD_NAME: "「{detail}」不是模型的名字，名字里只有字母、数字、点、横杠。可以用 hotline model list 看看有哪些。",
    Hindrance.NO_FILE: "没有找到这个文件：{detail}",
    Hindrance.UNREACHABLE: "没下载下来（{detail}）。下到一半的还留着，再运行一次会接着下；没有网的机器，请用 --from 带文件过来。",
    Hindrance.WRONG_DIGEST: "文件和说好的不一样，没有装。它的 sha256 是 {detail}。",
    Hindrance.BAD_ZIP: "压缩包坏了，或者里面没有模型，没有装。请重新下载。",
    Hindrance.UNSAFE_ZIP: "这个压缩包不对劲：会写到别的文件夹里去，或者大得出奇。没有装。",
    Hindrance.NO_ROOM: "盘上放不下，还要 {detail}。请腾出地方，或者用 --into 换一个盘。",
}  # fmt: skip


@click.group()
def model() -> None:
    """The speech model: install, list, check."""


@model.command("install")
@click.argument("name", default="")
@click.option(
    "--from", "from_zip", type=click.Path(path_type=Path), help="A zip file brought along."
)
@click.option("--light", is_flag=True, help="Leave the second pass out: the big model in 1 GB.")
@click.option("--sha256", default="", help="What the file's digest must be.")
@click.option(
    "--into", type=click.Path(path_type=Path), help="Default: models/ in the data folder."
)
def model_install(
    name: str, from_zip: Path | None, light: bool, sha256: str, into: Path | None
) -> None:
    """Install a model of Vosk's; without a name the small Chinese one."""
    settings = Settings.read()
    into = into or ear.kept_models(settings)
    name = name or (from_zip.name.removesuffix(".zip") if from_zip else SMALL)
    try:
        folder = install(
            name, into, from_zip=from_zip, mirror=settings.model_mirror or None,
            sha256=sha256 or None, light=light, show_progress=True,
        )  # fmt: skip
    except InstallFailed as error:
        raise click.ClickException(SORRY[error.hindrance].format(detail=error.detail)) from error
    except ModelUnusable as error:
        raise click.ClickException(
            f"解开试了一下，用不了，没有装。{ear.complaint(error)}"
        ) from error
    except OSError as error:
        raise click.ClickException(f"写不进 {into}：{error.strerror or error}。没有装。") from error
    click.echo(f"装好了，也试过了：{folder}")
    if (chosen := ear.choose(settings)) == folder:
        click.echo("重新启动热线就用它。文件的 sha256 记在旁边的 " + RECORD + " 里。")
    else:
        click.echo(
            f"现在用的是 {chosen}；要用新装的，请设 {environment_name('model_path')}={folder}"
        )


@model.command("list")
def model_list() -> None:
    """What is installed, what is used, what can be had."""
    settings = Settings.read()
    chosen = ear.choose(settings)
    found = standing(ear.folders(settings))
    if chosen and chosen not in found:
        found.insert(0, chosen)
    for folder in found:
        marks = ["在用"] if folder == chosen else []
        marks += ["只供演示"] if is_demo(folder) else []
        click.echo(f"{folder}  {_megabytes(folder)} MB  {'，'.join(marks)}".rstrip())
    if not found:
        click.echo("还没有装语音模型。")
    have = {folder.name for folder in found}
    for name, about in OFFICIAL.items():
        if name not in have:
            click.echo(f"可以装：hotline model install {name}（{about}）")


@model.command("check")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
def model_check(folder: Path | None) -> None:
    """Make a recogniser of the model that is used, or of the one in FOLDER; exit code 1 if it cannot be."""
    settings = Settings.read()
    if folder is None and (folder := ear.choose(settings)) is None:
        raise click.ClickException("还没有装语音模型。" + ear.ADVICE + "。")
    began = time.monotonic()
    try:
        recognizer = load(folder)
    except ModelUnusable as error:
        raise click.ClickException(f"不能用。{ear.complaint(error)}") from error
    click.echo(
        f"能用：{folder}，{time.monotonic() - began:.1f} 秒装进来，听 {recognizer.rate_hz} 赫兹的声音。"
    )
    if recognizer.demo:
        click.echo("这个只供演示：只听过一个合成的声音，听不懂真人。" + ear.ADVICE + "。")


def _megabytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) >> 20
