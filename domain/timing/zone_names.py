"""Names of time zones as people type and choose them: in any case, by their old names, with the offset beside."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from domain.timing.epoch import from_epoch, to_epoch
from domain.timing.zones import COMMON_ZONES, offset_label, zone_names

_HOUR = 3600
# Links of the IANA database (file "backward") that were names of their own once; not every system installs them.
_OLD_NAMES = dict(
    line.split()
    for line in """
Africa/Asmera Africa/Asmara
America/Atka America/Adak
America/Buenos_Aires America/Argentina/Buenos_Aires
America/Catamarca America/Argentina/Catamarca
America/Cordoba America/Argentina/Cordoba
America/Ensenada America/Tijuana
America/Fort_Wayne America/Indiana/Indianapolis
America/Godthab America/Nuuk
America/Indianapolis America/Indiana/Indianapolis
America/Jujuy America/Argentina/Jujuy
America/Knox_IN America/Indiana/Knox
America/Louisville America/Kentucky/Louisville
America/Mendoza America/Argentina/Mendoza
America/Montreal America/Toronto
America/Porto_Acre America/Rio_Branco
America/Rosario America/Argentina/Cordoba
America/Shiprock America/Denver
Asia/Ashkhabad Asia/Ashgabat
Asia/Calcutta Asia/Kolkata
Asia/Chongqing Asia/Shanghai
Asia/Chungking Asia/Shanghai
Asia/Dacca Asia/Dhaka
Asia/Harbin Asia/Shanghai
Asia/Katmandu Asia/Kathmandu
Asia/Macao Asia/Macau
Asia/Rangoon Asia/Yangon
Asia/Saigon Asia/Ho_Chi_Minh
Asia/Tel_Aviv Asia/Jerusalem
Asia/Thimbu Asia/Thimphu
Asia/Ujung_Pandang Asia/Makassar
Asia/Ulan_Bator Asia/Ulaanbaatar
Atlantic/Faeroe Atlantic/Faroe
Australia/ACT Australia/Sydney
Australia/Canberra Australia/Sydney
Australia/LHI Australia/Lord_Howe
Australia/NSW Australia/Sydney
Australia/North Australia/Darwin
Australia/Queensland Australia/Brisbane
Australia/South Australia/Adelaide
Australia/Tasmania Australia/Hobart
Australia/Victoria Australia/Melbourne
Australia/West Australia/Perth
Australia/Yancowinna Australia/Broken_Hill
Brazil/Acre America/Rio_Branco
Brazil/DeNoronha America/Noronha
Brazil/East America/Sao_Paulo
Brazil/West America/Manaus
Canada/Atlantic America/Halifax
Canada/Central America/Winnipeg
Canada/Eastern America/Toronto
Canada/Mountain America/Edmonton
Canada/Newfoundland America/St_Johns
Canada/Pacific America/Vancouver
Canada/Saskatchewan America/Regina
Canada/Yukon America/Whitehorse
Chile/Continental America/Santiago
Chile/EasterIsland Pacific/Easter
Cuba America/Havana
Egypt Africa/Cairo
Eire Europe/Dublin
Etc/UTC UTC
Etc/UCT UTC
Etc/Universal UTC
Etc/Zulu UTC
Europe/Belfast Europe/London
Europe/Kiev Europe/Kyiv
Europe/Uzhgorod Europe/Kyiv
Europe/Zaporozhye Europe/Kyiv
GB Europe/London
GB-Eire Europe/London
GMT UTC
Greenwich UTC
Hongkong Asia/Hong_Kong
Iran Asia/Tehran
Israel Asia/Jerusalem
Jamaica America/Jamaica
Japan Asia/Tokyo
Kwajalein Pacific/Kwajalein
Libya Africa/Tripoli
Mexico/BajaNorte America/Tijuana
Mexico/BajaSur America/Mazatlan
Mexico/General America/Mexico_City
NZ Pacific/Auckland
NZ-CHAT Pacific/Chatham
Navajo America/Denver
PRC Asia/Shanghai
Pacific/Enderbury Pacific/Kanton
Pacific/Ponape Pacific/Pohnpei
Pacific/Samoa Pacific/Pago_Pago
Pacific/Truk Pacific/Chuuk
Poland Europe/Warsaw
Portugal Europe/Lisbon
ROC Asia/Taipei
ROK Asia/Seoul
Singapore Asia/Singapore
Turkey Europe/Istanbul
UCT UTC
US/Alaska America/Anchorage
US/Aleutian America/Adak
US/Arizona America/Phoenix
US/Central America/Chicago
US/East-Indiana America/Indiana/Indianapolis
US/Eastern America/New_York
US/Hawaii Pacific/Honolulu
US/Indiana-Starke America/Indiana/Knox
US/Michigan America/Detroit
US/Mountain America/Denver
US/Pacific America/Los_Angeles
US/Samoa Pacific/Pago_Pago
Universal UTC
W-SU Europe/Moscow
Zulu UTC
""".strip().splitlines()
)


@dataclass(frozen=True)
class MeantZone:
    """`name`: what is to be used, which may still be unknown. `note`: a sentence when that is not what was typed, or
    when it goes by another name today; empty otherwise."""

    name: str
    note: str = ""


@dataclass(frozen=True)
class ZoneChoice:
    """One line of a picker: a name, and its offset from UTC at the moment, such as `UTC+5:30`."""

    name: str
    offset: str


def meant_zone(text: str | None) -> MeantZone:
    """The zone that a text stands for: its exact name, its name in another case or with spaces, or an old name.

    A name that is known as it stands is kept, so that nothing that is stored changes by being looked at.
    """
    typed = (text or "").strip()
    if typed in _known():
        today = _OLD_NAMES.get(typed)
        return MeantZone(typed, f"{typed} is an old name of {today}; both mean the same." if today else "")
    folded = typed.replace(" ", "_").casefold()
    name = _by_folded().get(folded)
    if name is None or len(typed) > 64:
        return MeantZone(typed)
    if name.casefold() == folded:
        return MeantZone(name)
    return MeantZone(name, f"{typed} is an old name; {name} is used.")


def zone_choices(home: str, now: datetime) -> tuple[ZoneChoice, ...]:
    """Every zone with its offset: UTC and `home` first, then the common ones, then the rest in alphabetical order."""
    return _choices(home, to_epoch(now) // _HOUR)


@lru_cache(maxsize=64)
def _choices(home: str, hour: int) -> tuple[ZoneChoice, ...]:
    at = from_epoch(hour * _HOUR)
    places = dict.fromkeys(["UTC", *([home] if home in _known() else []), *COMMON_ZONES])
    places |= dict.fromkeys(name for name in zone_names() if name not in _OLD_NAMES)
    return tuple(ZoneChoice(name, offset_label(at, name)) for name in places)


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(zone_names())


@lru_cache(maxsize=1)
def _by_folded() -> dict[str, str]:
    """Every way to write a zone, folded, with the name that is used for it: what a zone is called today wins."""
    current = {old.casefold(): new for old, new in _OLD_NAMES.items() if new in _known()}
    return current | {name.casefold(): name for name in _known() if name not in _OLD_NAMES}
