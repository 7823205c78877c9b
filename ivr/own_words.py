"""A caller's own words played back to him: an address that only his call was told, for an hour.

Carriers keep recordings behind a password that a <Play> cannot give, and forget them as soon as we
have them. So the words are played from here: from our store, or, in the first seconds, from the
carrier, whose password we have.
"""

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets.models import Recording

KNOWN_FOR_SECONDS = 3600  # longer than any call


def address(settings: Settings, recording: Recording) -> str:
    """Where the carrier can fetch it. Its last part is the carrier's own name for it."""
    carrier_id = recording.carrier_id
    name = carrier_id if carrier_id.isascii() and carrier_id.isalnum() else "own"
    return f"{settings.public_url}/ivr/own/{_sealer(settings).dumps(recording.id)}/{name}.wav"


def find(session: Session, settings: Settings, seal: str) -> Recording | None:
    """The recording of an address that is ours and not too old."""
    try:
        recording_id = _sealer(settings).loads(seal, max_age=KNOWN_FOR_SECONDS)
    except BadSignature:
        return None
    return session.get(Recording, recording_id)


def _sealer(settings: Settings) -> URLSafeTimedSerializer:
    # who knows this secret could ask the carrier for the recording itself; the newest comes last
    return URLSafeTimedSerializer(list(reversed(settings.secrets)), salt="own words")
