"""Prompts read aloud for the browser's telephone, by espeak-ng where it is installed."""

import hashlib
import secrets
import shutil
import subprocess
from pathlib import Path

VOICE, WORDS_A_MINUTE = "cmn-latn-pinyin", 150  # as the exchange has them
LONGEST_CHARS = 600
SPEAK_SECONDS = 10


def can_read() -> bool:
    return shutil.which("espeak-ng") is not None


def read_aloud(words: str, folder: Path) -> bytes | None:
    """The words as a wav, made once and kept in `folder`; None where nobody can read them."""
    said = " ".join(words.split())[:LONGEST_CHARS]
    program = shutil.which("espeak-ng")
    if not said or program is None:
        return None
    kept = folder / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.wav"
    if kept.is_file():
        return kept.read_bytes()
    try:
        made = subprocess.run(  # noqa: S603  no shell, and the words go by a pipe
            [program, "-v", VOICE, "-s", str(WORDS_A_MINUTE), "--stdin", "--stdout"],
            input=said.encode(), capture_output=True, timeout=SPEAK_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    aside = kept.with_suffix(f".{secrets.token_hex(4)}")
    aside.write_bytes(made.stdout)
    aside.replace(kept)
    return made.stdout
