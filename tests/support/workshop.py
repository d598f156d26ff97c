"""A house with processing in it, and a sandbox without a process."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from mayfly.model.address import Address
from mayfly.model.errors import MayflyError
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.instant import SECOND
from mayfly.model.lifecycle import State
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.object_store import ObjectStore
from mayfly.ports.work_queue import WorkQueue
from mayfly.processing.limits import Limits
from mayfly.processing.own.answer import Answer, Bounds
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.own.step import HttpStep, OwnStep
from mayfly.processing.process import Processing
from mayfly.processing.recipe import parse_recipes
from mayfly.processing.sandbox import Sandbox
from mayfly.processing.shared_body import SharedBody
from mayfly.processing.stage import Stage
from mayfly.processing.verdicts import Stores
from mayfly.vault.vault import Vault
from support.house import House

ATTEMPTS = 3
LEASE_MS = 60 * SECOND
PICTURES = {"thumb": b"a thumb", "large": b"a large one"}
WEBP: Any = {"encode": {"format": "webp"}}

Meanwhile = Callable[[], object]


def box(side: int) -> Any:
    return {"resize": {"width": side, "height": side}}


@dataclass
class FakeOwnSteps:
    """A user's own steps without any: each answers with a text that names it and what it was given, and with its
    parameters as facts. `faults` are raised one a call, `meanwhile` happens while one works."""

    faults: list[MayflyError] = field(default_factory=list)
    given: list[tuple[str, bytes, str]] = field(default_factory=list)
    bounds: list[Bounds] = field(default_factory=list)
    meanwhile: Meanwhile = lambda: None

    def call(self, step: OwnStep, data: memoryview, media_type: str, bounds: Bounds) -> Answer:
        assert data.readonly
        name = step.url.rpartition("/")[2] if isinstance(step, HttpStep) else step.verb
        self.bounds.append(bounds)
        self.given.append((name, bytes(data), media_type))
        self.meanwhile()
        if self.faults:
            raise self.faults.pop(0)
        return Answer(memoryview(f"{name} of {bytes(data).decode()}".encode()), "image/jpeg", dict(step.parameters))


def own(name: str, **how: Any) -> Any:
    return {"http": f"http://127.0.0.1:9/{name}", **how}


@dataclass
class FakeOutcome:
    pictures: list[Any]
    facts: Mapping[str, Any]
    phash: bytes
    timings: Mapping[str, float]
    open: list["FakeOutcome"]

    def __enter__(self) -> "FakeOutcome":
        self.open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.open.remove(self)


class FakeSandbox:
    """A sandbox without a process: what it is given it tells, `faults` it raises one a run, and `meanwhile` happens
    while it works; `held` is how many outcomes were still open at each run. Its pictures are those of `PICTURES`, else
    a text that names the stage and the body."""

    def __init__(self, *faults: MayflyError) -> None:
        self.faults = list(faults)
        self.bodies: list[bytes] = []
        self.media_types: list[str] = []
        self.stages: list[list[str]] = []
        self.recipes = parse_recipes({name: {"steps": [box(8), WEBP]} for name in PICTURES})
        self.meanwhile: Meanwhile = lambda: None
        self.limits = Limits()
        self.open: list[FakeOutcome] = []
        self.held: list[int] = []

    def desk(self, size: int) -> SharedBody:
        return SharedBody.create(size)

    def run(self, body: SharedBody, media_type: str, stages: Sequence[Stage], *, measured: bool = True) -> Any:
        data = bytes(body.view[: body.size])
        self.bodies.append(data)
        self.media_types.append(media_type)
        self.stages.append([stage.name for stage in stages])
        self.held.append(len(self.open))
        self.meanwhile()
        if self.faults:
            raise self.faults.pop(0)
        pictures = [
            SimpleNamespace(
                name=stage.name,
                media_type=min(stage.encode.media_types()),
                width=2,
                height=1,
                data=memoryview(PICTURES.get(stage.name, f"{stage.name} of {data.decode()}".encode())),
            )
            for stage in stages
        ]
        facts = {"frames": 1} if measured else {}
        phash = bytes(8) if measured else b""
        return FakeOutcome(pictures, facts, phash, {"decode": 1.0}, self.open)


class Workshop(House):
    """A house with processing in it."""

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = FakeSandbox()
        self.own_steps = FakeOwnSteps()
        self.stopping = threading.Event()

    def processing(self, metadata: object = None, queue: object = None, objects: object = None) -> Processing:
        store = cast("ObjectStore", objects or self.objects)
        stores = Stores(
            Vault(store, self.keys, self.clock),
            store,
            cast("MetadataStore", metadata or self.metadata),
            cast("WorkQueue", queue or self.queue),
            self.keys,
            self.clock,
        )
        sandbox = cast("Sandbox", self.sandbox)
        own_steps = cast("OwnSteps", self.own_steps)
        return Processing(stores, sandbox, own_steps, ATTEMPTS, LEASE_MS, self.told, self.stopping)

    def run(self, **instead: object) -> bool:
        return self.processing(**instead).run_once(0)

    def ending(self, image_id: ImageId) -> tuple[State, int, str | None]:
        record: ImageRecord = self.metadata.get(image_id)
        return record.state, record.attempts, record.reason

    def buried(self) -> list[tuple[ImageId, str, int]]:
        return [(letter.job.image_id, letter.reason, letter.attempts) for letter in self.queue.dead_letters(10)]

    def all_of(self, image_id: ImageId) -> set[str]:
        return {Address.original(image_id).file_name} | {
            Address.rendition(image_id, name).file_name for name in PICTURES
        }
