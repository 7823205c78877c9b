"""Excel files of people who are no clerks: read with care, so that nothing is guessed.

Whatever is wrong is told in plain Chinese and names its row; a file that cannot be read as a whole
raises UnreadableSheetError.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import xlsxwriter

from tickets.imports import UnreadableSheetError

if TYPE_CHECKING:  # it loads numpy: only where a file is read
    from openpyxl import Workbook
    from openpyxl.cell.cell import Cell, MergedCell
    from openpyxl.worksheet.worksheet import Worksheet

MAX_BYTES = 5_000_000
MAX_UNPACKED_BYTES = 40_000_000  # what openpyxl then takes about ten times of
MAX_ROWS, MAX_COLUMNS = 5_000, 60
HEADING_WITHIN = 10  # rows: a title, a date, an empty line may stand above
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # .xls, and every xlsx with a password


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, other headings people use for it, an example for the template."""

    heading: str
    also: tuple[str, ...] = ()
    needed: bool = False
    example: str = ""
    width: int = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One row by the headings of its columns; `wrong` says why none of it can be used."""

    number: int  # as Excel shows it
    cells: Mapping[str, Any]
    wrong: str = ""

    def text(self, heading: str) -> str:
        """The cell as a person reads it; numbers without .0"""
        value = self.cells.get(heading)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return "" if value is None else _narrow(str(value)).strip()


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows that hold anything, and what is worth saying about the file."""

    rows: Sequence[Row]
    remarks: Sequence[str] = ()
    epoch: Any = None  # the day from which this file counts its days
    headings: frozenset[str] = field(default_factory=frozenset)


def read(content: bytes, columns: Sequence[Column]) -> Sheet:
    """The first worksheet. Raises UnreadableSheetError."""
    book = _open(content)
    sheet = next((each for each in book.worksheets if each.max_row and each.sheet_state == "visible"), None)  # fmt: skip
    if sheet is None:
        raise UnreadableSheetError("文件里没有表格。")
    if sheet.max_row > MAX_ROWS:
        raise UnreadableSheetError(f"表格有{sheet.max_row}行，一次最多{MAX_ROWS}行。请删掉后面的空行，或者分成几个文件。")  # fmt: skip
    if sheet.max_column > MAX_COLUMNS:
        raise UnreadableSheetError(f"表格有{sheet.max_column}栏，最多{MAX_COLUMNS}栏。请删掉后面的空栏。")  # fmt: skip
    heading_row, places = _headings(sheet, columns)
    remarks = [
        f"「{heading}」这一栏不认识，没有读。"
        for heading in _written(sheet, heading_row)
        if heading not in {_plain(name) for column in columns for name in (column.heading, *column.also)}
    ]  # fmt: skip
    if len(book.worksheets) > 1:
        remarks.append(f"文件里有{len(book.worksheets)}张表，只读了「{sheet.title}」。")
    return Sheet(tuple(_rows(sheet, heading_row, places)), remarks, book.epoch, frozenset(places))


def write(
    columns: Sequence[Column], rows: Iterator[Sequence[Any]] | Sequence[Sequence[Any]], *, title: str
) -> bytes:  # fmt: skip
    """A file with these headings and rows. Everything stays text: nothing becomes a formula."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(
        file,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
    )  # fmt: skip
    sheet = book.add_worksheet(title)
    bold, text = book.add_format({"bold": True, "bg_color": "#EEEEEE"}), book.add_format({"num_format": "@"})  # fmt: skip
    for place, column in enumerate(columns):
        sheet.set_column(place, place, column.width, text)
        sheet.write_string(0, place, column.heading, bold)
    for number, row in enumerate(rows, start=1):
        for place, value in enumerate(row):
            sheet.write_string(number, place, "" if value is None else str(value), text)
    sheet.freeze_panes(1, 0)
    book.close()
    return file.getvalue()


def _open(content: bytes) -> "Workbook":
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    if len(content) > MAX_BYTES:
        raise UnreadableSheetError(f"文件有{len(content) / 1e6:.0f}兆，太大了，最多{MAX_BYTES // 1_000_000}兆。")  # fmt: skip
    if content.startswith(OLD_EXCEL):
        raise UnreadableSheetError("这是老的xls文件，或者加了密码。请另存为不带密码的xlsx。")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MAX_UNPACKED_BYTES:
                raise UnreadableSheetError("这个文件展开来太大了，请把用不着的行和图片删掉。")
            if any(name.lower().endswith("vbaproject.bin") for name in packed.namelist()):
                raise UnreadableSheetError("文件里有宏，不收。请在Excel里另存为不带宏的xlsx。")
        return load_workbook(io.BytesIO(content), keep_links=False)
    except UnreadableSheetError:
        raise
    except (zipfile.BadZipFile, InvalidFileException, KeyError, OSError) as error:
        raise UnreadableSheetError("这不是xlsx文件。请在Excel里另存为xlsx。") from error
    except Exception as error:  # openpyxl raises whatever its parsers stumble over
        raise UnreadableSheetError("这个文件坏了，打不开。请在Excel里另存一份再试。") from error


def _headings(sheet: "Worksheet", columns: Sequence[Column]) -> tuple[int, dict[str, int]]:
    """The row of headings and the place of each column; raises UnreadableSheetError."""
    names = {_plain(name): column.heading for column in columns for name in (column.heading, *column.also)}  # fmt: skip
    best: tuple[int, int] = (0, 0)
    for number in range(1, min(HEADING_WITHIN, sheet.max_row) + 1):
        known = sum(heading in names for heading in _written(sheet, number))
        best = max(best, (known, -number))
    if best[0] == 0:
        wanted = "、".join(column.heading for column in columns if column.needed)
        raise UnreadableSheetError(f"前{HEADING_WITHIN}行里找不到表头。表头里要有：{wanted}。可以先下载空表，照着填。")  # fmt: skip
    heading_row, places = -best[1], dict[str, int]()
    for place in range(1, sheet.max_column + 1):
        heading = names.get(_plain(sheet.cell(heading_row, place).value))
        if heading in places:
            raise UnreadableSheetError(f"「{heading}」有两栏，请只留一栏。")
        if heading:
            places[heading] = place
    missing = [c.heading for c in columns if c.needed and c.heading not in places]
    if missing:
        raise UnreadableSheetError("".join(_miss(each, sheet, heading_row, names) for each in missing))  # fmt: skip
    return heading_row, places


def _miss(heading: str, sheet: "Worksheet", heading_row: int, names: Mapping[str, str]) -> str:
    strange = [each for each in _written(sheet, heading_row) if each not in names]
    theirs = [name for name, meant in names.items() if meant == heading]
    for written in strange:
        if get_close_matches(written, theirs, 1, 0.5):
            return f"少了「{heading}」这一栏。表里写的是「{written}」，是不是「{heading}」？请改好再来。"  # fmt: skip
    return f"少了「{heading}」这一栏。"


def _rows(sheet: "Worksheet", heading_row: int, places: Mapping[str, int]) -> Iterator[Row]:
    merged = {
        number: f"第{area.min_row}到{area.max_row}行有合并的格子，请取消合并，每一行都写上。"
        if area.min_row != area.max_row else "这一行有合并的格子，请取消合并。"
        for area in sheet.merged_cells.ranges
        for number in range(area.min_row, area.max_row + 1)
    }  # fmt: skip
    for number in range(heading_row + 1, sheet.max_row + 1):
        cells = {heading: sheet.cell(number, place) for heading, place in places.items()}
        if not any(_filled(cell) for cell in cells.values()):
            continue
        wrong = merged.get(number, "") or next(filter(None, map(_wrong, cells.values())), "")
        yield Row(number, {heading: cell.value for heading, cell in cells.items()}, wrong)


def _filled(cell: "Cell | MergedCell") -> bool:
    """Whether it holds anything; what is merged away may."""
    from openpyxl.cell.cell import MergedCell

    return isinstance(cell, MergedCell) or bool(str(cell.value or "").strip())


def _wrong(cell: "Cell | MergedCell") -> str:
    if cell.data_type == "f":
        return f"{cell.coordinate}是公式，请复制后「粘贴为数值」。"
    return f"{cell.coordinate}是错误值{cell.value}。" if cell.data_type == "e" else ""


def _written(sheet: "Worksheet", number: int) -> list[str]:
    row = (sheet.cell(number, place).value for place in range(1, sheet.max_column + 1))
    return [heading for heading in map(_plain, row) if heading]


def _plain(value: Any) -> str:
    """A heading without spaces, marks and what stands in brackets: 电话（手机）* is 电话."""
    text = re.sub(r"[(（【\[].*?[)）】\]]", "", _narrow(str(value or "")))
    return re.sub(r"[\s*:：]", "", text)


def _narrow(text: str) -> str:
    """Full-width digits, letters and marks as narrow ones."""
    return "".join(chr(ord(c) - 0xFEE0) if "！" <= c <= "～" else " " if c == "　" else c for c in text)  # fmt: skip
