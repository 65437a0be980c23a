"""The `.env` as people's editors leave it."""

from pathlib import Path

import pytest

from boxoffice import settings as settings_module
from boxoffice.errors import ConfigurationError

TOKEN = "ABCDEF$TOKEN{99}"


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings_module, "ROOT", tmp_path)
    for name in ("EVENTBRITE_TOKEN", "DATABASE_URL", "SHEETS_DIR", "MARTS_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


@pytest.mark.parametrize(
    "content",
    [
        f"EVENTBRITE_TOKEN={TOKEN}\n",
        f"\ufeffEVENTBRITE_TOKEN={TOKEN}\r\nLOG_LEVEL=\r\n",
        f'export EVENTBRITE_TOKEN = "{TOKEN}"  # the private one',
        f"# of mine\n\nEVENTBRITE_TOKEN='{TOKEN}'",
    ],
)
def test_bom_quotes_and_line_ends_are_no_part_of_a_value(dotenv: Path, content: str) -> None:
    dotenv.write_bytes(content.encode())
    settings = settings_module.load()
    assert settings.eventbrite_token == TOKEN
    assert not settings.is_sandbox


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'LOG_LEVEL=INFO\nEVENTBRITE_TOKEN="{TOKEN}\n'.encode(), ".env, line 2, is not NAME=value"),
        (f"EVENTBRITE_TOKEN {TOKEN}\n".encode(), ".env, line 1, is not NAME=value"),
        (f"EVENTBRITE_TOKEN={TOKEN}\n".encode("utf-16"), ".env cannot be read"),
    ],
)
def test_a_line_that_says_nothing_is_refused_instead_of_skipped(
    dotenv: Path, content: bytes, words: str
) -> None:
    dotenv.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as caught:
        settings_module.load()
    assert TOKEN not in str(caught.value)
    dotenv.unlink()
    dotenv.mkdir()
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read"):
        settings_module.load()


@pytest.mark.parametrize("size", ["4", "4 gigabytes", "GB", "-1GB", "50%", "4GB'; drop"])
def test_a_memory_limit_that_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(ConfigurationError, match="MEMORY_LIMIT"):
        settings_module.load({"MEMORY_LIMIT": size})


def test_a_memory_limit_is_a_size() -> None:
    assert settings_module.load({"MEMORY_LIMIT": "1.5 GiB"}).memory_limit == "1.5 GiB"


@pytest.mark.parametrize(
    ("url", "kept", "base_id"),
    [
        ("https://Example.org/", "https://Example.org", "example.org"),
        ("https://example.org/sub/civicrm/ajax/rest", "https://example.org/sub", "example.org/sub"),
        (
            "https://example.org/wp-admin/admin.php?page=CiviCRM&q=civicrm%2Fdashboard&reset=1",
            "https://example.org/wp-admin/admin.php?page=CiviCRM",
            "example.org/wp-admin/admin.php",
        ),
        ("https://a.org/?civiwp=CiviCRM&q=civicrm/x", "https://a.org/?civiwp=CiviCRM", "a.org"),
        (
            "http://127.0.0.1:8080/index.php?option=com_civicrm&task=civicrm/dashboard",
            "http://127.0.0.1:8080/index.php?option=com_civicrm",
            "127.0.0.1:8080/index.php",
        ),
    ],
)
def test_a_civicrm_address_may_be_that_of_one_of_its_pages(url: str, kept: str, base_id: str) -> None:
    environ = {"CIVICRM_URL": url, "CIVICRM_API_KEY": TOKEN, "CIVICRM_TIMEZONE": "America/New_York"}
    settings = settings_module.load(environ)
    site = settings.civicrm
    assert site is not None
    assert (site.url, site.key, str(site.zone), site.base_id) == (kept, TOKEN, "America/New_York", base_id)
    assert TOKEN not in f"{settings}{site}"
    assert not settings.is_sandbox


def test_a_civicrm_site_is_set_whole_or_not_at_all() -> None:
    whole = {"CIVICRM_URL": "https://a.org", "CIVICRM_API_KEY": TOKEN, "CIVICRM_TIMEZONE": "Europe/Oslo"}
    assert settings_module.load({"CIVICRM_TIMEZONE": "Europe/Oslo"}).civicrm is None
    for missing in whole:
        parts = {name: value for name, value in whole.items() if name != missing}
        with pytest.raises(ConfigurationError, match=f"{missing} is not"):
            _ = settings_module.load(parts).civicrm
    for name, value in (
        ("CIVICRM_URL", "example.org"),
        ("CIVICRM_URL", f"https://me:{TOKEN}@example.org"),
        ("CIVICRM_TIMEZONE", "New York"),
    ):
        with pytest.raises(ConfigurationError, match=name) as caught:
            settings_module.load({**whole, name: value})
        assert TOKEN not in str(caught.value)


def test_a_webhook_is_an_address_and_a_secret_apart_from_it() -> None:
    environ = {
        "WEBHOOK_URL": "https://example.org/hooks/",
        "WEBHOOK_SECRET": TOKEN,
        "ALERT_WEBHOOK_URL": f"https://chat.example.org/{TOKEN}/",
    }
    settings = settings_module.load(environ)
    assert (settings.webhook_url, settings.webhook_host) == ("https://example.org/hooks", "127.0.0.1")
    assert (settings.webhook_port, settings.webhook_secret) == (8088, TOKEN)
    assert settings.alert_webhook_url == environ["ALERT_WEBHOOK_URL"]
    assert TOKEN not in str(settings)
    for name, value in (
        ("WEBHOOK_URL", "example.org"),
        ("WEBHOOK_URL", f"https://me:{TOKEN}@example.org"),
        ("WEBHOOK_URL", f"https://example.org/?secret={TOKEN}"),
        ("WEBHOOK_PORT", "65536"),
        ("ALERT_WEBHOOK_URL", f"chat.example.org/{TOKEN}"),
    ):
        with pytest.raises(ConfigurationError, match=name) as caught:
            settings_module.load({name: value})
        assert TOKEN not in str(caught.value)
