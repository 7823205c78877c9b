"""One case as the committee reads it: sound, what the machine heard beside what a person wrote, who did and who
listened; and sending it back to be done again."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from hotline.phone import mask
from hotline.runtime import Runtime
from hotline.web import board, cards, sheet, words
from hotline.web.guard import needs
from hotline.web.letters import inside
from hotline.web.prompt_places import SETS, whole
from hotline.web.sheet import Refused
from ivr.heard import Heard, in_call
from ivr.models import Call
from tickets import footwork, merging, service, spot_checks
from tickets.books import Finding, SpotCheck
from tickets.lifecycle import OPEN, Act, NotPossibleError, possible
from tickets.models import LedgerLine, Role, Ticket

LONGEST_WHY = 400
LOOKS = {"listen": "听了录音", "see_number": "看了号码", "bridge": "打了电话（没看号码）", "print": "打印了跑腿单", "look_at_case": "看了这一页", "export": "导出了"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of a text: the same in both, only the machine's, or only the person's."""

    text: str
    whose: str = ""  # "machine", "person"


def make_blueprint(runtime: Runtime) -> Blueprint:
    cases = Blueprint("cases", __name__, url_prefix="/case/<int:ticket_id>")
    db = runtime.db

    def show(ticket_id: int, refused: Refused | None = None, status: int = 200) -> Any:
        now = runtime.clock()
        with db.writing() as session:
            ticket = session.get(Ticket, ticket_id) or abort(404)
            sheet.note_look(session, "look_at_case", "ticket", ticket_id, now)
            names = board.names(session)
            recordings = merging.recordings(session, ticket)
            page = render_template(
                "case.html", ticket=ticket, card=cards.of(session, runtime.settings, [ticket_id], now)[0], now=now, names=names,
                recordings=recordings, compared={r.id: compare(r.transcript.text, r.transcript.corrected_text) for r in recordings if r.transcript and r.transcript.corrected_text},
                masked=mask(ticket.phone) if ticket.phone else "", life=board.life(session, ticket, names),
                told=board.return_calls(ticket), looks=looks(session, ticket, names), typed=request.form,
                played=_played(session, ticket), sets=SETS, sheet=whole,
                may_reopen=Act.REOPEN in possible(ticket.state), is_open=ticket.state in OPEN, refused=refused, drawn=_drawn(session, ticket_id), back=_back(), journeys=footwork.outings(session, ticket),
            )  # fmt: skip
        return page, status

    @cases.get("")
    @needs(Role.COMMITTEE)
    def case(ticket_id: int) -> Any:
        return show(ticket_id)

    @cases.post("/again")
    @needs(Role.COMMITTEE)
    def again(ticket_id: int) -> Any:
        """督办: what was called done is to be done again, what is open is to be done now; and why."""
        now, why = runtime.clock(), words.clean(request.form.get("why", ""))
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                if not why:
                    raise Refused("no_why")
                if len(why) > LONGEST_WHY:
                    raise Refused("long_why", {"length": len(why), "longest": LONGEST_WHY})
                if ticket.state in OPEN and request.form.get("do") == "urge":
                    service.urge(session, runtime.settings, ticket, current_user.person, now, why)
                    flash("记下来了：排到志愿者今天的事最前面。")
                    return redirect(url_for("cases.case", ticket_id=ticket_id, back=_back()))
                try:
                    service.act(session, ticket, Act.REOPEN, current_user.person, now, why=why)
                except NotPossibleError:
                    raise Refused("changed", {"state": words.STATES[ticket.state], "who": "有人"}) from None  # fmt: skip
        except Refused as refused:
            return show(ticket_id, refused, 409)
        flash("记下来了：重新办。这件事回到志愿者今天的事里了。")
        return redirect(url_for("cases.case", ticket_id=ticket_id, back=_back()))

    @cases.post("/check")
    @needs(Role.COMMITTEE)
    def check(ticket_id: int) -> Any:
        """质检: in order, or sent back with a word why."""
        now, note, found = runtime.clock(), words.clean(request.form.get("note", "")), request.form.get("finding", "")  # fmt: skip
        try:
            with db.writing() as session:
                drawn = _drawn(session, ticket_id) or abort(404)
                if found not in list(Finding):
                    raise Refused("no_finding")
                if found == Finding.RETURNED and not note:
                    raise Refused("no_why")
                if len(note) > LONGEST_WHY:
                    raise Refused("long_why", {"length": len(note), "longest": LONGEST_WHY})
                spot_checks.find(session, drawn, Finding(found), current_user.person, now, note)
        except Refused as refused:
            return show(ticket_id, refused, 409)
        flash("记下来了：查过了。")
        return redirect(url_for("cases.case", ticket_id=ticket_id, back=_back()))

    @cases.get("/check", endpoint="check_from_history")
    @cases.get("/again")
    @needs(Role.COMMITTEE)
    def again_from_history(ticket_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("cases.case", ticket_id=ticket_id, back=_back()))

    return cases


def _played(session: Session, ticket: Ticket) -> list[tuple[Call, list[Heard]]]:
    """What its calls heard, in and out, the first call first."""
    calls = select(Call).where(or_(Call.id == ticket.call_id, Call.about_ticket_id == ticket.id))
    every = session.scalars(calls.order_by(Call.started_at, Call.id))
    return [(call, heard) for call in every if (heard := in_call(session, call.id))]


def _back() -> str | None:
    """The list that led here, if it is one of our pages."""
    return inside(request.args.get("back", ""))


def _drawn(session: Session, ticket_id: int) -> SpotCheck | None:
    """The newest spot check of this request."""
    return session.scalar(
        select(SpotCheck)
        .where(SpotCheck.ticket_id == ticket_id)
        .order_by(SpotCheck.id.desc())
        .limit(1)
    )


def compare(machine: str, person: str | None) -> list[Piece]:
    """What was taken out and what was put in, in the order it is read."""

    def pieces() -> Iterator[Piece]:
        heard, wrote = words.clean(machine), words.clean(person or "")
        for tag, a, b, c, d in SequenceMatcher(None, heard, wrote, autojunk=False).get_opcodes():
            if tag == "equal":
                yield Piece(heard[a:b])
                continue
            if a < b:
                yield Piece(heard[a:b], "machine")
            if c < d:
                yield Piece(wrote[c:d], "person")

    return list(pieces())


def looks(session: Session, ticket: Ticket, names: dict[int, str]) -> list[tuple[Any, str]]:
    """Who listened, saw the number, printed or read: every access, the newest first."""
    sounds = [recording.id for recording in ticket.recordings]
    lines = session.scalars(
        select(LedgerLine)
        .where(
            LedgerLine.act.in_(LOOKS),
            or_(
                and_(LedgerLine.object_kind == "ticket", LedgerLine.object_id == ticket.id),
                and_(LedgerLine.object_kind == "recording", LedgerLine.object_id.in_(sounds)),
            ),
        )
        .order_by(LedgerLine.sequence.desc())
        .limit(100)
    )
    return [(line.at, f"{words.person(line.person, names)}{LOOKS[line.act]}") for line in lines]
