"""A large file over a line that breaks: fetched with resume, never begun anew without need."""

import re
import time
from contextlib import suppress
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

PIECE_BYTES = 1 << 18
TIMEOUT_SECONDS = (10, 60)  # to connect, and between two pieces
TRIES = 6
PAUSE_SECONDS = 2.0  # before trying again, doubled each time


class Unreachable(Exception):  # noqa: N818 - named for what went wrong
    """A file did not come through; what came of it is kept for the next run."""


def fetch(address: str, part: Path, *, show_progress: bool) -> None:
    """Fetch a file, going on where the last try or the last run broke off."""
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            if _fetch_rest(address, part, show_progress=show_progress):
                return
            reason = "it broke off"
        except requests.HTTPError as error:
            reason = f"{error.response.status_code} {address}"
            if 400 <= error.response.status_code < 500:
                break
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = f"{type(error).__name__} {address}"
    raise Unreachable(reason)


def _fetch_rest(address: str, part: Path, *, show_progress: bool) -> bool:
    """Ask for what is missing; say whether the file is whole. A file that has changed meanwhile starts anew."""
    mark = mark_of(part)
    have = part.stat().st_size if part.exists() and mark.exists() else 0
    asked = {"Accept-Encoding": "identity"}
    if have:
        asked |= {"Range": f"bytes={have}-", "If-Range": mark.read_text()}
    with requests.get(address, headers=asked, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            return False
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            have = 0
        whole = have + int(answer.headers.get("Content-Length", 0))
        # Only a strong mark proves that the rest belongs to the beginning.
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if tag and not tag.startswith("W/"):
            mark.write_text(tag)
        else:
            mark.unlink(missing_ok=True)
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(
                total=whole or None,
                initial=have,
                unit="B",
                unit_scale=True,
                disable=not show_progress,
            ) as bar,
        ):
            # read1 gives what has come; iter_content would lose a piece that the line breaks off in.
            while piece := answer.raw.read1(PIECE_BYTES):
                file.write(piece)
                bar.update(len(piece))
    return not whole or part.stat().st_size == whole


def mark_of(part: Path) -> Path:
    return part.with_name(part.name + ".mark")


def digest_beside(address: str) -> str | None:
    """Ask a mirror for the digest kept beside a file, as sha256sum writes it; None if it keeps none."""
    with suppress(requests.RequestException):
        answer = requests.get(f"{address}.sha256", timeout=TIMEOUT_SECONDS)
        if answer.ok and (found := re.match(r"([0-9a-fA-F]{64})\b", answer.text.strip())):
            return found[1]
    return None
