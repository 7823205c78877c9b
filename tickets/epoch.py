"""Whole seconds since 1970 of an instant in a table, on both databases."""

from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class seconds(FunctionElement[int]):  # noqa: N801  written like the function it is
    """`seconds(column)`; differences of it are what lies between two instants."""

    type = Integer()
    inherit_cache = True


@compiles(seconds, "sqlite")
def _sqlite(element: seconds, compiler: SQLCompiler, **given: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **given)}) AS INTEGER)"


@compiles(seconds, "postgresql")
def _postgresql(element: seconds, compiler: SQLCompiler, **given: Any) -> str:
    return f"floor(extract(epoch FROM {compiler.process(element.clauses, **given)}))"
