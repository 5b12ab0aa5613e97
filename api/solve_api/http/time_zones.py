"""Time zones that a request may name, and their names in PostgreSQL."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

# the machine's own zone, and the placeholder for none
NOT_ZONES = {"localtime", "Factory"}
# AT TIME ZONE prefers abbreviations to zones: these four would have no summer time there
NOT_ABBREVIATED = {"CET": "Europe/Brussels", "EET": "Europe/Athens", "MET": "Europe/Brussels", "WET": "Europe/Lisbon"}


@cache
def known_zones() -> frozenset[str]:
    """Every name in the IANA database, including those without an area, which browsers report too."""
    return frozenset(available_timezones() - NOT_ZONES)


def postgresql_name(zone: ZoneInfo) -> str:
    """The name that means the same zone in PostgreSQL."""
    return NOT_ABBREVIATED.get(zone.key, zone.key)
