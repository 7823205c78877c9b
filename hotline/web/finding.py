"""来过的电话: all calls of a month with filters, and words found in what was said."""

from typing import Any

from flask import Blueprint, render_template, request
from flask_login import current_user
from sqlalchemy import ColumnElement, select, tuple_

from hotline.phone import mask
from hotline.runtime import Runtime
from hotline.web import sheet, words
from hotline.web.auth import number
from hotline.web.figures import asked_month, in_order, tickets_of
from hotline.web.guard import needs
from ivr.models import Call
from tickets import counting, ledger, search
from tickets.figures import BY_KEY, CALLS, OFFERED, within
from tickets.models import Role, Transcript
from tickets.real import is_real

ON_A_PAGE = 50
LONGEST_QUERY = 40
AROUND = 20  # characters shown on each side of a word that was found
KINDS = {"": "全部", "reached": "接通的", "missed": "没接通的", "test": "试打的"}


def make_blueprint(runtime: Runtime) -> Blueprint:
    finding = Blueprint("finding", __name__)
    db = runtime.db

    @finding.get("/calls")
    @needs(Role.COMMITTEE)
    def calls() -> Any:
        """The calls of a month, the newest first; as many as the figures count."""
        now, kind = runtime.clock(), request.args.get("kind", "")
        month, before = asked_month(now), request.args.get("before", "")
        reached: ColumnElement[bool] = BY_KEY["reached"].counts
        page = (
            select(CALLS.c.id)
            .where(CALLS.c.flow == "inbound", is_real(CALLS.c, tests=kind == "test"), within(OFFERED, month.start, month.end, now))
            .order_by(CALLS.c.started_at.desc(), CALLS.c.id.desc())
            .limit(ON_A_PAGE + 1)
        )  # fmt: skip
        if kind in {"reached", "missed"}:
            page = page.where(reached if kind == "reached" else ~reached)
        with db.writing() as session:
            sheet.note_look(session, "look_at_calls", "month", None, now, month=month.name)
            if last := session.get(Call, number(before) or 0):
                page = page.where(tuple_(CALLS.c.started_at, CALLS.c.id) < tuple_(last.started_at, last.id))  # fmt: skip
            found = in_order(session, Call, session.scalars(page).all())
            value = counting.report(session, month, now)["reached"]
            return render_template(
                "calls.html", calls=found[:ON_A_PAGE], tickets=tickets_of(session, found), now=now,
                month=month, kind=kind if kind in KINDS else "", kinds=KINDS, value=value,
                more=found[ON_A_PAGE - 1].id if len(found) > ON_A_PAGE else None,
                earlier=month.before.first, later=month.after if month.end <= now else None,
            )  # fmt: skip

    @finding.get("/search")
    @needs(Role.COMMITTEE)
    def look_for() -> Any:
        """Two characters are enough. What was looked for is written down, numbers masked."""
        now, asked = runtime.clock(), words.clean(request.args.get("q", ""))[:LONGEST_QUERY]
        tests = sheet.asked_tests(runtime.settings)
        found: list[tuple[Transcript, str, str, str]] = []
        with db.writing() as session:
            if asked:
                transcripts = search.find(session, asked, ON_A_PAGE, tests=tests)
                ledger.write(
                    session, at=now, person=current_user.person, act="search", object_kind="transcript",
                    object_id=None, why=mask(asked), found=len(transcripts),
                )  # fmt: skip
                found = [
                    (each, *_around(each, asked)) for each in transcripts if each.recording.ticket
                ]
            return render_template(
                "search.html", asked=asked, found=found, now=now, most=ON_A_PAGE, tests=tests
            )

    return finding


def _around(transcript: Transcript, asked: str) -> tuple[str, str, str]:
    """What stands before the word, the word, and what follows, from the text that holds it."""
    for text in (transcript.corrected_text or "", transcript.text):
        kept = words.clean(text)
        at = kept.lower().find(asked.lower())
        if at >= 0:
            end = at + len(asked)
            return kept[max(0, at - AROUND) : at], kept[at:end], kept[end : end + AROUND]
    return words.clean(transcript.corrected_text or transcript.text)[: 2 * AROUND], "", ""
