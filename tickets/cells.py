"""What people write into cells: days, hours, numbers of telephones, doors, yes and no."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from hotline.phone import NotAPhoneError, Phone
from tickets.imports import WrongCellError

HALF_YEAR = timedelta(days=183)
NO_WORDS = {"", "否", "无", "不", "不用", "没有", "n", "no", "0", "×", "x"}
YES_WORDS = {"是", "有", "要", "√", "y", "yes", "1", "慢", "对"}


def day(value: Any, near: date, epoch: Any = None) -> date:
    """A date, a date as text (2026-12-1, 2026年12月1日, 12月1日, 12/1) or Excel's count of days.

    A day without its year is the one nearest to `near`. Raises WrongCellError.
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value or "").strip()
    try:
        if re.fullmatch(r"\d{5}(\.\d+)?", text):
            from openpyxl.utils.datetime import WINDOWS_EPOCH, from_excel  # it loads numpy

            counted = from_excel(float(text), epoch or WINDOWS_EPOCH)
            if isinstance(counted, datetime):
                return counted.date()
        if found := re.fullmatch(
            r"(\d{4})[-/.年]\s*(\d{1,2})[-/.月]\s*(\d{1,2})日?(?:\s*0?0:00(?::00)?)?", text
        ):
            year, month, number = map(int, found.groups())
            return date(year, month, number)
        if found := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text):
            year, month, number = map(int, found.groups())
            return date(year, month, number)
        if found := re.fullmatch(r"(\d{1,2})[-/.月]\s*(\d{1,2})[日号]?", text):
            month, number = map(int, found.groups())
            years = (date(year, month, number) for year in range(near.year - 1, near.year + 2))
            return min(years, key=lambda each: abs(each - near))
    except ValueError as error:
        raise WrongCellError(f"「{text}」没有这一天。") from error
    raise WrongCellError(f"「{text}」看不出是哪一天，请写成 2026-12-01 这样。")


def hours(value: Any) -> tuple[time, time]:
    """08:30-11:30, 8：30～11：30, 8点半-11点半; 24:00 is the day's end. Raises WrongCellError."""
    text = str(value or "").strip()
    plain = re.sub(r"\s", "", text).replace("：", ":").replace("点半", ":30")
    plain = re.sub(r"点(?=\D|$)", ":00", plain).replace("点", ":").replace("分", "")
    found = re.fullmatch(
        r"(\d{1,2}):(\d\d)(?::00)?[-–—~～至到](次日)?(\d{1,2}):(\d\d)(?::00)?", plain
    )
    try:
        if found:
            first, second = (int(found[1]), int(found[2])), (int(found[4]), int(found[5]))
            start, end = time(*first), time.max if second == (24, 0) else time(*second)
            if start != end:
                return start, end
    except ValueError:
        pass
    raise WrongCellError(f"「{text}」看不出是几点到几点，请写成 08:30-11:30 这样。")


def phones(text: str, *, country: str, area: str) -> tuple[str, ...]:
    """The numbers in a cell, in E.164; several are set apart by 、，/ or a space. Raises WrongCellError."""
    found = dict[str, None]()
    for part in _numbers(text):
        if "*" in part:
            raise WrongCellError("电话是打了星号的，请写完整的号码，或者把这一格留空。")
        if re.search(r"\d[eE]\+?\d", part):
            raise WrongCellError("电话变成了科学计数，请把这一栏设成「文本」，重新写号码。")
        try:
            found[Phone.parse(part, country=country, area=area).e164] = None
        except NotAPhoneError as error:
            digits = len(re.sub(r"\D", "", part))
            raise WrongCellError(f"电话看不懂（有{digits}位数字），请查一查。") from error
    return tuple(found)


def _numbers(text: str) -> Sequence[str]:
    """Set apart; a space or a dash within one number (138 1234 5678, 0579-8234 5678) is none."""
    parts = [part.strip() for part in re.split(r"[、，,;；/\n|]+", text) if part.strip()]
    numbers = list[str]()
    for part in parts:
        pieces = part.split()
        whole = all(len(re.sub(r"\D", "", piece)) >= 7 for piece in pieces)
        numbers += pieces if whole else [part]
    return numbers


def yes(text: str) -> bool:
    """Raises WrongCellError for what is neither yes nor no."""
    word = text.strip().lower()
    if word in NO_WORDS or word in YES_WORDS:
        return word in YES_WORDS
    raise WrongCellError(f"「{text}」不知道是「是」还是「否」。")


def door_part(text: str, unit: str) -> str:
    """3, 3幢, 第3幢, 03 as 3; letters stay. Raises WrongCellError."""
    plain = re.sub(r"\s|第|栋|号楼|号|楼", "", text)
    for word in ("幢", "单元", "室"):
        plain = plain.removesuffix(word)
    if re.fullmatch(r"[0-9A-Za-z]{0,6}", plain):
        return re.sub(r"^0+(?=\d)", "", plain).upper()
    raise WrongCellError(f"{unit}「{text}」看不懂，只写数字就行。")


def door(text: str) -> tuple[str, str, str]:
    """3-2-501 or 3幢2单元501室 as building, unit, room. Raises WrongCellError."""
    plain = re.sub(r"\s|栋", lambda found: "幢" if found[0] == "栋" else "", text)
    found = re.fullmatch(r"(\w+?)[-—–](\w+?)[-—–](\w+)", plain) or re.fullmatch(
        r"(\d+)幢(?:(\d+)单元)?(\d+)?室?", plain
    )
    if not found:
        raise WrongCellError(f"地址「{text}」看不懂，请写成 3-2-501（幢-单元-室）。")
    building, unit, room = (part or "" for part in found.groups())
    return door_part(building, "幢"), door_part(unit, "单元"), door_part(room, "室")
