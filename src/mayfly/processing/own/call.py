"""Calling a user's own steps, whatever they are made of."""

import json
import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from mayfly.model.errors import AttemptFailed, Misconfigured
from mayfly.processing.own.answer import Answer, Bounds, Raw, believed
from mayfly.processing.own.endpoint import LARGEST_FACTS as LARGEST_FACTS_HEADER
from mayfly.processing.own.endpoint import Endpoint
from mayfly.processing.own.step import HttpStep, OwnStep


class OwnSteps:
    """Calls steps, and keeps what makes the next call quick: connections. A context manager. Used by one thread at a
    time."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """
        Args:
            environ: where the secrets of endpoints are looked up.
        """
        self._environ = environ
        self._endpoints: dict[str, Endpoint] = {}

    def call(self, step: OwnStep, data: bytes | memoryview, media_type: str, bounds: Bounds) -> Answer:
        """Hand the image to the step, and look at what it answers.

        Raises:
            Rejected: `step-rejected`: it says that the image is at fault.
            AttemptFailed: anything else; the slugs are in docs/reference/own-steps.md.
        """
        if not isinstance(step, HttpStep):
            raise AttemptFailed("step-not-isolated")
        raw = self._endpoint(step).call(data, media_type, bounds.output)
        return believed(raw if step.facts != "none" else Raw(raw.data), bounds, LARGEST_FACTS_HEADER)

    def check(self, steps: Iterable[OwnStep]) -> None:
        """Tell everything that would keep these steps from running, before the first image comes.

        Raises:
            Misconfigured: with every fault.
        """
        faults = [f"{step.verb}.{fault}" for step in steps for fault in [*step.faults(), *self._secret_faults(step)]]
        if faults:
            raise Misconfigured(*faults)

    def close(self) -> None:
        """Let go of everything. Harmless when repeated; the next call begins anew."""
        for endpoint in self._endpoints.values():
            endpoint.close()
        self._endpoints.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _endpoint(self, step: HttpStep) -> Endpoint:
        key = json.dumps(step.to_json())  # not the step: as a key, a parameter that is 1 would be one that is true
        if key not in self._endpoints:
            self._endpoints[key] = Endpoint(step, self._secret(step))
        return self._endpoints[key]

    def _secret(self, step: HttpStep) -> str | None:
        name = step.secret.partition(":")[2]
        if name and not self._environ.get(name):
            raise AttemptFailed("step-secret-missing")
        return self._environ[name] if name else None

    def _secret_faults(self, step: OwnStep) -> list[str]:
        if not isinstance(step, HttpStep) or not step.secret or self._environ.get(step.secret.partition(":")[2]):
            return []
        return [f"secret: {step.secret} is not set; set that variable in Mayfly's environment"]
