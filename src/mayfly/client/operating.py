"""What the people who run a server ask of it."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from mayfly.client.letters import letters, redrive
from mayfly.client.looking import Time
from mayfly.client.remaking import reprocess
from mayfly.client.server import Server
from mayfly.client.shapes import DeadLetter, Redriven, Reprocessed, Sweep, instant


class Operating:
    """The part of a client that operators use."""

    _server: Server

    def reprocess(
        self,
        ids: Iterable[str] = (),
        *,
        state: str | None = None,
        source: str | None = None,
        received_from: Time | None = None,
        received_to: Time | None = None,
        dry_run: bool = False,
    ) -> Iterator[Reprocessed]:
        """Process again what failed, and what the recipes in force would make otherwise; an iterator of what was done.

        It asks as it goes on, for up to 100 images at a time, and waits while the server's queue is long.

        Args:
            ids: these alone; without any, all that the filters let through (see `images`).
            dry_run: count only.
        """
        times = {"received_from": received_from, "received_to": received_to}
        return reprocess(self._server, ids, dry_run=dry_run, state=state, source=source, **times)

    def deadletters(
        self,
        *,
        reason: str | None = None,
        topic: str | None = None,
        partition: int | None = None,
        died_from: Time | None = None,
        died_to: Time | None = None,
        page_size: int = 200,
    ) -> Iterator[DeadLetter]:
        """Open dead letters by key, asked for page by page as the iterator goes on.

        Args:
            reason: a slug, such as `unknown-type`.
            topic, partition: of the stream that the record stands in.
            died_from, died_to: died at or after; died before. A datetime has to be aware.
        """
        filters = {"reason": reason, "topic": topic, "partition": partition, "died_from": died_from, "died_to": died_to}
        return letters(self._server, filters, page_size)

    def redrive(
        self,
        *,
        reason: str | None = None,
        topic: str | None = None,
        partition: int | None = None,
        died_from: Time | None = None,
        died_to: Time | None = None,
        dry_run: bool = False,
        force: bool = False,
        limit: int | None = None,
    ) -> Iterator[Redriven]:
        """Give what died another chance, as long as its bytes are kept; an iterator of what became of each letter.

        Without a filter (see `deadletters`) all of them. Nothing happens before the first is asked for. It asks as it
        goes on, for up to 100 letters at a time, and waits while the server's queue is long. No image lives longer.

        Args:
            dry_run: only tell what would become of each.
            force: those, too, that came back too often.
            limit: so many letters at most.
        """
        filters = {"reason": reason, "topic": topic, "partition": partition, "died_from": died_from, "died_to": died_to}
        return redrive(self._server, filters, limit, dry_run=dry_run, force=force)

    def sweep(self) -> Sweep:
        """Destroy now what is due, and remove what is orphaned. The server does so each minute by itself."""
        return self._server.ask("POST", "/v1/sweeps", Sweep.of, json={})

    def confirm_clock(self) -> datetime:
        """Say that the server's time is right after a jump; the time it has."""
        return self._server.ask("POST", "/v1/clock/confirm", lambda document: instant(document["now"]), json={})
