"""Calling a user's own steps, whatever they are made of."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mayfly.model.errors import AttemptFailed, Misconfigured
from mayfly.processing.closing import Closing
from mayfly.processing.own.answer import Answer, Bounds, Raw, believed
from mayfly.processing.own.endpoint import LARGEST_FACTS as LARGEST_FACTS_HEADER
from mayfly.processing.own.endpoint import Endpoint
from mayfly.processing.own.keeper import HostFailed, Keeper
from mayfly.processing.own.report import LARGEST_FACTS
from mayfly.processing.own.step import FIRST_KEYS, FunctionStep, HttpStep, OwnStep, RunStep

_INSTEAD = "run the code in a sidecar, and use an http step"
_ALLOW = "on Linux, allow Mayfly user namespaces and mounts in them (docs/howto/own-steps.md)"


class OwnSteps(Closing):
    """Calls steps, and keeps what makes the next call quick: connections, and processes that have the code loaded. A
    context manager. Used by one thread at a time; the processes die with the thread that first called them."""

    def __init__(self, hidden: Sequence[Path] = (), environ: Mapping[str, str] = os.environ) -> None:
        """
        Args:
            hidden: folders that no step may see into, wherever they lie: those of the data and of the keys.
            environ: where the secrets of endpoints are looked up.
        """
        self._hidden = tuple(path.resolve() for path in hidden)
        self._environ = environ
        self._endpoints: dict[str, Endpoint] = {}
        self._keepers: dict[str, Keeper] = {}

    def call(self, step: OwnStep, data: bytes | memoryview, media_type: str, bounds: Bounds) -> Answer:
        """Hand the image to the step, and look at what it answers.

        Raises:
            Rejected: `step-rejected`: it says that the image is at fault.
            AttemptFailed: anything else; the slugs are in docs/reference/own-steps.md.
        """
        caller, largest_facts = self._caller(step)
        raw = caller.call(data, media_type, bounds.output)
        return believed(raw if step.facts != "none" else Raw(raw.data), bounds, largest_facts)

    def check(self, steps: Iterable[OwnStep]) -> None:
        """Tell everything that would keep these steps from running, before the first image comes. Those that run on
        this machine are started for it, and ended again.

        Raises:
            Misconfigured: with every fault.
        """
        faults = []
        try:
            for step in steps:
                found = [*step.faults(), *self._secret_faults(step)]
                faults += [f"{step.verb}.{fault}" for fault in found or self._start_faults(step)]
        finally:
            self.close()
        if faults:
            raise Misconfigured(*faults)

    def close(self) -> None:
        """Let go of everything. Harmless when repeated; the next call begins anew."""
        for endpoint in self._endpoints.values():
            endpoint.close()
        for keeper in self._keepers.values():
            keeper.close()
        self._endpoints.clear()
        self._keepers.clear()

    def _caller(self, step: OwnStep) -> tuple[Endpoint | Keeper, int]:
        """What calls the step, and how many bytes of facts it may give."""
        if isinstance(step, HttpStep):
            return self._endpoint(step), LARGEST_FACTS_HEADER
        return self._keeper(step), LARGEST_FACTS

    def _endpoint(self, step: HttpStep) -> Endpoint:
        key = _key(step)
        if key not in self._endpoints:
            self._endpoints[key] = Endpoint(step, self._secret(step))
        return self._endpoints[key]

    def _keeper(self, step: RunStep | FunctionStep) -> Keeper:
        if sys.platform != "linux":
            raise HostFailed("step-not-isolated", "only Linux can confine it")
        key = _key(step)
        if key not in self._keepers:
            self._keepers[key] = Keeper(step, self._hidden)
        return self._keepers[key]

    def _start_faults(self, step: OwnStep) -> list[str]:
        if isinstance(step, HttpStep):
            return []
        try:
            self._keeper(step).start()
        except HostFailed as fault:
            advice = f"; {_ALLOW}, or {_INSTEAD}" if str(fault) == "step-not-isolated" else ""
            return [f"{FIRST_KEYS[step.verb]}: {fault}: {fault.why}{advice}"]
        return []

    def _secret(self, step: HttpStep) -> str | None:
        name = step.secret.partition(":")[2]
        if name and not self._environ.get(name):
            raise AttemptFailed("step-secret-missing")
        return self._environ[name] if name else None

    def _secret_faults(self, step: OwnStep) -> list[str]:
        if not isinstance(step, HttpStep) or not step.secret or self._environ.get(step.secret.partition(":")[2]):
            return []
        return [f"secret: {step.secret} is not set; set that variable in Mayfly's environment"]


def _key(step: OwnStep) -> str:
    """Not the step itself: as a key, a parameter that is 1 would be one that is true."""
    return json.dumps([step.to_json(), str(getattr(step, "folder", ""))])
