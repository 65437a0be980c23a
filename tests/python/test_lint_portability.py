"""Models and singular tests are written in the SQL that DuckDB, Postgres and Spark share."""

from pathlib import Path

import pytest

from tests.python.models.portability import findings

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = sorted([*ROOT.glob("models/**/*.sql"), *ROOT.glob("tests/singular/**/*.sql")])


def test_there_are_models_to_look_at():
    assert len(WRITTEN) > 30


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_model_is_written_in_the_portable_subset(path):
    assert [str(finding) for finding in findings(path.read_text(encoding="utf-8"))] == []


REFUSED = {
    "qualify": "select a from t qualify row_number() over (partition by a order by b) = 1",
    "distinct on": "select distinct on (a) a, b from t",
    "arg_max": "select arg_max(a, b) as a from t",
    "max_by": "select max_by (a, b) as a from t",
    "try_cast": "select try_cast(a as date) as a from t",
    "json arrow": "select payload ->> '$.k' as k from t",
    "json arrow without spaces": "select payload->'k' as k from t",
    "json function": "select json_extract_string(payload, '$.k') as k from t",
    "json arrow given to a macro": "select {{ ratio(\"payload->>'$.k'\", 'b') }} as k from t",
    "datediff": "select datediff('day', a, b) as days from t",
    "date_diff": "select date_diff('day', a, b) as days from t",
    "interval": "select a + interval '1 day' as b from t",
    "interval of a number": "select a + interval 1 day as b from t",
    "strftime": "select strftime(a, '%Y') as b from t",
    "generate_series": "select * from generate_series(1, 3)",
    "range as a table": "select * from range(3)",
    "at time zone": "select a at time zone 'UTC' as b from t",
    "timestamptz": "select cast(a as timestamptz) as b from t",
    "with time zone": "select cast(a as timestamp with time zone) as b from t",
    "string_agg": "select string_agg(a, ',' order by a) as b from t",
    "any_value": "select any_value(a) as a from t",
    "bool_or": "select bool_or(a) as a from t",
    "bool_or given to a macro": "select {{ share('bool_or(a)') }} as a from t",
    "median": "select median(a) as a from t",
    "quantile_cont": "select quantile_cont(a, 0.5) as a from t",
    "exclude": "select * exclude (a) from t",
    "exclude of one": "select t.* exclude a from t",
    "replace": "select * replace (a as b) from t",
    "except": "select * except (a) from t",
    "group by all": "select a, count(*) as n from t group by all",
    "union by name": "select a from t union all by name select a from u",
    "lateral alias": "select a + 1 as b, b + 1 as c from t",
    "lateral alias in a call": "select a + 1 as b, coalesce(b, 0) as c from t",
    "lateral alias in where": "select a + 1 as b from t where b > 2",
    "lateral alias in a window": "select a + 1 as b, sum(c) over (order by b) as d from t",
    "lateral alias in a CTE": "with x as (select a + 1 as b, b as c from t) select c from x",
    "lateral alias with macros": "select {{ m('a') }} as b, {{ m('a') }} + b as c from t",
    "cast as varchar": "select cast(a as varchar) as a from t",
    "cast as double": "select cast(a as double) as a from t",
    "cast as double precision": "select cast(nullif(a, 0) as double precision) as a from t",
    "cast by colons": "select a::date as a from t",
    "list": "select list(a) as a from t",
    "list literal": "select [1, 2] as a from t",
    "element": "select a[1] as a from t",
    "struct literal": "select {'a': 1} as a from t",
    "list function": "select list_sort(a) as a from t",
    "array_agg": "select array_agg(a) as a from t",
    "unnest": "select unnest(a) as a from t",
    "pivot": "pivot t on a using sum(b)",
    "asof": "select a from t asof join u on t.a >= u.a",
    "division": "select 1/2 as a from t",
    "division of columns": "select sold / capacity as a from t",
    "whole division": "select a // b as a from t",
    "regular expression": "select a from t where a ~ 'x'",
    "regular expression refused": "select a from t where a !~ 'x'",
    "regular expression function": "select regexp_replace(a, 'x', '') as a from t",
    "extract(dow)": "select extract(dow from a) as a from t",
    "date_part": "select date_part('dow', a) as a from t",
    "date_trunc": "select date_trunc('month', a) as a from t",
    "date - date": "select event_date - sold_date as days from t",
    "date - date of tables": "select events.event_date - tickets.sold_date as days from t",
    "date + number": "select event_date + 1 as next from t",
    "current_timestamp": "select current_timestamp as a from t",
    "current_date": "select a from t where d < current_date",
    "now": "select now() as a from t",
    "upper case": "SELECT TRY_CAST(a AS DATE) AS a FROM t",
    "behind a comment": "select a -- fine\n, median(b) as b from t",
}

ACCEPTED = {
    "row_number": "with x as (select a, row_number() over (partition by a order by b) as rn from t) "
    "select a from x where rn = 1",
    "words inside text": "select 'qualify -> median(x) 1/2' as a from t",
    "words inside a comment": "-- try_cast(a as double), 1/2, now()\nselect a from t /* a::b */",
    "words inside a Jinja comment": "{# qualify, interval, a ~ b #}\nselect a from t",
    "a quoted name": 'select "interval" from t',
    "a column of that name": "select t.interval, t.range as range from t",
    "macros": "select {{ json_text('p', 'a.b') }} as b, {{ dbt.datediff('a', 'b', 'day') }} as c from t",
    "bool_or of dbt": "select {{ dbt.bool_or('a') }} as a, {{ dbt.any_value('b') }} as b from t",
    "time zones": "select {{ local_ts('a', \"'America/New_York'\") }} as b from t",
    "types by macro": "select cast(a as {{ dbt.type_string() }}) as a, cast(b as {{ t_double() }}) as b",
    "plain types": "select cast(a as date) as a, cast(b as decimal(18, 4)) as b, cast(c as bigint) as c",
    "a column called text": "select cast(body as date) as text, a as string from t",
    "extract(year)": "select extract(year from a) as year from t",
    "a window frame": "select sum(a) over (order by d range between 6 preceding and current row) as b from t",
    "distinct": "select distinct a, count(distinct b) as n from t group by a",
    "percentile_cont": "select percentile_cont(0.5) within group (order by a) as a from t",
    "a column keeps its name": "select lower(a) as a, a || 'x' as b from t where a > 1",
    "a table's column keeps its name": "select t.a as a, u.a as b from t inner join u on t.a = u.a",
    "an alias used outside": "with x as (select a + 1 as b from t) select b, b + 1 as c from x",
    "an alias ordered by": "select a + 1 as b from t order by b",
    "an alias of one side of a union": "select a + 1 as b from t union all select b from u",
    "an alias in a join": "select t.a + 1 as b from t inner join u on t.b = u.b",
    "a name inside a subquery": "select a + 1 as b, (select max(u.c) from u where b = 1) as c from t",
    "a sum of money": "select gross_amount - refunds_amount - fees_amount as net_amount from t",
    "a negative number": "select -1 as a, b * -1 as c from t",
    "a star": "select * from t, u",
    "products": "select a * b as c, count(*) as n from t group by a * b",
    "dash inside Jinja": "select {{- ' a' -}} from t",
    "a macro of a date": "select {{ dbt.dateadd('day', -6, 'full_date') }} as b from t",
}


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED)
def test_what_one_engine_alone_understands_is_refused(sql):
    assert findings(sql)


@pytest.mark.parametrize("sql", ACCEPTED.values(), ids=ACCEPTED)
def test_what_every_engine_understands_is_accepted(sql):
    assert findings(sql) == []


def test_a_finding_names_the_line_and_the_remedy():
    sql = "select\n    a,\n    {{ m(\n        'b'\n    ) }} as b,\n    median(c) as c\nfrom t"
    assert [str(finding) for finding in findings(sql)] == [
        "line 6: median(): write percentile_cont within group"
    ]
