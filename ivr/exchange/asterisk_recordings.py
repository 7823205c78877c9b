"""Recordings that an Asterisk made, brought to where the exchange keeps its own."""

import asyncio
import logging
import re
from pathlib import Path

from ivr.exchange import g711
from ivr.exchange.ari import Ari, AriError
from ivr.exchange.audio import NoSoundError, decode
from ivr.exchange.recorder import raw_name

log = logging.getLogger(__name__)

FETCH_TRIES = 5
ENDING_SECONDS = 5.0  # calls that are hung up are gone long before


async def fetch(ari: Ari, name: str) -> g711.Samples:
    """A stored recording; raises AriError."""
    for attempt in range(FETCH_TRIES):
        try:
            data = await ari.file(f"/recordings/stored/{name}/file")
            break
        except AriError as error:
            if error.status != 404 or attempt == FETCH_TRIES - 1:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
    try:
        return await asyncio.to_thread(decode, data)
    except NoSoundError:
        return g711.decode(g711.SILENCE[g711.PCMA])


async def hang_up_leftovers(ari: Ari, app: str) -> None:
    """Calls of an exchange that is no more: nobody speaks on them. Raises AriError."""
    for attempt in range(int(ENDING_SECONDS / 0.1)):
        ours = [
            channel["id"]
            for channel in await ari.command("GET", "/channels") or ()
            if _is_ours(channel, app)
        ]
        if not ours:
            return
        if attempt == 0:
            for channel in ours:
                await ari.attempt("DELETE", f"/channels/{channel}")
        await asyncio.sleep(0.1)


def _is_ours(channel: dict[str, dict[str, str]], app: str) -> bool:
    dialplan = channel.get("dialplan") or {}
    return dialplan.get("app_name") == "Stasis" and dialplan.get("app_data", "").startswith(app)


async def salvage(ari: Ari, folder: Path) -> None:
    """What callers were saying when an exchange was killed: into `folder`, as raw as our own."""
    for stored in await ari.command("GET", "/recordings/stored") or ():
        name = str(stored.get("name"))
        if not re.fullmatch("RE[0-9a-f]{32}", name):
            continue  # another program's
        samples = await fetch(ari, name)
        raw = raw_name(folder / name, g711.PCMA)
        await asyncio.to_thread(raw.write_bytes, g711.encode(samples))
        await ari.attempt("DELETE", f"/recordings/stored/{name}")
