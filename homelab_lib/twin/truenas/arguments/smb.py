"""What the method of the SMB service takes.

Source: TrueNAS middleware 25.04 to 26, API model `smb`.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, field_validator

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    Interface,
    Name,
    Text,
    changes_of,
)

_CODEPAGES = (
    *("037", 273, 424, 437, 500, 775, 850, 852, 855, 857, 858, *range(860, 867), 869, 932, 949),
    *(950, 1026, 1125, 1140, *range(1250, 1259)),
)
_ISO2022 = ("JP", "JP_1", "JP_2", "JP_2004", "JP_3", "JP_EXT", "KR")
CHARSETS = (
    *("UTF-8", "GB2312", "HZ-GB-2312", "CP1361", "BIG5", "BIG5HKSCS"),
    *(f"CP{page}" for page in _CODEPAGES),
    *("EUC_JIS_2004", "EUC_JISX0213", "EUC_JP", "EUC_KR", "GB18030", "GBK", "HZ"),
    *(f"ISO2022_{kind}" for kind in _ISO2022),
    *(f"ISO8859_{part}" for part in (*range(1, 12), *range(13, 17))),
    *("JOHAB", "KOI8_R", "KZ1048", "LATIN_1", "MAC_CYRILLIC", "MAC_GREEK", "MAC_ICELAND"),
    *("MAC_LATIN2", "MAC_ROMAN", "MAC_TURKISH", "PTCP154", "SHIFT_JIS", "SHIFT_JIS_2004"),
    *("SHIFT_JISX0213", "TIS_620", "UTF_16", "UTF_16_BE", "UTF_16_LE"),
)


def _netbios(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!@#$%^&()\-'{}~_.]{1,15}", value) or value.isdigit():
        raise ValueError(
            "Invalid NetBIOS name. NetBIOS names must be between 1 and 15 characters in length, "
            'may not contain the following characters: \\/:*?"<>|, and may not be only numbers.'
        )
    return value


def _sid(value: str) -> str:
    if not re.fullmatch(r"S-1-5-21(-\d{1,10}){3}", value):
        raise ValueError("SID is malformed. See MS-DTYP Section 2.4 for SID type specifications.")
    return value


def _permissions(value: str) -> str:
    if not re.fullmatch(r"[0-7]{3,4}", value) or int(value, 8) > 0o777:
        raise ValueError("Not a valid integer. Must be between 000 and 777")
    return value


_Mask = Annotated[Text, AfterValidator(_permissions)] | Literal["DEFAULT"]
_Netbios = Annotated[Text, AfterValidator(_netbios)]


class SmbSettings(Arguments):
    """The SMB service."""

    netbiosname: _Netbios
    netbiosalias: list[_Netbios]
    workgroup: _Netbios
    description: Text
    unixcharset: Literal[CHARSETS]  # type: ignore[valid-type]
    localmaster: bool
    syslog: bool
    aapl_extensions: bool
    admin_group: Text | None
    guest: Name
    filemask: _Mask
    dirmask: _Mask
    ntlmv1_auth: bool
    multichannel: bool
    encryption: Literal["DEFAULT", "NEGOTIATE", "DESIRED", "REQUIRED"]
    bindip: list[Interface]
    server_sid: Annotated[Text, AfterValidator(_sid)] | None
    smb_options: Text
    debug: bool

    @field_validator("guest", check_fields=False)
    @classmethod
    def _no_root(cls, guest: str) -> str:
        if guest == "root":
            raise ValueError('"root" is not a permitted guest account')
        return guest


class SmbSettings25(SmbSettings):
    """The SMB service until 26."""

    enable_smb1: bool


class SmbSettings26(SmbSettings):
    """The SMB service in 26."""

    minimum_protocol: Literal["SMB1", "SMB2", "SMB3"]
    search_protocols: list[Literal["SPOTLIGHT"]]
    stateful_failover: bool


SmbUpdate = changes_of(SmbSettings25)
SmbUpdate26 = changes_of(SmbSettings26)
