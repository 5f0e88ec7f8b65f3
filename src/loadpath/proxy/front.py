"""The cache as the rest of Loadpath sees it: a process of its own behind an async context."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from loadpath.control.asking import Asker
from loadpath.control.link import Link, Spawn
from loadpath.errors import LoadpathError
from loadpath.proxy.plan import (
    CODEC,
    AskCounts,
    Begin,
    Begun,
    Counts,
    Flush,
    Sample,
    Told,
)
from loadpath.spec import Tls
from loadpath.spec.keeping import KeepRule

SIZE_BYTES = 64 * 1024 * 1024


class Front:
    """A cache before the service at `host`:`port`, that keeps what `rules` say; without any it
    passes everything on. With `tls` it speaks TLS to the service; whoever asks it speaks plain HTTP
    all the same. Leaving the context ends it, and every connection through it.

    Raises `LoadpathError` from any method when its process is gone.
    """

    def __init__(
        self,
        host: str,
        port: int,
        rules: Sequence[KeepRule],
        *,
        spawn: Spawn,
        size_bytes: int = SIZE_BYTES,
        tls: Tls | None = None,
    ) -> None:
        self._begin = Begin(host, port, tuple(rules), size_bytes, tls)
        self._link = Link("loadpath.proxy", name="cache", spawn=spawn, stderr_fd=None)
        self._asker = Asker(self._link, CODEC, "cache before the service", _gone)
        self.port = 0

    @property
    def pid(self) -> int:
        """Its process, which is a part of its own."""
        return self._link.pid

    async def __aenter__(self) -> Front:
        await self._link.start()
        try:
            self.port = (await self._asker.ask(self._begin, Begun)).port
        except BaseException:
            await self._link.end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._link.end()

    async def counts(self) -> Counts:
        """What it has done since it began."""
        return (await self._asker.ask(AskCounts(), Told)).counts

    async def sample(self, every: int) -> Counts:
        """Compare every so-manieth hit with what the service says then; 0: none."""
        return (await self._asker.ask(Sample(every), Told)).counts

    async def flush(self) -> Counts:
        """Have it forget all that it keeps."""
        return (await self._asker.ask(Flush(), Told)).counts


def _gone(how: str) -> LoadpathError:
    return LoadpathError(
        f"the cache before the service {how}, and with it every connection through it",
        advice="Run it again.",
    )
