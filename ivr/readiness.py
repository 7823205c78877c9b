"""What a caller who has left a message can be told before goodbye: looked up anew at each turn."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from hotline import ear
from hotline.config import Settings
from ivr import sounds
from ivr.engine import FACT
from tickets import understanding


def look(session: Session, settings: Settings, call_id: int) -> Mapping[str, Any]:
    """As facts: whether the text is still coming, what to have ready, how often to look again.

    Without a model no text will come, and nobody waits for it. One look's time is for the words
    that ask for patience.
    """
    known, materials = understanding.to_have_ready(session, call_id)
    coming = not known and ear.choose(settings) is not None
    looks = settings.ready_wait_seconds // sounds.LOOK_SECONDS - 1
    return {
        FACT + "text": "coming" if coming else "there" if materials else "none",
        FACT + "materials": list(materials),
        FACT + "looks": looks,
    }
