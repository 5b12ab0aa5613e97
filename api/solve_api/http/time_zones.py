"""Which time zones are known, and by which name does PostgreSQL know them?"""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

# the machine's own zone, and one that says that nobody chose any
NO_ZONES = {"localtime", "Factory"}
# AT TIME ZONE takes an abbreviation before a zone: these four would be without summer time there
NOT_ABBREVIATED = {"CET": "Europe/Brussels", "EET": "Europe/Athens", "MET": "Europe/Brussels", "WET": "Europe/Lisbon"}


@cache
def known_zones() -> frozenset[str]:
    """Every name of the IANA database, also those without an area: browsers report them too."""
    return frozenset(available_timezones() - NO_ZONES)


def postgresql_name(zone: ZoneInfo) -> str:
    """For AT TIME ZONE: a name that says the same there."""
    return NOT_ABBREVIATED.get(zone.key, zone.key)
