"""Secrets that nobody has to invent: made once, kept in the data folder, the same for all processes."""

import os
import secrets
from pathlib import Path


def kept(folder: Path, name: str) -> str:
    """The secret in this file, made when it is first asked for: 64 hexadecimal digits."""
    file = folder / name
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = file.with_name(f"{name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_hex(32))
        _first_wins(mine, file)
    return file.read_text().strip()


def _first_wins(mine: Path, file: Path) -> None:
    """Give the finished file its name unless another process was first."""
    try:
        file.hardlink_to(mine)
    except FileExistsError:
        pass
    finally:
        mine.unlink()
