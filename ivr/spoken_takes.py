"""Takes of prompts that an administrator speaks on the telephone: promised first, levelled later."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from ivr import studio, turns
from ivr.engine import FACT
from ivr.models import Call
from ivr.parts import NUMBERS
from ivr.recordings import Reported
from ivr.takes import Origin, Take
from ivr.turns import Asked
from tickets import ledger, promises
from tickets.models import Duty, Recording


def keep(
    session: Session, settings: Settings, call: Call, turn: int, said: Reported, now: datetime
) -> list[int]:
    """A take of what question `turn` asked for, and the promise to bring its sound home.

    The call must be locked. A recording already known changes nothing.
    """
    known = select(Recording.id).where(Recording.carrier_id == said.carrier_id)
    asked = turns.question(session, call.id, turn)
    if session.scalar(known) is not None or asked is None:
        return []
    recording = Recording(
        carrier_id=said.carrier_id, url=said.url, made_at=now, call_id=call.id, turn=turn,
        claimed_seconds=said.seconds,
    )  # fmt: skip
    session.add(recording)
    session.flush()
    by = ledger.volunteer(int(asked.memory[FACT + "volunteer"]), "phone")
    spot = NUMBERS[asked.memory["number"]]
    studio.keep(session, settings, spot, Origin.PHONE, by, now, recording_id=recording.id)
    return [promises.make(session, Duty.FETCH, now, recording_id=recording.id).id]


def use(session: Session, settings: Settings, asked: Asked, now: datetime) -> None:
    """The newest take of this call is wanted: used at once if its sound is home, else when it is."""
    newest = (
        select(Take)
        .join(Recording, Recording.id == Take.recording_id)
        .where(Recording.call_id == asked.call_id)
        .order_by(Take.id.desc())
        .limit(1)
        .with_for_update(of=Take)
    )
    take = session.scalar(newest)
    if take is None:
        return
    take.wanted = True
    use_if_wanted(session, settings, take, now)


def use_if_wanted(session: Session, settings: Settings, take: Take, now: datetime) -> None:
    """Called when either has come, the wish or the sound."""
    words_now = studio.words_of(settings, take.spot)
    if take.wanted and take.made_by is not None and studio.usable(take, words_now):
        studio.use(session, settings, take, ledger.volunteer(take.made_by, "phone"), now)
