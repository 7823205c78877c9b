"""What was said, played in a call: an address that only that call was told, for an hour.

Carriers keep recordings behind a password that a <Play> cannot give, and forget them as soon as we
have them. So they are played from here: from our store, or, in the first seconds, from the
carrier, whose password we have.
"""

from datetime import datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets.models import Recording

LIVES = timedelta(hours=1)  # longer than a call
CALLER, VOLUNTEER = "caller", "volunteer"  # who listens


def address(settings: Settings, recording: Recording, listener: str, now: datetime) -> str:
    """Where the carrier can fetch it. Its last part is the carrier's own name for it."""
    carrier_id = recording.carrier_id
    name = carrier_id if carrier_id.isascii() and carrier_id.isalnum() else "own"
    seal = _sealer(settings).dumps([recording.id, listener, int((now + LIVES).timestamp())])
    return f"{settings.public_url}/ivr/own/{seal}/{name}.wav"


def find(
    session: Session, settings: Settings, seal: str, now: datetime
) -> tuple[Recording | None, str]:
    """The recording of an address that is ours and not too old, and who listens."""
    try:
        recording_id, listener, until = _sealer(settings).loads(seal)
    except BadSignature:
        return None, ""
    return session.get(Recording, recording_id) if now.timestamp() < until else None, listener


def _sealer(settings: Settings) -> URLSafeSerializer:
    # who knows this secret could ask the carrier for the recording itself; the newest comes last
    return URLSafeSerializer(list(reversed(settings.secrets)), salt="own words")
