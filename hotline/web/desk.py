"""The desk: today's list, one request, and what may be done with it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.phone import Phone, mask
from hotline.runtime import Runtime
from hotline.web import board, listen, words
from hotline.web.board import Standing
from hotline.web.guard import needs
from hotline.web.words import Asks
from tickets import ledger, merging, numbers, service
from tickets.lifecycle import OPEN, Act, ChangedError, NotPossibleError, possible
from tickets.merging import NotMergedError
from tickets.models import Elsewhere, Kind, LedgerLine, Recording, Role, Ticket, Volunteer

LONGEST_WHY = 400
LONGEST_MISSING = 200
LONGEST_TEXT = 5000
LISTENED_AGAIN = timedelta(minutes=10)  # one listening, however many pieces the browser asks for

TALKED = {"reached": "打通了，说清楚了", "nobody": "没人接，等会再打", "wrong": "号码不对"}


class Refused(Exception):  # noqa: N818  # no mistake of ours: a sentence to the person
    """What was asked for is not done; the name of the sentence, and what it speaks of."""

    def __init__(self, sentence: str, facts: Mapping[str, object] | None = None) -> None:
        super().__init__(sentence)
        self.sentence, self.facts = sentence, facts or {}


def make_blueprint(runtime: Runtime) -> Blueprint:
    desk = Blueprint("desk", __name__)
    db, settings = runtime.db, runtime.settings

    def me(session: Session, now: datetime) -> Standing:
        return board.standing(session, current_user, now)

    def show(ticket_id: int, refused: Refused | None = None, status: int = 200) -> Any:
        """The page of a request; after a refusal with its sentence and all that was typed."""
        now = runtime.clock()
        with db.reading() as session:
            ticket = session.get(Ticket, ticket_id) or abort(404)
            who = me(session, now)
            names = board.names(session)
            return render_template(
                "request.html", ticket=ticket, card=board.card(ticket, settings, now), me=who,
                buttons=board.buttons(ticket, who), people=board.others(session, who, ticket),
                life=board.life(session, ticket, names), told=board.return_calls(ticket), names=names,
                recordings=merging.recordings(session, ticket),
                masked=mask(ticket.phone) if ticket.phone else "", now=now, refused=refused,
                typed=request.form, longest=LONGEST_TEXT,
                may_take=not who.may_work(ticket) and who.visitor.role is Role.VOLUNTEER and Act.ACCEPT in possible(ticket.state),
            ), status  # fmt: skip

    @desk.get("/")
    @needs(Role.VOLUNTEER)
    def today() -> Any:
        now = runtime.clock()
        with db.reading() as session:
            who = me(session, now)
            cards = board.to_do(session, settings, who, now)
            return render_template(
                "today.html", cards=cards, me=who, now=now, finished=board.finished_count(session, who, now)
            )  # fmt: skip

    @desk.get("/done")
    @needs(Role.VOLUNTEER)
    def done() -> Any:
        now = runtime.clock()
        with db.reading() as session:
            who = me(session, now)
            return render_template(
                "done.html", cards=board.finished(session, settings, who, now), me=who, now=now
            )

    @desk.get("/all")
    @needs(Role.COMMITTEE)
    def everything() -> Any:
        now = runtime.clock()
        with db.reading() as session:
            return render_template(
                "all.html", cards=board.everything(session, settings, now), me=me(session, now), now=now
            )  # fmt: skip

    @desk.get("/request/<int:ticket_id>")
    @needs(Role.VOLUNTEER)
    def one(ticket_id: int) -> Any:
        return show(ticket_id)

    @desk.post("/request/<int:ticket_id>")
    @needs(Role.VOLUNTEER)
    def change(ticket_id: int) -> Any:
        """Press one of the buttons."""
        now = runtime.clock()
        try:
            with db.writing() as session:
                owed, said = _press(session, me(session, now), _locked(session, ticket_id), now)
        except Refused as refused:
            return show(ticket_id, refused, 409)
        runtime.bell.ring(*owed)
        flash(said)
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @desk.post("/request/<int:ticket_id>/call")
    @needs(Role.VOLUNTEER)
    def call(ticket_id: int) -> Any:
        """Show a whole number, once it is written down who sees it."""
        now = runtime.clock()
        try:
            with db.writing() as session:
                ticket = _locked(session, ticket_id)
                _must_be_theirs(me(session, now), ticket)
                if ticket.phone is None:
                    raise Refused("no_number")
                ledger.write(
                    session, at=now, person=current_user.person, act="see_number",
                    object_kind="ticket", object_id=ticket.id, why="打电话",
                )  # fmt: skip
                dialled, name = Phone(ticket.phone).dialled, board.title(ticket)
        except Refused as refused:
            return show(ticket_id, refused, 409)
        return render_template(
            "call.html", ticket_id=ticket_id, name=name, dialled=dialled, talked=TALKED,
            grouped=words.grouped(dialled),
        )  # fmt: skip

    @desk.post("/request/<int:ticket_id>/called")
    @needs(Role.VOLUNTEER)
    def called(ticket_id: int) -> Any:
        """How the call went."""
        now, how = runtime.clock(), request.form.get("how", "")
        try:
            with db.writing() as session:
                ticket = _locked(session, ticket_id)
                _must_be_theirs(me(session, now), ticket)
                if how not in TALKED:
                    raise Refused("no_answer_chosen")
                if how == "reached":
                    ticket.contacted_at = ticket.contacted_at or now
                ledger.write(
                    session, at=now, person=current_user.person, act="called",
                    object_kind="ticket", object_id=ticket.id, why=TALKED[how],
                )  # fmt: skip
        except Refused as refused:
            return show(ticket_id, refused, 409)
        flash(f"记下来了：{TALKED[how]}。")
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @desk.get("/request/<int:ticket_id>/call")
    @desk.get("/request/<int:ticket_id>/called", endpoint="called_again")
    @needs(Role.VOLUNTEER)
    def call_again(ticket_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @desk.get("/recording/<int:recording_id>")
    @needs(Role.VOLUNTEER)
    def sound(recording_id: int) -> Response:
        """A recording, once it is written down who listens."""
        now = runtime.clock()
        with db.writing() as session:
            recording = session.get(Recording, recording_id)
            if recording is None or recording.key is None:
                abort(404)
            key, media_type = recording.key, recording.media_type
            if not _is_listening(session, recording_id, now):
                ledger.write(
                    session, at=now, person=current_user.person, act="listen", object_kind="recording",
                    object_id=recording_id, ticket=recording.ticket_id,
                )  # fmt: skip
        try:
            return listen.respond(runtime.store, key, media_type)
        except FileNotFoundError:
            abort(404)

    @desk.post("/recording/<int:recording_id>/text")
    @needs(Role.VOLUNTEER)
    def correct(recording_id: int) -> Any:
        """What a person heard, beside what the machine heard; both are kept."""
        now, text = runtime.clock(), words.clean(request.form.get("text", ""))
        with db.reading() as session:
            found = session.get(Recording, recording_id)
            ticket_id = found.ticket_id if found else None
        if ticket_id is None:
            abort(404)
        try:
            with db.writing() as session:
                _must_be_theirs(me(session, now), _locked(session, ticket_id))
                _write_text(session, recording_id, text, now)
        except Refused as refused:
            return show(ticket_id, refused, 409)
        flash("改好了，记下来了。机器听写的原话也留着。")
        return redirect(
            url_for("desk.one", ticket_id=ticket_id, _anchor=f"recording-{recording_id}")
        )

    return desk


def _press(session: Session, me: Standing, ticket: Ticket, now: datetime) -> tuple[list[int], str]:
    """Do what the pressed button says, or raise Refused. Returns promises and the good news."""
    form, by = request.form, current_user.person
    try:
        what = Act(form.get("act", ""))
    except ValueError:
        raise Refused("no_button") from None
    takes_over = what is Act.ACCEPT and me.visitor.role is Role.VOLUNTEER
    if not takes_over:
        _must_be_theirs(me, ticket)
    if form.get("seen") != ticket.state.value or what not in possible(ticket.state):
        raise _stale(session, me, ticket, what)
    button = words.BUTTONS[what]
    why = words.clean(form.get("why", "") or form.get("choice", ""))
    if button.asks is Asks.WHY and not why:
        raise Refused("no_why", {"act": what})
    if len(why) > LONGEST_WHY:
        raise Refused("long_why", {"act": what, "length": len(why), "longest": LONGEST_WHY})
    missing = "、".join(filter(None, (*form.getlist("choices"), words.clean(form.get("missing", "")))))  # fmt: skip
    if button.asks is Asks.MISSING and not missing:
        raise Refused("no_missing", {"act": what})
    if len(missing) > LONGEST_MISSING:
        raise Refused("long_why", {"act": what, "length": len(missing), "longest": LONGEST_MISSING})
    to = _chosen(session, ticket, what) if button.asks is Asks.WHOM else None
    into = numbers.find(session, why) if what is Act.MERGE else None
    if what is Act.MERGE and into is None:
        raise Refused("no_such_number", {"act": what})
    elsewhere = _elsewhere(why) if what is Act.REFER else None
    try:
        owed = service.act(
            session, ticket, what, by, now,
            seen=_seen(), why=why, to=to, missing=missing, into=into, elsewhere=elsewhere,
        )  # fmt: skip
        if what is Act.ASSIGN and to and to.id == me.visitor.id:
            owed += service.act(session, ticket, Act.ACCEPT, by, now)
        if what is Act.FINISH and ticket.kind is Kind.RING_BACK:
            # The call itself was the errand: nothing is left to ring about.
            ticket.contacted_at = ticket.contacted_at or now
            owed += service.act(session, ticket, Act.CONFIRM, by, now, why="已经通过电话")
    except NotMergedError as error:
        raise Refused("not_merged", {"act": what, "hindrance": error.why}) from None
    except (NotPossibleError, ChangedError):
        raise _stale(session, me, ticket, what) from None
    if owed:
        return owed, "记下来了。电脑会打电话告诉他。"
    return owed, f"记下来了：{button.words}。"


def _elsewhere(why: str) -> Elsewhere:
    return Elsewhere(why) if why in list(Elsewhere) else Elsewhere.OTHER


def _seen() -> int | None:
    """The version of the request that the page showed, where it says so."""
    version = request.form.get("version", "")
    return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None


def _chosen(session: Session, ticket: Ticket, what: Act) -> Volunteer:
    number = request.form.get("to", "")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Refused("nobody_chosen", {"act": what})
    person = session.get(Volunteer, int(number))
    if person is None or not person.active:
        raise Refused("gone", {"act": what})
    if person.id == ticket.assignee_id:
        raise Refused("already_theirs", {"act": what, "who": person.name})
    return person


def _stale(session: Session, me: Standing, ticket: Ticket, what: Act) -> Refused:
    """The page was old: say what it is now, and whether the same was done already."""
    last = session.scalar(
        select(LedgerLine)
        .where(
            LedgerLine.object_kind == "ticket", LedgerLine.object_id == ticket.id,
            LedgerLine.act.in_([act.value for act in Act]),
        )
        .order_by(LedgerLine.sequence.desc())
        .limit(1)
    )  # fmt: skip
    if last and last.act == what and last.person == me.visitor.person.label:
        return Refused("done_already", {"words": words.BUTTONS[what].words})
    who = words.person(last.person, board.names(session)) if last else ""
    return Refused(
        "changed", {"act": what, "state": words.STATES[ticket.state], "who": who, "stays": ticket.state in OPEN}
    )  # fmt: skip


def _must_be_theirs(me: Standing, ticket: Ticket) -> None:
    if not me.may_work(ticket):
        raise Refused("not_yours", {"who": ticket.assignee.name if ticket.assignee else ""})


def _locked(session: Session, ticket_id: int) -> Ticket:
    return session.get(Ticket, ticket_id, with_for_update=True) or abort(404)


def _is_listening(session: Session, recording_id: int, now: datetime) -> bool:
    """Whether this person's listening is written down already."""
    return session.scalar(
        select(LedgerLine.sequence).where(
            LedgerLine.object_kind == "recording", LedgerLine.object_id == recording_id,
            LedgerLine.act == "listen", LedgerLine.person == current_user.person.label,
            LedgerLine.at > now - LISTENED_AGAIN,
        ).limit(1)
    ) is not None  # fmt: skip


def _write_text(session: Session, recording_id: int, text: str, now: datetime) -> None:
    recording = session.get_one(Recording, recording_id)
    heard = recording.transcript
    if heard is None:
        raise Refused("not_heard_yet")
    if not text:
        raise Refused("no_text")
    if len(text) > LONGEST_TEXT:
        raise Refused("long_text", {"length": len(text), "longest": LONGEST_TEXT})
    seen = request.form.get("seen_text", "")
    if words.clean(seen) not in {heard.corrected_text or heard.text, text}:
        # Somebody else wrote in the meantime; what this person typed stays on the page.
        raise Refused("text_changed", {"text": heard.corrected_text or heard.text})
    heard.corrected_text, heard.corrected_by, heard.corrected_at = text, current_user.id, now
    ledger.write(
        session, at=now, person=current_user.person, act="correct", object_kind="ticket",
        object_id=recording.ticket_id, recording=recording_id,
    )  # fmt: skip
