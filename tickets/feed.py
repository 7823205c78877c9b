"""One person's shifts as a calendar feed (iCalendar, RFC 5545). Nothing of any resident is in it.

Whoever knows the address may read it, so it holds a secret; a new one ends the old. Calendars
look every hour, so a look is no ledger line; making the secret is.
"""

import secrets
from datetime import datetime, timedelta

from icalendar import Calendar, Event
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hotline.clock import utc
from tickets import ledger
from tickets.ledger import Person
from tickets.models import Shift, Volunteer

PAST, AHEAD = timedelta(days=31), timedelta(days=366)
LOOK_EVERY = timedelta(hours=1)


def secret_of(session: Session, person: Volunteer, by: Person, now: datetime) -> str:
    """The secret part of this person's address, made when it is first asked for."""
    return person.feed_token or renew(session, person, by, now)


def renew(session: Session, person: Volunteer, by: Person, now: datetime) -> str:
    """A new secret; the old address finds nothing any more."""
    person.feed_token = secrets.token_urlsafe(32)
    ledger.write(
        session, at=now, person=by, act="renew_feed", object_kind="volunteer", object_id=person.id
    )
    return person.feed_token


def whose(session: Session, secret: str) -> Volunteer | None:
    return session.scalar(select(Volunteer).where(Volunteer.feed_token == secret, Volunteer.active))


def render(session: Session, person: Volunteer, line_name: str, now: datetime) -> bytes:
    """Their shifts, and those they stand in for, from a month ago to a year ahead."""
    feed = Calendar()
    feed.add("prodid", "-//hotline//roster//ZH")
    feed.add("version", "2.0")
    feed.add("x-wr-calname", f"{line_name}值班")
    feed.add("refresh-interval", LOOK_EVERY, parameters={"value": "DURATION"})
    rows = session.scalars(
        select(Shift)
        .where(
            or_(Shift.volunteer_id == person.id, Shift.substitute_id == person.id),
            Shift.ends_at > now - PAST,
            Shift.starts_at < now + AHEAD,
        )
        .order_by(Shift.starts_at, Shift.id)
    )
    for row in rows:
        event = Event()
        event.add("uid", f"shift-{row.id}-{person.id}@hotline")
        event.add("dtstamp", utc(now))
        event.add("dtstart", utc(row.starts_at))
        event.add("dtend", utc(row.ends_at))
        mine = row.volunteer_id == person.id
        event.add("summary", "值班" if mine else f"替补（值班：{row.volunteer.name}）")
        if not mine:
            event.add("transp", "TRANSPARENT")
        feed.add_component(event)
    return bytes(feed.to_ical())
