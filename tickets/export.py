"""Sheets as files: streamed row by row, so that a year needs no more memory than a day."""

import csv
from datetime import datetime
from typing import IO

from sqlalchemy.orm import Session
from xlsxwriter import Workbook

from tickets.listings import Cell, Sheet

MOST_ROWS = 1_048_575  # of one worksheet, below its headings
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would calculate


class TooLongError(Exception):
    """More rows than a worksheet holds; a CSV holds any number."""


def write_csv(session: Session, sheet: Sheet, start: datetime, end: datetime, file: IO[str]) -> int:
    """Write a sheet to a text file opened as UTF-8; returns how many rows."""
    file.write("\ufeff")  # by which Excel knows it is UTF-8
    writer = csv.writer(file)
    writer.writerow(sheet.headings)
    rows = 0
    for row in sheet.rows(session, start, end):
        writer.writerow([_harmless(cell) for cell in row])
        rows += 1
    return rows


def write_xlsx(
    session: Session, sheet: Sheet, start: datetime, end: datetime, file: IO[bytes]
) -> int:
    """Write a sheet as a workbook, dated `end` so that it is the same again tomorrow; returns how
    many rows. Raises TooLongError."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(file, options) as book:
        book.set_properties({"created": end.replace(tzinfo=None, microsecond=0)})
        page = book.add_worksheet(sheet.name)
        page.freeze_panes(1, 0)
        page.write_row(0, 0, sheet.headings)
        number = 0
        for number, row in enumerate(sheet.rows(session, start, end), 1):
            if number > MOST_ROWS:
                raise TooLongError(sheet.key)
            page.write_row(number, 0, ["" if cell is None else cell for cell in row])
    return number


def _harmless(cell: Cell) -> Cell:
    """Text that a spreadsheet would take for a formula is marked as text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
