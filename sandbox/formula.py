"""Airtable's formula language, as much of it as clients filter with.

A formula is parsed once and becomes a function of one row. Blank is None, text str, numbers float, true and
false bool, times datetime. What shows as an error in Airtable raises BadValue: a filter drops such a row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from lark import Lark
from lark.exceptions import UnexpectedInput

PARSER = Lark(
    r"""
    ?formula: joined (COMPARE joined)*
    ?joined: sum ("&" sum)*
    ?sum: product (SIGN product)*
    ?product: unary (TIMES unary)*
    ?unary: "-" unary -> negative
        | NUMBER -> number
        | TEXT -> text
        | BRACED -> field
        | WORD -> bare_field
        | WORD "(" [formula ("," formula)*] ")" -> call
        | "(" formula ")"
    COMPARE: "!=" | "<=" | ">=" | "=" | "<" | ">"
    SIGN: "+" | "-"
    TIMES: "*" | "/"
    NUMBER: /\d+(\.\d+)?|\.\d+/
    TEXT: /'(\\.|[^'\\])*'|"(\\.|[^"\\])*"/s
    BRACED: /\{(\\.|[^}\\])+\}/s
    WORD: /[^\W\d]\w*/
    %ignore /\s+/
    """,
    start="formula",
    parser="lalr",
    maybe_placeholders=False,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
MALFORMED = "Invalid formula. Please check your formula text."


class BadFormula(Exception):
    """What cannot be understood; the words Airtable adds to its refusal."""


class BadValue(Exception):
    """A cell of the result would show #ERROR!."""


class Row(Protocol):
    """What a formula sees of a record. `cell` raises BadValue for a cell that holds an error."""

    @property
    def id(self) -> str: ...
    @property
    def created(self) -> datetime: ...
    @property
    def modified(self) -> datetime: ...
    @property
    def now(self) -> datetime: ...

    def cell(self, field: str) -> Any: ...


Work = Callable[[Row], Any]


@dataclass(frozen=True)
class Formula:
    """`fields`: names or ids the text refers to, each of which `cell` must know."""

    fields: tuple[str, ...]
    result: Work

    def keeps(self, row: Row) -> bool:
        try:
            return is_truth(self.result(row))
        except BadValue:
            return False


@lru_cache(maxsize=64)
def compiled(text: str) -> Formula:
    """Raises BadFormula."""
    try:
        tree = PARSER.parse(text)
    except UnexpectedInput as error:
        raise BadFormula(MALFORMED) from error
    fields: dict[str, None] = {}
    return Formula(result=_work(tree, fields), fields=tuple(fields))


def _work(tree: Any, fields: dict[str, None]) -> Work:
    """The function a part of a formula stands for; names of fields are added to `fields`."""
    kind, parts = tree.data, tree.children
    if kind == "number":
        amount = float(parts[0])
        return lambda row: amount
    if kind == "text":
        words = unescaped(parts[0][1:-1])
        return lambda row: words
    if kind in ("field", "bare_field"):
        name = str(parts[0]) if kind == "bare_field" else unescaped(parts[0][1:-1])
        fields[name] = None
        return lambda row: row.cell(name)
    if kind == "call":
        return _call(parts[0].upper(), parts[1:], fields)
    works = [_work(part, fields) for part in (parts if kind in ("negative", "joined") else parts[::2])]
    if kind == "negative":
        return lambda row: -number_of(works[0](row))
    if kind == "joined":
        return lambda row: "".join(text_of(work(row)) for work in works)
    found = works[0]
    for sign, work in zip(parts[1::2], works[1:], strict=True):
        found = _pair(OPERATORS[sign], found, work)
    return found


def _pair(operator: Callable[[Any, Any], Any], left: Work, right: Work) -> Work:
    return lambda row: operator(left(row), right(row))


def _call(name: str, parts: list[Any], fields: dict[str, None]) -> Work:
    if name not in ARGUMENTS:
        raise BadFormula(f"Unknown function names: {name}")
    least, most = ARGUMENTS[name]
    if not least <= len(parts) <= (most if most is not None else len(parts)):
        raise BadFormula(MALFORMED)
    works = [_work(part, fields) for part in parts]
    if name == "OR" and (ids := _record_ids(parts)):
        return lambda row: row.id in ids
    if name == "AND":
        return lambda row: all(is_truth(work(row)) for work in works)
    if name == "OR":
        return lambda row: any(is_truth(work(row)) for work in works)
    if name in OF_ROW:
        return OF_ROW[name]
    function = FUNCTIONS[name]
    return lambda row: function(*[work(row) for work in works])


def _record_ids(parts: list[Any]) -> frozenset[str] | None:
    """The ids of RECORD_ID()='rec…',RECORD_ID()='rec…': clients ask for hundreds in one formula."""
    ids = set()
    for part in parts:
        if part.data != "formula" or len(part.children) != 3 or part.children[1] != "=":
            return None
        call, _, text = part.children
        if call.data != "call" or call.children[0].upper() != "RECORD_ID" or text.data != "text":
            return None
        ids.add(unescaped(text.children[0][1:-1]))
    return frozenset(ids)


def unescaped(text: str) -> str:
    found, letters = [], iter(text)
    for letter in letters:
        if letter == "\\":
            after = next(letters)
            letter = ESCAPES.get(after, after)
        found.append(letter)
    return "".join(found)


# -- values


def is_truth(found: Any) -> bool:
    return bool(found) and found == found  # NaN is not itself


def number_of(found: Any) -> float:
    if found is None:
        return 0.0
    if isinstance(found, bool | float):
        return float(found)
    raise BadValue


def text_of(found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, bool):
        return "1" if found else "0"
    if isinstance(found, float):
        return str(int(found)) if found.is_integer() else str(found)
    if isinstance(found, datetime):
        return found.strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.microsecond // 1000:03d}Z"
    return str(found)


def moment_of(found: Any) -> datetime:
    """A time, or text that is one. Raises BadValue for anything else, blank too."""
    if isinstance(found, datetime):
        return found
    if isinstance(found, str):
        try:
            moment = datetime.fromisoformat(found)
        except ValueError:
            raise BadValue from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise BadValue


def _equal(left: Any, right: Any) -> bool:
    if left is None or right is None:  # blank equals 0, "" and false
        return not left and not right
    if isinstance(left, bool | float) and isinstance(right, bool | float):
        return float(left) == float(right)
    return text_of(left) == text_of(right)


def _order(left: Any, right: Any) -> int:
    if isinstance(left, datetime) or isinstance(right, datetime):
        one, other = moment_of(left).timestamp(), moment_of(right).timestamp()
    elif isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    else:
        one, other = number_of(left), number_of(right)
    return (one > other) - (one < other)


def _quotient(left: Any, right: Any) -> float:
    if not number_of(right):
        raise BadValue
    return number_of(left) / number_of(right)


def _found(needle: Any, where: Any, start: Any = None) -> float:
    """The place of `needle`, counted from 1; 0 when it is not there."""
    return float(text_of(where).find(text_of(needle), max(0, int(number_of(start)) - 1)) + 1)


def _same(left: Any, right: Any, unit: Any = None) -> bool:
    if unit not in (None, "day"):
        raise BadValue
    one, other = moment_of(left), moment_of(right)
    return one.date() == other.date() if unit else one == other


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": lambda left, right: _order(left, right) < 0,
    ">": lambda left, right: _order(left, right) > 0,
    "<=": lambda left, right: _order(left, right) <= 0,
    ">=": lambda left, right: _order(left, right) >= 0,
    "+": lambda left, right: number_of(left) + number_of(right),
    "-": lambda left, right: number_of(left) - number_of(right),
    "*": lambda left, right: number_of(left) * number_of(right),
    "/": _quotient,
}
OF_ROW: dict[str, Work] = {
    "RECORD_ID": lambda row: row.id,
    "CREATED_TIME": lambda row: row.created,
    "LAST_MODIFIED_TIME": lambda row: row.modified,
    "NOW": lambda row: row.now,
    "TODAY": lambda row: row.now.replace(hour=0, minute=0, second=0, microsecond=0),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "BLANK": lambda: None,
    "TRUE": lambda: True,
    "FALSE": lambda: False,
    "NOT": lambda found: not is_truth(found),
    "IF": lambda test, yes, no=None: yes if is_truth(test) else no,
    "IS_AFTER": lambda left, right: moment_of(left) > moment_of(right),
    "IS_BEFORE": lambda left, right: moment_of(left) < moment_of(right),
    "IS_SAME": _same,
    "DATETIME_PARSE": moment_of,
    "FIND": _found,
    "SEARCH": lambda needle, where, start=None: _found(needle, where, start) or None,
    "LOWER": lambda found: text_of(found).lower(),
    "UPPER": lambda found: text_of(found).upper(),
    "TRIM": lambda found: text_of(found).strip(),
    "LEN": lambda found: float(len(text_of(found))),
}
# How many arguments each takes, at least and at most.
ARGUMENTS: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys((*OF_ROW, "BLANK", "TRUE", "FALSE"), (0, 0)),
    **dict.fromkeys(("NOT", "DATETIME_PARSE", "LOWER", "UPPER", "TRIM", "LEN"), (1, 1)),
    **dict.fromkeys(("IS_AFTER", "IS_BEFORE"), (2, 2)),
    **dict.fromkeys(("IS_SAME", "FIND", "SEARCH", "IF"), (2, 3)),
    **dict.fromkeys(("AND", "OR"), (1, None)),
}
