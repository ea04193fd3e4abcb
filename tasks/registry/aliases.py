"""Who is champion, who was before, and how that came about; changed under the lock only."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.registry.locking import StillHeld
from tasks.registry.packaging import mirror_aliases

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHAMPION = "champion"
"""The version that catalogues are made with."""
PREVIOUS = "previous"
"""The version that was champion before, to which one can roll back."""
CHALLENGER = "challenger"
"""The newest version, which has yet to win."""
GATED = (CHAMPION, PREVIOUS)
"""Aliases that only a promotion or a rollback moves."""
ROLLED_BACK = "galaxyloop.rolled_back"
"""Tag of a version that was taken back: it is never promoted again but by hand."""
_HISTORY = "galaxyloop.history."
"""Tags of a registered model, numbered: every change of its champion."""


def aliased(client: "MlflowClient", name: str, alias: str) -> str | None:
    """The number of the version that has an alias; None if none has."""
    for found in client.search_registered_models(f"name = '{name}'"):
        aliases: dict[str, Any] = client.get_registered_model(found.name).aliases
        return str(aliases[alias]) if alias in aliases else None
    return None


def history(client: "MlflowClient", name: str) -> list[dict[str, str]]:
    """Every change of the champion, oldest first: at, action, version, replaced, reason."""
    tags = client.get_registered_model(name).tags
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(_HISTORY)]


def crown(
    client: "MlflowClient",
    version: tuple[str, str],
    replaced: str | None,
    entry: tuple[str, str],
    still_held: StillHeld,
) -> None:
    """Make a version champion, and the one it replaces the previous one.

    What will be is written down first, so that a process that ends in between loses nothing: the
    next promotion or rollback begins from the aliases as they are.

    Args:
        client: of the registry.
        version: name and number of the new champion.
        replaced: number of the present champion.
        entry: action and reason, for the history.
        still_held: what the lock gave.
    """
    name, number = version
    still_held()
    note(client, name, (entry[0], number, replaced or "", entry[1]))
    if replaced is not None:
        client.set_registered_model_alias(name, PREVIOUS, replaced)
    client.set_registered_model_alias(name, CHAMPION, number)
    if aliased(client, name, CHALLENGER) == number:
        client.delete_registered_model_alias(name, CHALLENGER)
    mirror_aliases(client, name)


def note(client: "MlflowClient", name: str, entry: tuple[str, str, str, str]) -> None:
    """Add to the history; what was written last and not carried out is not written again."""
    changes = history(client, name)
    said = dict(zip(("action", "version", "replaced", "reason"), entry, strict=True))
    said["reason"] = said["reason"][:1000]
    last = {key: value for key, value in changes[-1].items() if key != "at"} if changes else {}
    if last != said:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        key = f"{_HISTORY}{len(changes):06d}"
        client.set_registered_model_tag(name, key, json.dumps({"at": at, **said}))


def replaced_by(client: "MlflowClient", name: str, number: str) -> str | None:
    """The version that a former promotion of this one replaced; None if there is none."""
    for change in reversed(history(client, name)):
        if change["version"] == number and change["action"] != "rolled back to":
            return change["replaced"] or None
    return None
