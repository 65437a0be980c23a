"""What a model may not say, because only one engine understands it or engines silently disagree.

Reads SQL as written, Jinja included: what macros expand to is theirs to get right, but SQL handed to a
macro as text is checked like any other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.S)
JINJA_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.S)
# Their texts are names and settings, not SQL.
JINJA_NAMES = re.compile(r"\{\{-?\s*(?:config|ref|source|var|doc|env_var|local_ts|log)\b")
TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<word>[a-z_\x80-\uffff][\w$]*)
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<operator>->>|->|\#>>|\#>|::|!~\*|!~~|!~|~\*|~~|~|//|\*\*|\|\||<=|>=|<>|!=|.)
    """,
    re.S | re.I | re.X,
)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    line: int
    depth: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Finding:
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.found}: write {self.instead}"


# Words refused wherever they stand, and those refused only when called.
WORDS = {
    "qualify": "row_number() in a CTE, where rn = 1",
    "try_cast": "try_number, try_date or try_timestamp",
    "interval": "dbt.dateadd",
    "timestamptz": "local_ts and timestamps in UTC without zone",
    "pivot": "joins and sums of cases",
    "unpivot": "joins and sums of cases",
    "asof": "joins and sums of cases",
    "unnest": "joins and sums of cases",
    "current_timestamp": "the variable as_of",
    "current_date": "the variable as_of",
    "current_time": "the variable as_of",
    "localtimestamp": "the variable as_of",
    "localtime": "the variable as_of",
}
CALLS = {
    **dict.fromkeys(("arg_max", "arg_min", "max_by", "min_by"), "row_number() in a CTE, where rn = 1"),
    **dict.fromkeys(
        ("datediff", "date_diff", "dateadd", "date_add", "date_sub", "datesub", "age"),
        "dbt.datediff or dbt.dateadd",
    ),
    **dict.fromkeys(("strftime", "strptime", "to_char", "date_format"), "dbt.dateadd, or a dispatched macro"),
    **dict.fromkeys(("generate_series", "range", "sequence"), "dbt.date_spine"),
    **dict.fromkeys(("timezone", "from_utc_timestamp", "to_utc_timestamp"), "local_ts"),
    **dict.fromkeys(("string_agg", "listagg", "group_concat"), "sorted_list"),
    **dict.fromkeys(("any_value", "first", "last", "arbitrary"), "dbt.any_value, or min or max"),
    **dict.fromkeys(("bool_or", "bool_and", "logical_or", "logical_and", "every"), "dbt.bool_or"),
    **dict.fromkeys(
        ("median", "quantile", "quantile_cont", "quantile_disc", "approx_quantile"),
        "percentile_cont within group",
    ),
    **dict.fromkeys(
        ("list", "array_agg", "struct_pack", "explode", "flatten", "map", "row", "columns"),
        "joins and sums of cases",
    ),
    **dict.fromkeys(
        ("now", "today", "getdate", "get_current_timestamp", "transaction_timestamp"), "the variable as_of"
    ),
    **dict.fromkeys(("dayofweek", "isodow", "weekday", "weekofyear", "yearweek"), "a dispatched macro"),
    **dict.fromkeys(("date_part", "datepart", "date_trunc"), "dbt.date_trunc, or a dispatched macro"),
}
PREFIXES = {
    "json_": "json_text and its typed kin",
    "list_": "joins and sums of cases",
    "array_": "joins and sums of cases",
    "struct_": "joins and sums of cases",
    "regexp_": "a dispatched macro",
}
OPERATORS = {
    **dict.fromkeys(("->>", "->", "#>>", "#>"), "json_text and its typed kin"),
    **dict.fromkeys(("[", "]", "{", "}"), "joins and sums of cases"),
    **dict.fromkeys(("~", "!~", "~*", "!~*", "~~", "!~~"), "a dispatched macro"),
    **dict.fromkeys(("/", "//"), "ratio, or another macro that says what whole numbers do"),
    "**": "power()",
    "::": "cast(… as …)",
}
PARTS = {"dow", "isodow", "dayofweek", "dayofyear", "doy", "week", "weekday", "isoyear", "epoch", "second"}
TYPES = {
    **dict.fromkeys(("varchar", "text", "string", "char", "bpchar"), "dbt.type_string()"),
    **dict.fromkeys(("double", "float", "float4", "float8", "real"), "t_double()"),
    "timestamptz": "timestamp, in UTC without zone",
    **dict.fromkeys(("json", "jsonb", "hugeint", "ubigint", "datetime"), "a type that every engine has"),
}
CLAUSES = {"from", "where", "group", "having", "order", "limit", "union", "window", "intersect", "except"}
MOMENT = re.compile(r".*_(?:date|at|local|on|day)$|^date$|^full_date$")


def findings(sql: str) -> list[Finding]:
    """Everything in one model that does not run, or does not mean the same, on every target; by line."""
    found: list[Finding] = []
    for line, snippet in _snippets(sql):
        tokens = list(_tokens(snippet, line))
        for check in (_words, _phrases, _operators, _casts, _lateral_aliases):
            found += check(tokens)
    return sorted(set(found), key=lambda finding: (finding.line, finding.found))


def _snippets(sql: str) -> Iterator[tuple[int, str]]:
    """The model with Jinja blanked out, then each text given to a macro; with the line each starts on."""

    def blank(match: re.Match[str]) -> str:
        stand_in = " jinja_" if match[0].startswith("{{") else ""
        return stand_in + "\n" * match[0].count("\n") + " "

    # A dash in an operator before or after Jinja must not fuse with it, so stand-ins bring their own spaces.
    yield 1, JINJA.sub(blank, sql)
    for jinja in JINJA.finditer(sql):
        if jinja[0].startswith("{#") or JINJA_NAMES.match(jinja[0]):
            continue
        for text in JINJA_TEXT.finditer(jinja[0]):
            content = text[1] if text[1] is not None else text[2]
            if content.startswith(("%", "$", "/")) or re.fullmatch(r"[A-Z][A-Za-z_]+/[A-Za-z_/]+", content):
                continue  # a format, a path or a time zone
            yield sql.count("\n", 0, jinja.start() + text.start()) + 1, content


def _tokens(sql: str, line: int) -> Iterator[Token]:
    depth = 0
    for match in TOKEN.finditer(sql):
        kind, text = str(match.lastgroup), match[0]
        if kind != "comment" and not text.isspace():
            depth -= text == ")"
            yield Token(kind, text.lower() if kind != "text" else text, line, depth)
            depth += text == "("
        line += text.count("\n")


def _after(tokens: list[Token], index: int, *words: str) -> bool:
    following = tokens[index + 1 : index + 1 + len(words)]
    return [token.text for token in following] == list(words)


def _words(tokens: list[Token]) -> Iterator[Finding]:
    for index, token in enumerate(tokens):
        if token.kind != "word" or (index and tokens[index - 1].text in (".", "as")):
            continue
        if token.text in WORDS:
            yield Finding(token.line, token.text, WORDS[token.text])
        if not _after(tokens, index, "("):
            continue
        if token.text in CALLS:
            yield Finding(token.line, f"{token}()", CALLS[token.text])
        for prefix, instead in PREFIXES.items():
            if token.text.startswith(prefix):
                yield Finding(token.line, f"{token}()", instead)
        if token.text == "extract" and index + 2 < len(tokens) and tokens[index + 2].text in PARTS:
            yield Finding(token.line, f"extract({tokens[index + 2]})", "a dispatched macro")


def _phrases(tokens: list[Token]) -> Iterator[Finding]:
    for index, token in enumerate(tokens):
        if token.text == "distinct" and _after(tokens, index, "on"):
            yield Finding(token.line, "distinct on", "row_number() in a CTE, where rn = 1")
        if token.text == "at" and _after(tokens, index, "time", "zone"):
            yield Finding(token.line, "at time zone", "local_ts")
        if token.text == "with" and _after(tokens, index, "time", "zone"):
            yield Finding(token.line, "with time zone", "timestamps in UTC without zone")
        if token.text in ("group", "order") and _after(tokens, index, "by", "all"):
            yield Finding(token.line, f"{token} by all", "the columns")
        before = tokens[index - 1].text if index else ""
        if token.text == "by" and before in ("union", "all") and _after(tokens, index, "name"):
            yield Finding(token.line, "union by name", "the columns of both sides in one order")
        if token.text == "*":
            for word in ("exclude", "replace", "except", "rename"):
                if _after(tokens, index, word, "("):
                    yield Finding(token.line, f"* {word}", "the columns")
        if token.text == "exclude" and before == "*":
            yield Finding(token.line, "* exclude", "the columns")


def _operators(tokens: list[Token]) -> Iterator[Finding]:
    for index, token in enumerate(tokens):
        if token.kind != "operator":
            continue
        if token.text in OPERATORS:
            yield Finding(token.line, token.text, OPERATORS[token.text])
        if token.text in ("-", "+") and 0 < index < len(tokens) - 1:
            before = tokens[index - 1]
            ahead = index + 1
            while ahead + 2 < len(tokens) and tokens[ahead + 1].text == ".":
                ahead += 2
            if any(side.kind == "word" and MOMENT.match(side.text) for side in (before, tokens[ahead])):
                yield Finding(token.line, f"{before} {token} {tokens[ahead]}", "dbt.datediff or dbt.dateadd")


def _casts(tokens: list[Token]) -> Iterator[Finding]:
    for index, token in enumerate(tokens):
        if token.text != "cast" or not _after(tokens, index, "("):
            continue
        inside = [
            place
            for place in range(index + 2, _closing(tokens, index + 1))
            if tokens[place].text == "as" and tokens[place].depth == token.depth + 1
        ]
        if inside and tokens[inside[-1] + 1].text in TYPES:
            kind = tokens[inside[-1] + 1]
            yield Finding(kind.line, f"cast as {kind}", TYPES[kind.text])


def _closing(tokens: list[Token], opening: int) -> int:
    depth = tokens[opening].depth
    for place in range(opening + 1, len(tokens)):
        if tokens[place].text == ")" and tokens[place].depth == depth:
            return place
    return len(tokens)


def _lateral_aliases(tokens: list[Token]) -> Iterator[Finding]:
    """A name made in a select list and used again in it, or in its where.

    Names whose own expression mentions a column of the same name are left alone: there the column is meant.
    """
    for start, token in enumerate(tokens):
        if token.text != "select" or token.kind != "word":
            continue
        names: dict[str, int] = {}
        item: list[Token] = []
        clause = "select"
        for place in range(start + 1, len(tokens)):
            here = tokens[place]
            if here.depth < token.depth or here.text == ";":
                break
            if here.depth == token.depth and here.text in CLAUSES:
                clause = here.text
                if clause in ("union", "intersect", "except"):
                    break
            if clause not in ("select", "where"):
                continue
            if here.depth == token.depth and here.text == ",":
                item = []
                continue
            previous = tokens[place - 1].text
            if here.kind == "word" and previous == "as" and here.depth == token.depth and clause == "select":
                if here.text not in {used.text for used in item}:
                    names[here.text] = here.line
                continue
            item.append(here)
            if here.kind != "word" or here.text not in names or previous == "." or previous == "as":
                continue
            if _after(tokens, place, "(") or _after(tokens, place, "."):
                continue
            if not _in_subquery(tokens, token.depth, start, place):
                yield Finding(here.line, f"lateral alias {here}", "the expression again, or one more CTE")


def _in_subquery(tokens: list[Token], depth: int, start: int, place: int) -> bool:
    """Whether a deeper select opens between the two places and has not closed again."""
    open_at: list[int] = []
    for token in tokens[start + 1 : place + 1]:
        while open_at and token.depth < open_at[-1]:
            open_at.pop()
        if token.text == "select" and token.depth > depth:
            open_at.append(token.depth)
    return bool(open_at)
