"""The sealed month: one zip of everything the committee's books say of it, and the hash of each
part. Made once and kept; made again from the same rows it is the same bytes."""

import csv
import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.store import Store
from tickets import audit, counting, export, ledger, promises
from tickets.audit import Mark
from tickets.books import Seal
from tickets.counting import Period
from tickets.figures import FEWEST
from tickets.ledger import LEDGER, Person
from tickets.listings import REASONS, SHEETS
from tickets.models import Duty, Promise, PromiseState

BLOCK = 1 << 16
MANIFEST = "manifest.json"
FIGURES = "figures.csv"


class NotOverError(Exception):
    """The month is not over yet: what is sealed must not change any more."""


class NotWholeError(Exception):
    """A broken ledger is not sealed; carries the fault."""

    def __init__(self, fault: audit.Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


class BrokenBundleError(Exception):
    """A bundle is not what was sealed; the text names the part."""


def sealed(session: Session, month: Period) -> Seal | None:
    """The month's seal, if it has one: then that is the bundle, whatever has changed since."""
    return session.get(Seal, month.name)


def ask(session: Session, month: Period, by: Person, now: datetime) -> int | None:
    """Have the hands seal a month; the promise to ring for, None if it is sealed or they are at it.

    Raises NotOverError.
    """
    if now < month.end:
        raise NotOverError(month.name)
    before = asked(session, month)
    if sealed(session, month) or (before and before.state is PromiseState.OPEN):
        return None
    return promises.make(session, Duty.SEAL, now, month=month.name, volunteer_id=by.volunteer_id).id


def asked(session: Session, month: Period) -> Promise | None:
    """The last time that somebody had this month sealed."""
    of_month = select(Promise).where(Promise.duty == Duty.SEAL, Promise.month == month.name)
    return session.scalar(of_month.order_by(Promise.id.desc()).limit(1))


def prepare(session: Session, month: Period, folder: Path, now: datetime) -> Path:
    """Write the bundle of a month that is over; raises NotOverError, NotWholeError.

    It takes its time: in a session that reads, so that nobody waits for the pen.
    """
    if now < month.end:
        raise NotOverError(month.name)
    if fault := audit.verify(session).fault:
        raise NotWholeError(fault)
    return build(session, month, folder)


def keep(session: Session, store: Store, month: Period, path: Path, by: Person, now: datetime) -> Seal:  # fmt: skip
    """Store the bundle and seal the month; whoever was quicker has sealed it."""
    if (before := sealed(session, month)) is not None:
        return before
    stored = store.put(_blocks(path), ".zip")
    seal = Seal(
        month=month.name, at=now, key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes
    )  # fmt: skip
    session.add(seal)
    audit.head(session, now)
    ledger.write(
        session, at=now, person=by, act="seal", object_kind="month", object_id=None,
        month=seal.month, sha256=seal.sha256,
    )  # fmt: skip
    return seal


def build(session: Session, month: Period, folder: Path) -> Path:
    """Write the month's zip into a folder. Nothing in it says when or where it was made."""
    bundle_path, parts = folder / f"{month.name}.zip", {}
    with zipfile.ZipFile(bundle_path, "w") as bundle:
        for name in (*(f"{sheet.key}.csv" for sheet in SHEETS), FIGURES):
            path = folder / name
            with path.open("w", encoding="utf-8", newline="") as file:
                _write(session, month, name, file)
            parts[name] = _add(bundle, month, name, _blocks(path))
        last = session.execute(
            select(LEDGER.c.sequence, LEDGER.c.hash).where(LEDGER.c.at < month.end)
            .order_by(LEDGER.c.sequence.desc()).limit(1)
        ).first()  # fmt: skip
        manifest = {
            "month": month.name,
            "ledger": {"sequence": last.sequence, "hash": last.hash} if last else None,
            "sha256": parts,
        }
        written = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True)
        _add(bundle, month, MANIFEST, [written.encode()])
    return bundle_path


def check(path: Path) -> Mark | None:
    """Compare a bundle's parts with its manifest; returns what it says of the ledger's last line.

    Raises BrokenBundleError.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            manifest = json.loads(bundle.read(MANIFEST))
            parts = manifest["sha256"]
            if {*bundle.namelist()} != {*parts, MANIFEST}:
                raise BrokenBundleError("里面的表和清单对不上")
            for name, expected in parts.items():
                with bundle.open(name) as part:
                    if hashlib.file_digest(part, "sha256").hexdigest() != expected:  # type: ignore[arg-type]
                        raise BrokenBundleError(f"{name} 被改过")
            last = manifest["ledger"]
            by = f"封存的 {manifest['month']} "
            return Mark(int(last["sequence"]), str(last["hash"]), by) if last else None
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise BrokenBundleError("打不开，或者缺了清单") from error


def _write(session: Session, month: Period, name: str, file: IO[str]) -> None:
    if name == FIGURES:
        write_figures(session, month, file)
    else:
        sheet = next(sheet for sheet in SHEETS if f"{sheet.key}.csv" == name)
        export.write_csv(session, sheet, month.start, month.end, file)


def write_figures(session: Session, period: Period, file: IO[str]) -> None:
    """The figures of a period that is over, each with its definition."""
    report = counting.report(session, period, period.end)
    rows = csv.writer(file)
    file.write("\ufeff")
    rows.writerow(("数字", "分子", "分母", "百分比", "上期分子", "上期分母", "怎么算的"))
    for value in report.values:
        share = "" if value.percent is None else f"{value.percent:.1f}%"
        rows.writerow(
            (value.figure.name, value.k, value.n, share, value.k_before, value.n_before, value.figure.how)
        )  # fmt: skip
    for name, number in (
        ("平均跑动次数", "" if report.trips_a_ticket is None else f"{report.trips_a_ticket:.2f}"),
        ("响应时长中位数（值班分钟）", report.median_minutes),
        ("响应时长P90（值班分钟）", report.p90_minutes),
        *((f"再跑一趟的原因：{REASONS[reason]}", many) for reason, many in report.reasons),
    ):
        rows.writerow((name, "" if number is None else number, "", "", "", "", ""))
    rows.writerow((f"分母不到{FEWEST}的不写百分比", "", "", "", "", "", ""))


def _add(bundle: zipfile.ZipFile, month: Period, name: str, blocks: Iterator[bytes] | list[bytes]) -> str:  # fmt: skip
    info = zipfile.ZipInfo(name, (month.after.year, month.after.month, 1, 0, 0, 0))
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    digest = hashlib.sha256()
    with bundle.open(info, "w") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
