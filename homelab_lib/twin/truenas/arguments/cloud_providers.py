"""Logins at places outside: what each provider wants to know.

Source: TrueNAS middleware 25.10 and 26, API models `cloud_sync_providers`.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, create_model

from homelab_lib.twin.truenas.arguments.alerts import MaybeUrl, Url
from homelab_lib.twin.truenas.arguments.base import Arguments, Name, Text

_Token = Annotated[str, StringConstraints(min_length=1, max_length=2**31 - 1)]
_NAMED: tuple[Any, Any] = (Name, ...)
_ANY: tuple[Any, Any] = (Text, "")
_OAUTH = {"client_id": _ANY, "client_secret": _ANY, "token": (_Token, ...)}
_BY_KEYS = {"access_key_id": _NAMED, "secret_access_key": _NAMED}
_TO_SWIFT = (
    *("user_id", "domain", "tenant", "tenant_id", "tenant_domain", "region", "storage_url"),
    *("auth_token", "application_credential_id", "application_credential_name"),
    "application_credential_secret",
)
_S3 = _BY_KEYS | {
    "endpoint": (MaybeUrl, ""),
    "region": _ANY,
    "skip_region": (bool, False),
    "signatures_v2": (bool, False),
    "max_upload_parts": (int, 10_000),
}
_FIELDS: dict[str, dict[str, Any]] = {
    "AZUREBLOB": {"account": _NAMED, "key": _NAMED, "endpoint": (MaybeUrl, "")},
    "B2": {"account": _NAMED, "key": _NAMED},
    "BOX": _OAUTH,
    "DROPBOX": _OAUTH,
    "FTP": {"host": _NAMED, "port": (int, 21), "user": _NAMED, "pass": (Text, ...)},
    "GOOGLE_CLOUD_STORAGE": {"service_account_credentials": (_Token, ...)},
    "GOOGLE_DRIVE": _OAUTH | {"team_drive": _ANY},
    "GOOGLE_PHOTOS": _OAUTH,
    "HTTP": {"url": (Url, ...)},
    "HUBIC": {"token": (_Token, ...)},
    "MEGA": {"user": _NAMED, "pass": _NAMED},
    "ONEDRIVE": _OAUTH
    | {
        "drive_type": (Literal["PERSONAL", "BUSINESS", "DOCUMENT_LIBRARY"], ...),
        "drive_id": (Text, ...),
    },
    "OPENSTACK_SWIFT": {"user": _NAMED, "key": _NAMED, "auth": _NAMED}
    | dict.fromkeys(_TO_SWIFT, _ANY)
    | {
        "auth_version": (Literal[0, 1, 2, 3] | None, ...),
        "endpoint_type": (Literal["public", "internal", "admin"] | None, ...),
    },
    "PCLOUD": _OAUTH | {"hostname": _ANY},
    "S3": _S3,
    "SFTP": {
        "host": _NAMED,
        "port": (int, 22),
        "user": _NAMED,
        "pass": (Text | None, None),
        "private_key": (int | None, None),
    },
    "STORJ_IX": _BY_KEYS | {"endpoint": (Url, "https://gateway.storjshare.io/")},
    "WEBDAV": {
        "url": (Url, ...),
        "vendor": (Literal["NEXTCLOUD", "OWNCLOUD", "SHAREPOINT", "OTHER"], ...),
        "user": (Text, ...),
        "pass": (Text, ...),
    },
    "YANDEX": _OAUTH,
}


def login(**more: dict[str, Any]) -> Any:
    """A login at one of them, told by its ``type``.

    Parameters
    ----------
    more
        Fields that a release has besides, by provider.
    """
    models = [
        create_model(
            f"{name.title().replace('_', '')}Credentials",
            __base__=Arguments,
            **{"type": (Literal[name], ...)} | fields | more.get(name, {}),
        )
        for name, fields in _FIELDS.items()
    ]
    return Annotated[reduce(or_, models), Field(discriminator="type")]
