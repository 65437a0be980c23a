"""Invented people and places. Nobody here exists; every address is at a reserved example domain."""

import unicodedata
from random import Random


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN = _list(
    "Ada Amélie Anders Asha Bao Bea Björn Carmen Chidi Dana Dario Edda Emre Fatou Finn Gwen Hana Hugo Ida "
    "Ines Ivo Jonas José Kai Kim Lena Liv Łukasz Mara Mei Milo Nadia Nia Noor Oğuz Olga Omar Pia Quinn Rafał "
    "Rosa Sami Seán Siri Søren Tariq Tess Uma Vera Wren Xenia Yara Yusuf Zoë 李娜 さくら Åsa Élodie Jürgen"
)
FAMILY = _list(
    "Abara Almquist Amari Bellweather Brightwater Castellane Crowhurst Dahlgren Delacroix Ebanks Eisenhart "
    "Fairbanks Fjeldstad Garrow Grünwald Halloran Hawksmoor Ibáñez Jansdottir Kettering Kowalczyk Lindqvist "
    "Lovelock Marchetti Mbeki-Lane Nakagawa Núñez O'Malloran Okonjo Pemberley Quillfeather Ravensworth "
    "Rosenqvist Saltmarsh Şahin Thistlewood Tremaine Underhay Valtersson Vasquez-Moor Whitlock Wójcik Xiang "
    "Yarrow Zamboni Ångström Çelik"
)
DOMAINS = ("example.org", "example.com", "example.net")

CITIES = (
    # city, region, country, zone, latitude, longitude
    ("New York", "NY", "US", "America/New_York", "40.7128000", "-74.0060000"),
    ("Los Angeles", "CA", "US", "America/Los_Angeles", "34.0522000", "-118.2437000"),
    ("Chicago", "IL", "US", "America/Chicago", "41.8781000", "-87.6298000"),
    ("Honolulu", "HI", "US", "Pacific/Honolulu", "21.3069000", "-157.8583000"),
    ("London", "England", "GB", "Europe/London", "51.5072000", "-0.1276000"),
    ("Berlin", "BE", "DE", "Europe/Berlin", "52.5200000", "13.4050000"),
    ("Tokyo", "Tokyo", "JP", "Asia/Tokyo", "35.6764000", "139.6500000"),
    ("Kuwait City", "Al Asimah", "KW", "Asia/Kuwait", "29.3759000", "47.9774000"),
    ("Auckland", "Auckland", "NZ", "Pacific/Auckland", "-36.8509000", "174.7645000"),
)
CURRENCY_OF = {"US": "USD", "GB": "GBP", "DE": "EUR", "JP": "JPY", "KW": "KWD", "NZ": "NZD", "CA": "CAD"}

_PLACE_FIRST = _list("Lantern Copper Velvet Harbour Juniper Foundry Marble Orchard Signal Union Willow Ember")
_PLACE_LAST = ("Hall", "Theatre", "Room", "Works", "Club", "Pavilion", "House", "Yard", "Arena", "Chapel")
BANDS = ("Band", "Quartet", "Collective", "Sisters", "Sound")
STREETS = ("Sample St", "Example Ave", "Placeholder Lane", "Invented Sq", "Fictional Rd")
_SHOW_FIRST = _list("Midnight Spring Electric Paper Northern Golden Quiet Winter Velvet Open Second Little")
_SHOW_LAST = (
    "Gala",
    "Sessions",
    "Orchestra",
    "Workshop",
    "Revue",
    "Parade",
    "Festival",
    "Talks",
    "Ball",
    "Quartet",
)


def slug(text: str) -> str:
    """ASCII letters and digits of a name, lower case; '' for a script without Latin letters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum())


_SLUGS = {name: slug(name) for name in (*GIVEN, *FAMILY)}


def person(rng: Random) -> tuple[str, str, str]:
    """(given name, family name, e-mail). The same person can come up again: some people buy twice."""
    given, family = rng.choice(GIVEN), rng.choice(FAMILY)
    number = rng.randrange(1, 40)
    address = f"{_SLUGS[given] or 'guest'}.{_SLUGS[family]}{number}@{DOMAINS[number % 3]}"
    return given, family, address


def place(rng: Random) -> str:
    return f"{rng.choice(_PLACE_FIRST)} {rng.choice(_PLACE_LAST)}"


def show(rng: Random) -> str:
    return f"{rng.choice(_SHOW_FIRST)} {rng.choice(_SHOW_LAST)}"
