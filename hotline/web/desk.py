"""The desk: today's list, one request, and what may be done with it."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.runtime import Runtime
from hotline.web import auth, board, sheet, words
from hotline.web.board import Standing
from hotline.web.guard import needs
from hotline.web.sheet import Refused
from hotline.web.words import Asks
from tickets import ahead, handover, numbers, service, undo
from tickets.lifecycle import OPEN, Act, ChangedError, NotPossibleError, TooLateError, possible
from tickets.merging import NotMergedError
from tickets.models import Elsewhere, Kind, LedgerLine, Role, Ticket, Volunteer

LONGEST_WHY = 400
TOLD_NOW = "不等了，现在就打电话告诉他"
LONGEST_MISSING = 200


def make_blueprint(runtime: Runtime) -> Blueprint:
    desk = Blueprint("desk", __name__)
    db, settings = runtime.db, runtime.settings

    @desk.get("/")
    @needs(Role.VOLUNTEER)
    def today() -> Any:
        now = runtime.clock()
        with db.reading() as session:
            who = sheet.me(session, now)
            listed, count = board.to_do(session, settings, who, now, shown())
            return render_template(
                "today.html", cards=listed, me=who, now=now, count=count, page=board.A_PAGE,
                finished=board.finished_count(session, who, now),
                newest=board.newest(session, who),
                left=handover.unheard(session, who.visitor.id),
                mine_today=board.finished_by(session, current_user.person.label, now),
            )  # fmt: skip

    @desk.get("/news/<int:ticket_id>")
    @needs(Role.VOLUNTEER)
    def news(ticket_id: int) -> Response:
        """A word for the page of today when something came after this request; empty when nothing did."""
        now = runtime.clock()
        with db.reading() as session:
            count = board.newer(session, sheet.me(session, now), ticket_id)
        said = f"有{count}件新的，点这里看" if count else ""
        return Response(said, content_type="text/plain; charset=utf-8")

    @desk.get("/done")
    @needs(Role.VOLUNTEER)
    def done() -> Any:
        now = runtime.clock()
        with db.reading() as session:
            who = sheet.me(session, now)
            return render_template(
                "done.html", cards=board.finished(session, settings, who, now, shown()), me=who, now=now,
                count=board.finished_count(session, who, now), page=board.A_PAGE,
            )  # fmt: skip

    @desk.get("/all")
    @needs(Role.COMMITTEE)
    def everything() -> Any:
        now, tests = runtime.clock(), sheet.asked_tests(settings)
        with db.reading() as session:
            return render_template(
                "all.html", cards=board.everything(session, settings, now, shown(), tests=tests),
                me=sheet.me(session, now), now=now, tests=tests, count=board.MOST_SHOWN, page=board.A_PAGE,
            )  # fmt: skip

    @desk.get("/request/<int:ticket_id>")
    @needs(Role.VOLUNTEER)
    def one(ticket_id: int) -> Any:
        return sheet.show(runtime, ticket_id)

    @desk.post("/request/<int:ticket_id>")
    @needs(Role.VOLUNTEER)
    def change(ticket_id: int) -> Any:
        """Press one of the buttons."""
        now = runtime.clock()
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                owed, said = _press(session, sheet.me(session, now), ticket, now)
                undo.hold_news(session, settings, owed, now)
                if news := undo.held(session, settings, ticket, now):
                    said = f"记下来了。{words.moment(news.due_at, now)}以后，电脑会打电话告诉他。"
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        runtime.bell.ring(*owed)
        flash(said)
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @desk.post("/request/<int:ticket_id>/undo")
    @needs(Role.VOLUNTEER)
    def undo_last(ticket_id: int) -> Any:
        """撤回: take back what one has just pressed."""
        now = runtime.clock()
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                undo.undo(session, settings, ticket, current_user.person, now, seen=_seen())
        except TooLateError as error:
            return sheet.show(runtime, ticket_id, Refused("too_late", {"why": error.why}), 409)
        except ChangedError:
            return sheet.show(runtime, ticket_id, Refused("too_late", {"why": "built_on"}), 409)
        flash("撤回了，跟没点过一样。")
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @desk.get("/request/<int:ticket_id>/undo")
    @needs(Role.VOLUNTEER)
    def undo_again(ticket_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @desk.post("/request/<int:ticket_id>/tell")
    @needs(Role.VOLUNTEER)
    def tell_now(ticket_id: int) -> Any:
        """现在就告诉他: whoever is sure need not wait until nothing can be taken back."""
        now = runtime.clock()
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                sheet.must_be_theirs(sheet.me(session, now), ticket)
                news = undo.held(session, settings, ticket, now)
                if news:
                    ahead.bring_forward(session, news, now, current_user.person, TOLD_NOW)
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        if news:
            runtime.bell.ring(news.id)
        flash("好的，不等了，电话马上打。这会儿要是老人休息，就过了休息再打。")
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @desk.get("/request/<int:ticket_id>/tell")
    @needs(Role.VOLUNTEER)
    def tell_again(ticket_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    return desk


def shown() -> int:
    """How much of a list the page shows: a page, or as many more as its button asked for."""
    return max(auth.number(request.args.get("shown", "")) or 0, board.A_PAGE)


def _press(session: Session, me: Standing, ticket: Ticket, now: datetime) -> tuple[list[int], str]:
    """Do what the pressed button says, or raise Refused. Returns promises and the good news."""
    form, by = request.form, current_user.person
    try:
        what = Act(form.get("act", ""))
    except ValueError:
        raise Refused("no_button") from None
    takes_over = what is Act.ACCEPT and me.visitor.role is Role.VOLUNTEER
    if not takes_over:
        sheet.must_be_theirs(me, ticket)
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
    return owed, f"记下来了：{button.words}。"


def _elsewhere(why: str) -> Elsewhere:
    return Elsewhere(why) if why in list(Elsewhere) else Elsewhere.OTHER


def _seen() -> int | None:
    """The version of the request that the page showed, where it says so."""
    return auth.number(request.form.get("version", ""))


def _chosen(session: Session, ticket: Ticket, what: Act) -> Volunteer:
    number = auth.number(request.form.get("to", ""))
    if number is None:
        raise Refused("nobody_chosen", {"act": what})
    person = session.get(Volunteer, number)
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
