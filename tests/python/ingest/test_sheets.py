"""Sheets land whole, as text, with their place in the file; what cannot land is named."""

import csv
import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice import settings as settings_module
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings
from ingest import sheets
from ingest.landing import SourceResult, quiet
from tests.python.examples import examples

ARTISTS = "artist_id,name,genre,country,created_at"


class Folder:
    """A folder of sheets and the warehouse they land in."""

    def __init__(self, root: Path) -> None:
        self.sheets = root / "sheets"
        self.sheets.mkdir()
        self.settings: Settings = settings_module.load(
            {
                "DATABASE_URL": f"duckdb:///{root}/x.duckdb",
                "SHEETS_DIR": str(self.sheets),
                "BOXOFFICE_AS_OF": "2026-03-01T12:00:00Z",
            }
        )

    def write(self, content: str | bytes, name: str = "artists.csv") -> Path:
        path = self.sheets / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self, *, full: bool = False) -> SourceResult:
        return sheets.load(self.settings, full=full)

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.settings.warehouse_path), read_only=True) as connection:
            return connection.sql(query).fetchall()

    def artists(self) -> list[tuple]:
        return self.rows(f"select _record, _line, {ARTISTS} from bronze_sheets.artists order by _record")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def problems_of(result: SourceResult, file: str = "artists.csv") -> list[str]:
    """What the result says of one file; other sheets are missing in these tests."""
    return [
        str(problem) for problem in result.problems if f"{file}" in str(problem) or "both" in str(problem)
    ]


def counts_of(result: SourceResult, sheet: str = "artists") -> tuple[int, int, int]:
    table = next(table for table in result.tables if table.table == sheet)
    return table.read, table.landed, table.rejected


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Björk 東京"),
        ("utf-8-sig", "Björk 東京"),
        ("utf-16", "Björk 東京"),
        ("cp1252", "Björk, Édith €"),
    ],
)
def test_a_file_is_read_in_its_encoding(folder: Folder, encoding: str, text: str) -> None:
    folder.write(f'{ARTISTS}\n1,"{text}",rock,IS,2020-01-01\n'.encode(encoding))
    folder.load()
    assert folder.artists() == [(1, 2, "1", text, "rock", "IS", "2020-01-01")]


def test_bytes_that_windows_leaves_open_do_not_stop_a_file(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n".encode() + b"1,caf\xe9\x81,rock,FR,\n")
    folder.load()
    assert folder.artists()[0][3] == "caf\u00e9\x81"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_that_of_the_header(folder: Folder, delimiter: str) -> None:
    header = ARTISTS.replace(",", delimiter)
    row = delimiter.join(["1", f'"a{delimiter}b"', "x,y" if delimiter != "," else "x", "DE", ""])
    folder.write(f"{header}\n{row}\n")
    folder.load()
    assert folder.artists()[0][3] == f"a{delimiter}b"


def test_the_separator_line_of_excel_is_skipped(folder: Folder) -> None:
    folder.write("sep=;\r\n" + ARTISTS.replace(",", ";") + "\r\n1;a;b;c;d\r\n")
    folder.load()
    assert folder.artists() == [(1, 3, "1", "a", "b", "c", "d")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_record_knows_its_number_and_line(folder: Folder, end: str) -> None:
    lines = ["", ARTISTS, "1,a,b,c,d", "", '2,"x', 'y",b,c,d', "3,short", ",,,,", '4,"q', 'q",short']
    lines += ['"5",a,b,c,"""d"""', "6,1,2,3,4,5"]
    folder.write(end.join(lines))
    result = folder.load()
    assert folder.artists() == [
        (1, 3, "1", "a", "b", "c", "d"),
        (2, 5, "2", f"x{end}y", "b", "c", "d"),
        (5, 11, "5", "a", "b", "c", '"d"'),
    ]
    assert folder.rows(
        "select file, record, line, reason, raw from bronze_sheets.rejects order by record"
    ) == [
        ("artists.csv", 3, 7, "2 cells where the header has 5", "3,short"),
        ("artists.csv", 4, 9, "3 cells where the header has 5", f'4,"q{end}q",short'),
        ("artists.csv", 6, 12, "6 cells where the header has 5", "6,1,2,3,4,5"),
    ]
    assert counts_of(result) == (6, 3, 3)
    assert any("3 of 6 records were left out (first: line 7, 2 cells" in note for note in result.notes)


def test_columns_come_in_any_order_and_number(folder: Folder) -> None:
    folder.write("Country, Genre ,NAME,Fan Club!,Artist ID,created-at\nDE,rock,x,yes,1,2020\n")
    result = folder.load()
    assert folder.artists() == [(1, 2, "1", "x", "rock", "DE", "2020")]
    assert folder.rows("select fan_club from bronze_sheets.artists") == [("yes",)]
    assert "artists.csv: columns beyond the expected ones land too: fan_club." in result.notes


def test_an_extra_column_may_come_and_go(folder: Folder) -> None:
    for header, row in (("", ""), (",extra", ",x"), ("", "")):
        folder.write(f"{ARTISTS}{header}\n1,a,b,c,d{row}\n")
        assert counts_of(folder.load()) == (1, 1, 0)
    assert folder.rows("select extra from bronze_sheets.artists") == [(None,)]


def test_nameless_and_repeated_extra_columns_land_under_names_of_their_own(folder: Folder) -> None:
    folder.write(f"{ARTISTS},x,,x,\n1,a,b,c,d,p,q,r,s\n")
    folder.load()
    assert folder.rows("select x, column_7, x_2, column_9 from bronze_sheets.artists") == [
        ("p", "q", "r", "s")
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "artists.csv has no header line: it is empty"),
        (b"\n\n , \n", "artists.csv has no header line"),
        (b"1,a,b,c,d\n", "artists.csv has no header line"),
        (b"artist_id,name\n1,a\n", "line 1: the header lacks the columns genre, country, created_at"),
        (b"artist_id,name,genre,country\n", "the header lacks the column created_at"),
        (f"{ARTISTS},name\n".encode(), "line 1: the header has name twice"),
        (f'{ARTISTS}\n1,a,b,c,d\n2,"open,b,c,d\n3,a,b,c,d\n'.encode(), "line 3: a quote opens"),
        (f'{ARTISTS}\n1,a,b,c,d\n2,b,c,d,"open\n'.encode(), "line 3: a quote opens"),
        (f"{ARTISTS}\n1,a,b,c,d\n".encode("utf-16-le"), "full of NUL bytes"),
        (b'"artist_id,name', "artists.csv has no header line"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_keeps_its_last_good_rows(
    folder: Folder, content: bytes, says: str
) -> None:
    folder.write(f"{ARTISTS}\n1,good,b,c,d\n")
    folder.write("venue_id,name,city,state,country,capacity\n", "venues.csv")
    folder.load()
    folder.write(content)
    folder.write("venue_id,name,city,state,country,capacity\nv,a,b,c,d,1\n", "venues.csv")
    result = folder.load()
    assert any(says in problem for problem in problems_of(result)), problems_of(result)
    assert result.status == "partial"
    assert [row[3] for row in folder.artists()] == ["good"]
    assert folder.rows("select count(*) from bronze_sheets.venues") == [(1,)], "the other sheets still load"


def test_a_quote_left_open_in_a_huge_file_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "BLOCK", 4096)
    rows = "1,a,b,c,d\n" * 1000
    folder.write(f'{ARTISTS}\n{rows}2,"open,b,c,d\n{rows}')
    result = folder.load()
    assert any("a quote opens" in problem for problem in problems_of(result))
    assert result.status == "failed"


def test_a_header_alone_empties_the_sheet(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n1,a,b,c,d\nshort\n")
    folder.load()
    folder.write(f"{ARTISTS}\n")
    assert counts_of(folder.load()) == (0, 0, 0)
    assert folder.artists() == []
    assert folder.rows("select * from bronze_sheets.rejects") == []


def test_a_shorter_file_takes_its_old_rows_away(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n1,a,b,c,d\n2,a,b,c,d\nshort\n")
    folder.load()
    folder.write(f"{ARTISTS}\n2,new,b,c,d\n")
    folder.load()
    assert [row[2:4] for row in folder.artists()] == [("2", "new")]
    assert folder.rows("select * from bronze_sheets.rejects") == []


def test_an_unchanged_file_is_not_written_again(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n1,a,b,c,d\nshort\n")
    folder.load()
    assert counts_of(folder.load()) == (2, 0, 1)
    assert counts_of(folder.load(full=True)) == (2, 1, 1)


def test_rejects_of_an_unchanged_file_stay_when_another_is_loaded(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\nshort\n")
    folder.load()
    folder.write("venue_id,name,city,state,country,capacity\nx\n", "venues.csv")
    folder.load()
    assert folder.rows("select sheet from bronze_sheets.rejects order by sheet") == [
        ("artists",),
        ("venues",),
    ]


def test_rows_that_were_deleted_from_the_warehouse_come_back(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n1,a,b,c,d\n")
    folder.load()
    with duckdb.connect(str(folder.settings.warehouse_path)) as connection:
        connection.execute("delete from bronze_sheets.artists")
    assert counts_of(folder.load()) == (1, 1, 0)
    assert len(folder.artists()) == 1


def test_nul_bytes_are_taken_out_and_named(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n1,a\0b,b,c,d\n")
    result = folder.load()
    assert folder.artists()[0][3] == "ab"
    assert any("1 NUL bytes" in note for note in result.notes)


def test_names_are_matched_whatever_their_case_and_strangers_are_named_once(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n1,a,b,c,d\n", "Artists.CSV")
    folder.write("x", "notes.csv")
    folder.write("x", ".~lock.artists.csv")
    result = folder.load()
    assert len(folder.artists()) == 1
    assert [note for note in result.notes if "notes.csv" in note] == ["Not a sheet, so not read: notes.csv."]


def test_two_files_of_one_sheet_are_refused(folder: Folder) -> None:
    folder.write(f"{ARTISTS}\n1,a,b,c,d\n", "Artists.csv")
    folder.write(f"{ARTISTS}\n2,a,b,c,d\n", "artists.csv")
    assert any("are both the sheet artists" in problem for problem in problems_of(folder.load()))
    assert folder.artists() == []


def test_a_missing_sheet_of_a_workbook_in_use_is_a_problem_and_an_unused_workbook_is_a_note(
    folder: Folder,
) -> None:
    folder.write(f"{ARTISTS}\n")
    result = folder.load()
    missing = [str(problem) for problem in result.problems]
    assert len(missing) == 7
    assert any("venues.csv is missing" in problem and "venue_id,name,city" in problem for problem in missing)
    assert any("The streaming workbook is not in use" in note for note in result.notes)


def test_an_empty_folder_is_skipped_and_its_tables_exist(folder: Folder) -> None:
    assert folder.load().status == "skipped"
    for table, schema in sheets.TABLES.items():
        columns = ", ".join(f'"{name}"' for name in schema.names)
        assert folder.rows(f"select {columns} from bronze_sheets.{table}") == []


def test_a_folder_that_is_not_there_is_a_failure_that_names_the_setting(folder: Folder) -> None:
    folder.sheets.rmdir()
    result = folder.load()
    assert result.status == "failed"
    assert "SHEETS_DIR" in str(result.problems[0])


def test_an_unreadable_file_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    look = sheets._look

    def as_nobody(path: Path) -> sheets._Look:
        # Root, as in many containers, reads everything.
        with ExitStack() as stack:
            if os.geteuid() == 0:
                os.seteuid(65534)
                stack.callback(os.seteuid, 0)
            return look(path)

    monkeypatch.setattr(sheets, "_look", as_nobody)
    folder.write(f"{ARTISTS}\n").chmod(0)
    assert any("cannot be read: Permission denied" in problem for problem in problems_of(folder.load()))


def test_a_file_that_vanishes_while_it_is_read_is_named(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.write(f"{ARTISTS}\n")
    monkeypatch.setattr(sheets, "_look", lambda path: (path.unlink(), path.open())[0])
    assert any("cannot be read: No such file" in problem for problem in problems_of(folder.load()))
    assert not path.exists()


@pytest.mark.parametrize(("times", "lands"), [(1, True), (2, False)])
def test_a_file_that_changes_while_it_is_read_is_read_again_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, times: int, lands: bool
) -> None:
    path = folder.write(f"{ARTISTS}\n1,a,b,c,d\n")
    convert, changes = sheets._convert, iter(range(times))

    def interrupted(*args: object) -> None:
        convert(*args)
        if (change := next(changes, None)) is not None:
            path.write_text(f"{ARTISTS}\n1,a,b,c,d\n" + "2,a,b,c,d\n" * (change + 1))

    monkeypatch.setattr(sheets, "_convert", interrupted)
    result = folder.load()
    assert (len(folder.artists()) == 2) is lands
    assert any("changed while it was read" in problem for problem in problems_of(result)) is not lands


# --- whatever is in the file ------------------------------------------------------------------------------

cells = st.text(
    st.sampled_from("ab1 ,;|\t\"\n\r\u00e9\u6771'") | st.characters(exclude_categories=["Cs"]), max_size=6
)
cells = cells.filter(lambda cell: "\0" not in cell and "\x01" not in cell)
records = st.lists(
    st.lists(cells, min_size=1, max_size=7) | st.lists(cells, min_size=5, max_size=5), max_size=30
)


def read(path: Path, scratch: Path) -> sheets._Reading:
    return sheets._read(sheets._File("artists", path, path.name), None, scratch, quiet, None)


def is_blank(row: list[str]) -> bool:
    return not any(cell.strip(' \t\r\n\f\v",;|\u00a0') for cell in row)


@given(
    records=records,
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    block=st.sampled_from([512, 1 << 20]),
)
@examples(250)
def test_cells_numbers_and_lines_are_those_of_pythons_csv_module(
    tmp_path_factory: pytest.TempPathFactory, records, delimiter, end, quoting, encoding, block
) -> None:
    # What is white space beyond ASCII, and so blank, is not the point here.
    records = [row for row in records if is_blank(row) == (not "".join(row).replace(delimiter, "").strip())]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(ARTISTS.split(","))
    writer.writerows(records)
    folder = tmp_path_factory.getbasetemp() / "wild"
    folder.mkdir(exist_ok=True)
    path = folder / "artists.csv"
    path.write_bytes(text.getvalue().encode(encoding))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "BLOCK", block)
        reading = read(path, folder)

    expected, refused, line, number = [], [], 1, 0
    rows = csv.reader(io.StringIO(text.getvalue(), newline=""), delimiter=delimiter)
    for place, row in enumerate(rows):
        started, line = line, rows.line_num + 1
        if place == 0 or not "".join(row).replace(delimiter, "").replace('"', "").strip():
            continue
        number += 1
        if len(row) == 5:
            expected.append(("artists.csv", number, started, *row))
        else:
            refused.append((number, started))
    assert reading.records == number
    landed = [tuple(row.values()) for row in pyarrow.parquet.read_table(reading.parquet).to_pylist()]
    assert landed == expected
    assert [(row["record"], row["line"]) for row in reading.rejects.to_pylist()] == refused


@given(
    content=st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"\0", b"\xff", b"\xc3\xa9", b"a,b,c,d,e\n"]),
        max_size=40,
    ).map(b"".join)
)
@examples(300)
def test_no_bytes_bring_the_reader_down(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "bytes"
    folder.mkdir(exist_ok=True)
    path = folder / "artists.csv"
    for start in (b"", f"{ARTISTS}\n".encode()):
        path.write_bytes(start + content)
        try:
            reading = read(path, folder)
        except BoxofficeError as error:
            assert "artists.csv" in str(error)  # noqa: PT017
        else:
            assert reading.landed + reading.rejected == reading.records


def test_wild_bytes_pass_through_the_whole_load(folder: Folder) -> None:
    load: Callable[[], SourceResult] = folder.load
    for content in (b"\xff\xfe\x00", b"PK\x03\x04\x14\x00", os.urandom(500), b'"' * 99, b"\x00" * 50):
        folder.write(content)
        result = load()
        assert result.status == "failed"
        assert problems_of(result)
