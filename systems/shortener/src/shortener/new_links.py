"""Tells every process of new links, whose codes they may remember as unknown."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from systems_common.batching import Batcher, OverloadedError
from systems_common.database import Database, DatabaseUnavailableError

from shortener.targets import Targets, key_of

__all__ = ["NewLinks"]

log = logging.getLogger(__name__)

_TELL = "SELECT pg_notify('link_changed', key) FROM unnest($1::text[]) AS key"


class NewLinks:
    """After the link is committed and before its maker is answered, several in one statement.

    Not a trigger: transactions that notify commit one at a time, so links would be made no faster
    than the disk can be waited for. This transaction writes nothing that has to reach the disk.
    """

    def __init__(self, database: Database, targets: Targets) -> None:
        self._database = database
        self._targets = targets
        self._batcher = Batcher[str, None](self._tell, size_max=200, calls_max=1)

    async def tell(self, domain: str, code: str) -> None:
        """The link of this domain ('' is the default one) and code is there now.

        When that cannot be told the others ask for the code again a few seconds later.
        """
        key = key_of(domain, code)
        self._targets.forget(key)
        try:
            await self._batcher.submit(key)
        except (DatabaseUnavailableError, OverloadedError) as error:
            log.warning("a new link was not told", extra={"key": key, "error": str(error)})

    async def _tell(self, keys: list[str]) -> Sequence[None]:
        await self._database.fetch(_TELL, keys)
        return [None] * len(keys)
