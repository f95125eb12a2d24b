"""Extensions, their versions, installs and upgrades, as they are sent and answered."""

from __future__ import annotations

from web.api.openapi.words import (
    ANY,
    FLAG,
    ID,
    INSTANT,
    OBJECT,
    TEXT,
    WHOLE,
    body,
    by_name,
    choice,
    listed,
    maybe,
    more,
    record,
)

_NAMES = listed(TEXT)
EXTENSION_ROW = record(
    "ExtensionRow",
    id=ID,
    name=TEXT,
    publisher=TEXT,
    isOwn=FLAG,
    latestVersion=maybe(TEXT),
    installedVersion=maybe(TEXT),
    hasNewerVersion=FLAG,
    enabled=maybe(FLAG),
    installedAt=maybe(INSTANT),
)
INSTALL = record(
    "Install",
    id=ID,
    extensionId=ID,
    version=TEXT,
    versionId=ID,
    contentHash=TEXT,
    config=OBJECT,
    capabilities=_NAMES,
    askedCapabilities=_NAMES,
    enabled=FLAG,
    disabledAt=maybe(INSTANT),
    disableReason=maybe(TEXT),
    revision=WHOLE,
    createdAt=INSTANT,
    updatedAt=INSTANT,
)
EXTENSION = record(
    "Extension",
    id=ID,
    name=TEXT,
    publisher=TEXT,
    isOwn=FLAG,
    latestVersion=maybe(TEXT),
    install=maybe(INSTALL),
)
ENDPOINT = record(
    "Endpoint",
    id=ID,
    method=TEXT,
    path=TEXT,
    handler=TEXT,
    requestSchema=ANY,
    schedulable=FLAG,
    reason=maybe(TEXT),
)
VERSION_ROW = record(
    "ExtensionVersionRow",
    id=ID,
    extensionId=ID,
    version=TEXT,
    contentHash=TEXT,
    isInstalled=FLAG,
    publishedAt=INSTANT,
)
VERSION = more("ExtensionVersion", VERSION_ROW, capabilities=_NAMES, manifest=OBJECT, endpoints=listed(ENDPOINT))
UPGRADED = record(
    "Upgraded",
    changed=FLAG,
    fromVersion=TEXT,
    toVersion=TEXT,
    remapped=WHOLE,
    redirected=WHOLE,
    disabled=WHOLE,
    invalidated=WHOLE,
    recovered=WHOLE,
)
PUBLISHED = more("PublishedVersion", VERSION, upgraded=maybe(UPGRADED))
SECRET = record("InstallSecret", name=TEXT, changedAt=INSTANT)
NEAR = record("NearEndpoint", endpointId=ID, method=TEXT, path=TEXT)
MISSING = record(
    "MissingEndpoint", scheduleId=ID, name=TEXT, enabled=FLAG, method=TEXT, path=TEXT, nearest=listed(NEAR)
)
REMAPPED = record("Remapped", scheduleId=ID, name=TEXT, method=TEXT, path=TEXT, endpointId=ID, misfit=maybe(TEXT))
UPGRADE_PREVIEW = record(
    "UpgradePreview",
    dryRun={"const": True},
    ready=FLAG,
    fromVersion=TEXT,
    toVersion=TEXT,
    remapped=listed(REMAPPED),
    missing=listed(MISSING),
    unanswered=listed(ID),
    stale=listed(MISSING),
    newCapabilities=_NAMES,
    ungranted=_NAMES,
    choices=listed(NEAR),
    fingerprint=TEXT,
)

_DISABLED = {"anyOf": [FLAG, listed(ID), {"type": "null"}]}
NEW_VERSION = body(
    "NewVersion",
    needs=("manifest",),
    manifest=OBJECT,
    upgrade=maybe(FLAG),
    disableMissing=_DISABLED,
    grant=maybe(_NAMES),
)
NEW_INSTALL = body("NewInstall", version=maybe(TEXT), config=maybe(by_name(TEXT)), capabilities=maybe(_NAMES))
INSTALL_CHANGE = body("InstallChange", config=maybe(by_name(TEXT)), capabilities=maybe(_NAMES), revision=maybe(WHOLE))
REASON = body("Reason", reason=maybe(TEXT))
NOTHING = body("Nothing")
SECRET_VALUE = body("SecretValue", needs=("value",), value=TEXT)
UPGRADE = body(
    "Upgrade",
    needs=("version",),
    version=TEXT,
    disableMissing=_DISABLED,
    remap=maybe(by_name(ID)),
    grant=maybe(_NAMES),
    fingerprint=maybe(TEXT),
    dryRun=maybe(FLAG),
)
STATES = choice(("installed", "available"))
