"""Where models stand, which of them is used, and what is wrong with one. Nothing is loaded here."""

import os
import re
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

BEST_FIRST = ("vosk-model-cn-0.22", "vosk-model-small-cn-0.22")
SYSTEM_FOLDER = Path("/usr/share/vosk")  # vosk looks there, in ~/.cache/vosk and VOSK_MODEL_PATH
MAY_BE_EMPTY = ("disambig_tid.int",)  # a graph without such symbols is a graph
DEMO_MARK = "DEMO_MODEL"  # a file beside the model that says: heard one synthesiser only


class Fault(StrEnum):
    """What is wrong with a model folder."""

    MISSING = "there is no such folder"
    CLOSED = "it may not be read"
    INCOMPLETE = "files are missing from it"
    REFUSED = "vosk cannot make a recogniser of it"
    DEADLY = "loading it ends or hangs the process"
    NO_VOSK = "the vosk library does not start here"


class ModelUnusable(Exception):  # noqa: N818 - named for what went wrong
    """No recogniser can be made of a folder: which one, why, and what is known more exactly."""

    def __init__(self, folder: Path, fault: Fault, detail: str = "") -> None:
        super().__init__(f"Speech model {folder}: {fault}{f' ({detail})' if detail else ''}.")
        self.folder, self.fault, self.detail = folder, fault, detail


def places(home: Path, vosk_model_path: str | None) -> list[Path]:
    """List the folders in which vosk keeps models, in its own order."""
    own = [Path(vosk_model_path)] if vosk_model_path else []
    return [*own, home / ".cache" / "vosk", SYSTEM_FOLDER]


def find(configured: Path | None, folders: list[Path]) -> Path | None:
    """Choose the model to use: the configured one, whatever its state, else the best that the folders hold.

    A folder may be a model or hold some (as VOSK_MODEL_PATH does); Chinese ones only, the big one before the small.
    """
    if configured is not None:
        return configured if looks_like_a_model(configured) else _best([configured]) or configured
    return _best(folders)


def standing(folders: list[Path]) -> list[Path]:
    """List the folders that look like models, whole or not."""
    found: list[Path] = []
    for folder in folders:
        with suppress(OSError):
            inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
            found += [path for path in (folder, *inside) if looks_like_a_model(path)]
    return list(dict.fromkeys(found))


def _best(folders: list[Path]) -> Path | None:
    held = standing(folders)
    ranked = [folder for name in BEST_FIRST for folder in held if folder.name == name]
    others = [folder for folder in held if re.search(r"(?:^|-)(?:cn|zh)(?:-|$)", folder.name)]
    return next(iter([*ranked, *others]), None)


def look_over(folder: Path) -> None:
    """Raise ModelUnusable for what can be seen from outside; a model may look whole and be broken."""
    try:
        if not folder.is_dir():
            raise ModelUnusable(folder, Fault.MISSING)
        for path in (folder, *folder.glob("*"), *folder.glob("*/*")):
            if path.exists() and not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
                raise ModelUnusable(folder, Fault.CLOSED, path.name)
        missing = missing_files(folder)
    except OSError as error:
        raise ModelUnusable(folder, Fault.CLOSED, str(error.filename)) from error
    if missing:
        raise ModelUnusable(folder, Fault.INCOMPLETE, ", ".join(missing))


def missing_files(folder: Path) -> list[str]:
    """Name what a Vosk model needs and this folder lacks; the old flat layout is accepted too."""
    if (folder / "final.mdl").is_file():
        wanted = [["mfcc.conf"], ["HCLG.fst", "HCLr.fst"], ["words.txt"]]
    else:
        wanted = [["am/final.mdl"], ["conf/mfcc.conf", "conf/fbank.conf"], ["conf/model.conf"]]
        wanted += [["graph/HCLG.fst", "graph/HCLr.fst"], ["graph/words.txt"]]
        if not (folder / "graph/HCLG.fst").is_file():
            wanted += [["graph/Gr.fst"], ["graph/disambig_tid.int"]]
    return [
        " / ".join(names) for names in wanted if not any(_is_there(folder / name) for name in names)
    ]


def _is_there(file: Path) -> bool:
    """Say whether a file is there with something in it: a full disk leaves empty ones."""
    return file.is_file() and (file.name in MAY_BE_EMPTY or file.stat().st_size > 0)


def is_demo(folder: Path) -> bool:
    """Say whether it is the demonstration's model, which has heard one synthesiser and no person."""
    return (folder / DEMO_MARK).exists()


def looks_like_a_model(folder: Path) -> bool:
    with suppress(OSError):  # what may not be read is complained of by whoever looks it over
        return (folder / "am" / "final.mdl").is_file() or (folder / "final.mdl").is_file()
    return False
