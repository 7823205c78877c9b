"""One shift changed by hand, and a month shared out: first what it would do, then one press that does it."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI, local
from hotline.runtime import Runtime
from hotline.web import words
from hotline.web.figures import asked_month
from hotline.web.guard import needs
from tickets import fairness, ledger, roster, rotation, shifts, swaps, trials, watch
from tickets.counting import Period
from tickets.models import LedgerLine, Role, Shift, Volunteer
from tickets.shifts import ClashError, GoneError, NotOnThisShiftError, ShiftOverError
from tickets.swaps import NotTheirsError

SWAPS_AHEAD = timedelta(days=45)
REFUSALS: dict[type[Exception], str] = {
    ShiftOverError: "over", ClashError: "clash", GoneError: "nobody", NotTheirsError: "theirs",
    NotOnThisShiftError: "changed",
}  # fmt: skip


class NobodyChosenError(Exception):
    """The form names nobody, or no shift."""


class OtherwiseError(Exception):
    """Thought out anew, the month is not what was shown."""


def add_to(room: Blueprint, runtime: Runtime) -> None:
    db, settings = runtime.db, runtime.settings

    def show_shift(shift_id: int, refused: str = "", status: int = 200) -> Any:
        now = runtime.clock()
        with db.reading() as session:
            shift = session.get(Shift, shift_id) or abort(404)
            others = [
                each for each in roster.shifts(session, now, max(now, shift.starts_at) + SWAPS_AHEAD)
                if each.starts_at > now and each.volunteer_id != shift.volunteer_id
            ]  # fmt: skip
            page = render_template(
                "shift.html", shift=shift, people=people(session), refused=refused, typed=request.form,
                spoken_span=watch.spoken, others=others, over=shift.ends_at <= now, begun=shift.starts_at <= now,
                back=words.whole_number(request.args.get("back", "")), before=_had_it_before(session, shift),
            )  # fmt: skip
        return page, status

    @room.get("/shift/<int:shift_id>")
    @needs(Role.LEAD)
    def shift(shift_id: int) -> Any:
        return show_shift(shift_id)

    @room.post("/shift/<int:shift_id>")
    @needs(Role.LEAD)
    def change(shift_id: int) -> Any:
        """Give it to others, swap it, take it off, or write down that somebody cannot come.

        Without `sure` it is only told what that would do.
        """
        form, sure = request.form, "sure" in request.form
        try:
            with (db.writing if sure else db.trying)() as session:
                row = session.get(Shift, shift_id, with_for_update=True) or abort(404)
                stands = f"{row.volunteer_id} {row.substitute_id}"
                if sure and form.get("seen") != stands:
                    return show_shift(shift_id, "changed", 409)
                month = Period.month(row.starts_at.year, row.starts_at.month)
                span = watch.spoken(row.starts_at, row.ends_at)
                act = _act(session, row, runtime.clock())
                if not sure:
                    effect = trials.effect(session, settings, month.first, days_of(month), act)
                    return render_template(
                        "shift_look.html", effect=effect, span=span, shift_id=shift_id, stands=stands,
                        form={name: value for name, value in form.items() if name not in {"csrf_token", "seen"}},
                    )  # fmt: skip
                said = act()
                stays = form.get("do") != "remove" and session.get(Shift, shift_id) is not None
        except NobodyChosenError:
            return show_shift(shift_id, "nobody", 409)
        except tuple(REFUSALS) as error:
            return show_shift(shift_id, REFUSALS[type(error)], 409)
        flash(said)
        if not stays:
            return redirect(url_for("rota.month", month=month.name))
        back = form.get("other") if form.get("do") == "swap" else None
        return redirect(url_for("rota.shift", shift_id=shift_id, back=back))

    def show_plan(refused: str = "", status: int = 200) -> Any:
        """The month as it would be shared out; nothing of it is kept."""
        month = asked_month(runtime.clock())
        with db.reading() as session:
            names = {person.id: person.name for person in people(session)}
            off = [row for row in rotation.days_off(session, month.first) if row.day < month.end.date() and row.volunteer_id in names]  # fmt: skip
        facts: dict[str, Any] = {"month": month, "refused": refused, "names": names, "off": off, "typed": request.form}  # fmt: skip
        try:
            with db.trying() as session:
                added, proposal = _share_out(session, month)
                session.expire_all()
                begins = datetime.combine(month.first, time.min, SHANGHAI)
                page = render_template(
                    "rota_plan.html", added=added, proposal=proposal, spoken_span=watch.spoken,
                    shares=fairness.shares(session, begins, month.end), seal=trials.seal(added), **facts,
                )  # fmt: skip
        except rotation.NobodyError:
            page = render_template("rota_plan.html", added=[], **{**facts, "refused": "nobody"})
        return page, status

    @room.get("/plan")
    @needs(Role.LEAD)
    def plan() -> Any:
        return show_plan()

    @room.post("/plan")
    @needs(Role.LEAD)
    def plan_it() -> Any:
        """Write what was shown, if it would still be the same; or take it back."""
        now, by, month = runtime.clock(), current_user.person, asked_month(runtime.clock())
        if "back" in request.form:
            with db.writing() as session:
                gone = _take_back(session, request.form["back"], by, now)
            flash(f"撤掉了 {gone} 班。")
            return redirect(url_for("rota.month", month=month.name))
        try:
            with db.writing() as session:
                added, _ = _share_out(session, month)
                if trials.seal(added) != request.form.get("seal"):
                    raise OtherwiseError
                if added:
                    ledger.write(
                        session, at=now, person=by, act="generate_roster", object_kind="roster", object_id=None,
                        shifts=len(added), first=str(month.first), days=days_of(month),
                    )  # fmt: skip
                ids = " ".join(str(each.id) for each in added)
        except (OtherwiseError, rotation.NobodyError):
            return show_plan("changed", 409)
        return render_template("rota_planned.html", month=month, count=len(added), ids=ids)

    @room.post("/off")
    @needs(Role.LEAD)
    def day_off() -> Any:
        """Somebody cannot come on a day, or can after all; a shared-out month keeps to it."""
        now, by, form = runtime.clock(), current_user.person, request.form
        try:
            day = date.fromisoformat(form.get("day", "").strip())
        except ValueError:
            return show_plan("no_day", 409)
        with db.writing() as session:
            person = chosen(session, "who")
            if person is not None:
                write = shifts.no_day_off if "can" in form else shifts.day_off
                write(session, person, day, by, now)
                said = f"{person.name}{day.month}月{day.day}日{'能来了' if 'can' in form else '来不了'}，记下了。"
        if person is None:
            return show_plan("nobody_chosen", 409)
        flash(said)
        return redirect(url_for("rota.plan", month=asked_month(now).name))

    @room.get("/off")
    @needs(Role.LEAD)
    def off_from_history() -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("rota.plan"))

    def _share_out(session: Session, month: Period) -> tuple[list[Shift], rotation.Proposal]:
        """From tomorrow on: what is past stays as it was."""
        first = max(month.first, local(runtime.clock()).date() + timedelta(days=1))
        days = max((month.end.date() - first).days, 0)
        proposal = rotation.propose(session, roster.duty_hours(session, settings), first, days)
        return rotation.write(session, proposal), proposal


def days_of(month: Period) -> int:
    return (month.end - month.start).days


def people(session: Session) -> Any:
    """Who can have duty."""
    roles = (Role.VOLUNTEER, Role.LEAD)
    return session.scalars(
        select(Volunteer)
        .where(Volunteer.active, Volunteer.role.in_(roles))
        .order_by(Volunteer.name)
    ).all()


def chosen(session: Session, field: str) -> Volunteer | None:
    person = session.get(Volunteer, words.whole_number(request.form.get(field, "")))
    return person if person and person.active else None


def _act(session: Session, row: Shift, now: datetime) -> Callable[[], str]:
    """What the form asks for; the callable does it and says so. Raises NobodyChosenError."""
    form, by = request.form, current_user.person
    why = words.clean(form.get("why", ""))[:200]
    match form.get("do"):
        case "absent":
            gone = row.volunteer.name

            def absent() -> str:
                covered = shifts.absent(session, row, row.volunteer, by, now, why=why)
                return f"{gone}来不了，{covered.now_on.name}来顶班。" if covered.now_on else f"{gone}来不了，现在没有人能顶，这一班空着，请再排一个人。"  # fmt: skip

            return absent
        case "swap":
            other = session.get(Shift, words.whole_number(form.get("other", "")))
            if other is None:
                raise NobodyChosenError

            def swap() -> str:
                giver, taker = row.volunteer.name, other.volunteer.name
                swaps.directly(session, row, other.volunteer, by, now, in_return=other)
                return f"换好了：这一班{taker}来，{watch.spoken(other.starts_at, other.ends_at)}{giver}来。"  # fmt: skip

            return swap
        case "remove":

            def remove() -> str:
                shifts.remove(session, row, by, now, why=why)
                return "这一班去掉了。"

            return remove
        case _:
            who, second = chosen(session, "who"), chosen(session, "second")
            if who is None:
                raise NobodyChosenError

            def assign() -> str:
                shifts.assign(session, row, who.id, by, now, substitute_id=second.id if second else None, why=why)  # fmt: skip
                return f"换好了：{who.name}{f'，替补{second.name}' if second else ''}。"

            return assign


def _had_it_before(session: Session, shift: Shift) -> Volunteer | None:
    """Who had it before the last change, to be given it back."""
    asked = (
        select(LedgerLine)
        .where(LedgerLine.object_kind == "shift", LedgerLine.object_id == shift.id)
        .order_by(LedgerLine.sequence.desc()).limit(1)
    )  # fmt: skip
    last = session.scalar(asked)
    before = last.facts.get("before") if last and last.act == "assign_shift" else None
    person = session.get(Volunteer, before) if before else None
    return person if person and person.active and person.id != shift.volunteer_id else None


def _take_back(session: Session, ids: str, by: ledger.Person, now: datetime) -> int:
    """The shifts that were just written, those that have not begun; returns how many."""
    gone = 0
    for number in ids.split()[:400]:
        row = session.get(Shift, words.whole_number(number), with_for_update=True)
        if row is not None and row.starts_at > now:
            shifts.remove(session, row, by, now, why="撤掉刚才自动排的")
            gone += 1
    return gone
