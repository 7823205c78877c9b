"""Every sheet there is: those of the errand side, and what calls have heard."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from hotline.clock import local
from ivr import heard
from tickets import listings
from tickets.listings import Row, Sheet


def _heard(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    for each in heard.in_span(session, start, end):
        by = each.voice
        yield [
            each.call_id, each.turn, f"{local(each.at):%Y-%m-%d %H:%M:%S}", each.prompt, each.part or None,
            "真人" if by else "机器", by.spot.kept_in or "普通话" if by else "",
            by.version if by else None, by.sha256 if by else "",
        ]  # fmt: skip


HEARD = Sheet(
    "heard", "放过的提示语",
    ("电话序号", "第几问", "时间", "提示语", "第几段", "谁念的", "哪一套", "第几遍", "SHA-256"), _heard,
)  # fmt: skip
SHEETS = (*listings.SHEETS, HEARD)
BY_KEY = {sheet.key: sheet for sheet in SHEETS}
