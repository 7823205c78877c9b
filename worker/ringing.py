"""Ringing somebody for a promise, resident or volunteer: never twice for one promise."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline import logs
from hotline.runtime import Runtime
from ivr import settling
from ivr.carrier import CarrierError, PerhapsPlacedError
from ivr.models import Call, CallStatus
from tickets import dialling, promises
from tickets.dialling import Line
from tickets.models import Promise, ReturnTry, Ticket
from tickets.real import is_real, is_test
from worker import leases

log = logs.logger(__name__)

LOOK_AGAIN = timedelta(minutes=2)  # at a call whose end nobody reported
CARRIER_CLOCK = timedelta(seconds=5)  # the carrier's clock may be behind ours by so much

# Writes a try down if somebody may be rung now.
Begin = Callable[[Session, Promise, Line, datetime], ReturnTry | None]


@dataclass(frozen=True)
class Ringing:
    """One promise in our hands that is kept by a call."""

    runtime: Runtime
    promise_id: int
    token: str | None

    def ring(self, begin: Begin) -> None:
        """Ring if nothing stands in the way.

        A try whose end is unknown is looked up first: the telephone may have rung although the
        carrier's answer to us was lost.
        """
        if self._look_at_last_try() or (begun := self._begin(begin)) is None:
            return
        attempt_token, phone, test = begun
        sid: str | None = None
        try:
            sid = self.runtime.carrier_of(test=test).place_call(phone, attempt_token)
        except PerhapsPlacedError as error:
            log.warning("nobody knows whether the call was placed", why=str(error))
        except CarrierError as error:
            log.warning("call not placed", why=str(error))
            self._finish(attempt_token, CallStatus.FAILED)
            return

        def placed(session: Session, promise: Promise, now: datetime) -> None:
            attempt = _try(session, attempt_token)
            attempt.carrier_sid = attempt.carrier_sid or sid
            # if it has ended already, how it ended has set what is due next
            promises.put_off(promise, promise.due_at if attempt.outcome else now + LOOK_AGAIN)

        self._write(placed)

    def _begin(self, begin: Begin) -> tuple[str, str, bool] | None:
        """Look and write in one transaction, alone: many hands keep to the bounds together."""
        begun: list[tuple[str, str, bool]] = []

        def write_down(session: Session, promise: Promise, now: datetime) -> None:
            test = is_test(self.runtime.settings, promise)
            if dialling.unanswered(promise) is not None:  # another hand was quicker
                promises.put_off(promise, now + dialling.SHORTLY)
            elif (attempt := begin(session, promise, _line(session, test, now), now)) is not None:
                begun.append((attempt.token, attempt.phone, attempt.test))

        with self.runtime.db.writing() as session:
            dialling.take_the_dial(session)
            leases.change_mine(self.runtime, session, self.promise_id, self.token, write_down)
        return begun[0] if begun else None

    def _look_at_last_try(self) -> bool:
        """Whether an earlier try still stands in the way of a new one."""
        with self.runtime.db.reading() as session:
            attempt = dialling.unanswered(session.get_one(Promise, self.promise_id))
            if attempt is None:
                return False
            others = set(session.scalars(select(ReturnTry.carrier_sid).where(ReturnTry.phone == attempt.phone)))  # fmt: skip
        carrier = self.runtime.carrier_of(test=attempt.test)
        if attempt.carrier_sid:
            known = carrier.look_up(attempt.carrier_sid)
        else:
            placed = carrier.calls_to(attempt.phone, attempt.placed_at - CARRIER_CLOCK)
            known = next((call for call in placed if call.sid not in others), None)
        if known is None:
            self._finish(attempt.token, CallStatus.FAILED)
        elif known.status is not CallStatus.UNDER_WAY:
            self._finish(attempt.token, known.status)
        elif self.runtime.clock() - attempt.placed_at < dialling.UNDER_WAY:
            self._write(lambda _, promise, now: promises.put_off(promise, now + LOOK_AGAIN))
        else:
            self._finish(attempt.token, CallStatus.COMPLETED)
        return True

    def _finish(self, attempt_token: str, status: CallStatus) -> None:
        with self.runtime.db.writing() as session:
            attempt = _try(session, attempt_token)
            settling.finish(session, self.runtime.settings, attempt, status, self.runtime.clock())

    def _write(self, change: leases.Change) -> None:
        leases.write(self.runtime, self.promise_id, self.token, change)


def _try(session: Session, token: str) -> ReturnTry:
    return session.scalars(select(ReturnTry).where(ReturnTry.token == token)).one()


def _line(session: Session, test: bool, now: datetime) -> Line:
    """Every call that has begun and not ended, in or out; of tests, those on the browsers' telephones."""
    calls = session.execute(
        select(Call.try_id, Call.phone, Call.flow, Ticket.phone.label("about"))
        .outerjoin(Ticket, Ticket.id == Call.about_ticket_id)
        .where(
            Call.ended_at.is_(None),
            is_real(Call, tests=test),
            Call.started_at.between(now - dialling.UNDER_WAY, now + dialling.UNDER_WAY),
        )
    ).all()
    return Line(
        calls=len(calls) + sum(call.flow == "bridge" for call in calls),  # that one takes two
        tries=frozenset(call.try_id for call in calls if call.try_id),
        phones=frozenset(phone for call in calls for phone in (call.phone, call.about) if phone),
    )
