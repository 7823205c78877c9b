"""Residents' own voices for the carrier to play to a volunteer: an address that is signed and expires."""

import hashlib
import hmac
from datetime import datetime, timedelta

from hotline.config import Settings
from tickets.models import Recording

LIVES = timedelta(minutes=15)  # longer than a call that plays it


def address(settings: Settings, recording: Recording, now: datetime) -> str:
    """Where the carrier can fetch it for a while."""
    until = int((now + LIVES).timestamp())
    seal = _seal(settings, recording.id, until)
    return f"{settings.public_url}/ivr/voice/{recording.id}.wav?until={until}&seal={seal}"


def is_good(settings: Settings, recording_id: int, until: int, seal: str, now: datetime) -> bool:
    right = hmac.compare_digest(_seal(settings, recording_id, until).encode(), seal.encode())
    return bool(settings.secrets) and right and now.timestamp() < until


def _seal(settings: Settings, recording_id: int, until: int) -> str:
    key = settings.secrets[0].encode() if settings.secrets else b""
    return hmac.new(key, f"voice {recording_id} {until}".encode(), hashlib.sha256).hexdigest()
