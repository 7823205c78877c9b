"""The model the house listens with: chosen here and nowhere else, and what there is to say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr import shelf
from asr.shelf import Fault, ModelUnusable, is_demo
from hotline.config import Settings

if TYPE_CHECKING:
    from asr.recognizer import Recognizer

ADVICE = "请运行 hotline model install，装一个官方的语音模型"
NONE = f"还没有语音模型，每段录音都要人来听。{ADVICE}。"

FAULTS: Mapping[Fault, str] = {
    Fault.MISSING: "没有这个文件夹",
    Fault.CLOSED: "没有权限读",
    Fault.INCOMPLETE: "里面的文件不全，缺",
    Fault.REFUSED: "文件坏了，或者不是语音识别的模型",
    Fault.DEADLY: "一装进来程序就倒，多半是文件坏了",
    Fault.NO_VOSK: "这台机器上 vosk 这个库用不了",
}


@dataclass(frozen=True, slots=True)
class Ear:
    """How the house listens: with a model that works, with the demonstration's, or not at all.

    `sentence` says it in plain words, for the doctor, the health page and the installer.
    """

    official: bool
    broken: bool
    sentence: str
    recognizer: "Recognizer | None" = None


def kept_models(settings: Settings) -> Path:
    """Where `hotline model install` puts them."""
    return settings.data_folder.absolute() / "models"


def folders(settings: Settings) -> list[Path]:
    """Every folder in which a model is looked for: our own, then those that vosk itself uses."""
    return [kept_models(settings), *shelf.places(Path.home(), None)]


def choose(settings: Settings) -> Path | None:
    """The folder of the model to use; serve, worker, doctor and pages all ask here."""
    return shelf.find(settings.model_path, folders(settings))


def listen(settings: Settings) -> Ear:
    """Open the ear, whatever state its model is in: without one, a person listens to every recording."""
    from asr.recognizer import load  # here: it loads 30 MB, and most who ask want to know less

    folder = choose(settings)
    if folder is None:
        return Ear(False, False, NONE)
    try:
        recognizer = load(folder)
    except ModelUnusable as error:
        return Ear(False, True, _broken(error))
    if recognizer.demo:
        return Ear(False, False, _demo(folder), recognizer)
    return Ear(True, False, f"语音模型能用：{recognizer.name}", recognizer)


def warning(settings: Settings) -> str:
    """What is to be said until an official model is there; empty once it is. Loads nothing."""
    folder = choose(settings)
    if folder is None:
        return NONE
    try:
        shelf.look_over(folder)
    except ModelUnusable as error:
        return _broken(error)
    return _demo(folder) if is_demo(folder) else ""


def complaint(error: ModelUnusable) -> str:
    """What is wrong with a model folder, for the person who put it there."""
    detail = f" {error.detail}" if error.fault in (Fault.CLOSED, Fault.INCOMPLETE) else ""
    return f"{error.folder}：{FAULTS[error.fault]}{detail}"


def _broken(error: ModelUnusable) -> str:
    return f"语音模型不能用，每段录音都要人来听：{complaint(error)}。{ADVICE}。"


def _demo(folder: Path) -> str:
    return f"{folder.name} 只是演示用的语音模型：它只听过一个合成的声音，没听过真人，听不懂居民的话。{ADVICE}。"
