"""Every setting of Mayfly: its meaning, its default, its bounds. One source of truth, read once at start.

A command-line option wins over an environment variable `MAYFLY_*`, that over `mayfly.toml`, that over the default.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)

from mayfly.model.errors import Misconfigured
from mayfly.model.retention import Retention
from mayfly.processing.limits import Limits
from mayfly.processing.recipe import DEFAULT_RENDITIONS, Recipe, parse_recipes, recipes_to_json
from mayfly.settings import kafka, reach
from mayfly.settings.faults import Nested, explain
from mayfly.settings.fields import Duration, Location, Whole
from mayfly.settings.kafka import KafkaSettings
from mayfly.settings.sources import TABLES, Source, read_sources
from mayfly.settings.webhooks import Webhook, parse_webhooks, webhooks_to_json

MOST_BYTES = 10 * 1024 * 1024
MOST_LABELS = 16
_LIMITS = Limits()
_FOLDER = "folder"
"""In the validation's context: the folder in which the recipes' relative paths begin."""


def _recipes(value: object, info: ValidationInfo) -> tuple[Recipe, ...]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a table of renditions, each with its steps")  # noqa: TRY004 - as above
    try:
        return parse_recipes(value, (info.context or {}).get(_FOLDER, Path()))
    except Misconfigured as error:
        raise Nested(error.faults) from None


def _webhooks(value: object) -> tuple[Webhook, ...]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a table of webhooks, each with its url and secret")  # noqa: TRY004 - as above
    try:
        return parse_webhooks(value)
    except Misconfigured as error:
        raise Nested(error.faults) from None


def _cores() -> int:
    """The cores this process may run on: fewer than the machine's where it is pinned to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


LabelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Settings(KafkaSettings):
    """All settings, valid and frozen. Durations are ISO 8601, sizes are bytes unless their description says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    host: Annotated[str, AfterValidator(reach.address)] = Field(
        default="127.0.0.1",
        description="The IP address to listen on. Beyond loopback it takes a token, and TLS or a proxy in front.",
    )
    port: Whole = Field(default=8080, ge=0, le=65_535, description="The TCP port to listen on; 0 picks a free one.")
    data: Location = Field(
        default=Path("mayfly-data"), description="The folder of sealed images, records and jobs. Made if it is missing."
    )
    keys: Location | None = Field(
        default=None,
        description="The folder of the minute keys, never backed up. Neither beneath `data` nor around it. "
        "By default beside `data`, with `.keys` added to its name.",
    )
    clock: Location | None = Field(
        default=None,
        description="A file that moves the clock, for tests and the demo. By default time is the system's.",
    )
    tls_certificate: Location | None = Field(
        default=None,
        description="The file of the TLS certificate and its chain, in PEM. By default the server speaks plain HTTP. "
        "Read again at SIGHUP.",
    )
    tls_key: Location | None = Field(
        default=None,
        description="The file of the certificate's private key, in PEM, without a passphrase; not readable by others.",
    )
    behind_proxy: bool = Field(
        default=False,
        description="Whether a proxy stands in front. Then every request needs a token, from loopback too, and "
        "`X-Forwarded-Proto` is believed.",
    )
    public_names: Annotated[tuple[str, ...], BeforeValidator(reach.names)] = Field(
        default=(),
        description="The names this server is called by elsewhere, such as `photos.example.org`, at most 16. Requests "
        "to other names are refused. With one, tokens are asked for on loopback, too. In the environment with commas "
        "between them.",
    )
    workers: Whole = Field(
        default_factory=_cores,
        ge=1,
        le=256,
        description="How many processes decode images, one image each. By default one a CPU core.",
    )
    attempts: Whole = Field(default=5, ge=1, le=100, description="How many runs an image gets before it is `failed`.")
    retention: Duration = Field(
        default=Retention.parse("P7D"),
        description="How long an image lives: an ISO 8601 duration, one minute to 7 days.",
    )
    max_bytes: Whole = Field(
        default=MOST_BYTES, ge=1, le=MOST_BYTES, description="The largest image taken, in bytes. At most 10 MiB."
    )
    max_pixels: Whole = Field(
        default=_LIMITS.pixels,
        ge=1,
        le=1_000_000_000,
        description="The largest image taken, in pixels: width x height.",
    )
    max_frames: Whole = Field(
        default=_LIMITS.frames, ge=1, le=100_000, description="The most frames or pages that an image may have."
    )
    worker_memory: Whole = Field(
        default=_LIMITS.memory, ge=256 * 1024 * 1024, description="The most memory that a worker may use, in bytes."
    )
    worker_seconds: float = Field(
        default=_LIMITS.seconds,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="The longest that one run may take, in seconds.",
    )
    max_uploads: Whole = Field(
        default=64, ge=1, le=10_000, description="How many uploads may be under way at once; more are answered 503."
    )
    max_forms: Whole = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="How many images may be awaited by upload forms at once; asking for more is answered 503.",
    )
    form_lifetime: Duration = Field(
        default=Retention.parse("PT15M"),
        description="How long an upload form may be used: whole minutes as an ISO 8601 duration. Never longer than its "
        "image lives.",
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="How logs are written; `auto` is text on a terminal, JSON otherwise."
    )
    labels: Mapping[LabelName, Literal["fact", "personal"]] = Field(
        default_factory=dict,
        max_length=MOST_LABELS,
        description="The labels that an upload may carry, at most 16: each a `fact` (kept in the open, used in "
        "queries) or `personal` (sealed with the image).",
    )
    renditions: Annotated[tuple[Recipe, ...], PlainValidator(_recipes), PlainSerializer(recipes_to_json)] = Field(
        default=parse_recipes(DEFAULT_RENDITIONS),
        description="The pictures made from each image: a table each, with its list of steps.",
    )
    webhooks: Annotated[tuple[Webhook, ...], PlainValidator(_webhooks), PlainSerializer(webhooks_to_json)] = Field(
        default=(),
        description="Who is told of events, at most 8: a table each, with its `url`, where its `secret` is, "
        "`allow_private` and `states`.",
    )

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, config: Path | None, cli: Mapping[str, Any], environ: Mapping[str, str]) -> Self:
        """The settings in force.

        Args:
            config: the file named by `--config`; without it `MAYFLY_CONFIG`, or `mayfly.toml` where it exists.
            cli: options by setting name; None is an option that was not given.
            environ: the environment.

        Raises:
            Misconfigured: with every fault of every source, each with its place.
        """
        sources, faults = read_sources(config, cli, environ, cls.model_fields)
        values = {name: value for source in sources for name, value in source.values.items()}
        origin = {name: source for source in sources for name in source.values}
        try:
            renditions = origin.get("renditions")
            beside = {} if renditions is None else {_FOLDER: renditions.folder}
            settings = cls.model_validate(values, context=beside)
        except ValidationError as error:
            faults += explain(error, origin, cls.model_fields)
        faults += _overlap(values, origin) + reach.faults(values, origin) + kafka.faults(values, origin)
        if faults:
            raise Misconfigured(*faults)
        settings._origins = {
            name: origin[name].origin(name) if name in origin else "default" for name in cls.model_fields
        }
        return settings

    @classmethod
    def names(cls) -> list[str]:
        """Every setting, as pages show them: Kafka's after the others, and tables, which end TOML's top level, last."""
        return sorted(cls.model_fields, key=lambda name: (name in TABLES, name in KafkaSettings.model_fields))

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each setting's value is from: `default`, `mayfly.toml:12`, `MAYFLY_PORT` or `--port`."""
        return self._origins

    @property
    def keys_folder(self) -> Path:
        """`keys`, or the folder beside `data`."""
        return self.keys or _beside(self.data)


def _beside(data: Path) -> Path:
    whole = data.resolve()
    return whole.parent / f"{whole.name}.keys"


def _overlap(values: Mapping[str, Any], origin: Mapping[str, Source]) -> list[str]:
    """Keys beneath the data would be copied, and backed up, with what they seal."""
    try:
        data = Path(values.get("data") or Settings.model_fields["data"].default).expanduser()
        keys = Path(values["keys"]).expanduser() if values.get("keys") else _beside(data)
        data, keys = data.resolve(), keys.resolve()
    except (TypeError, ValueError, RuntimeError, OSError):
        return []  # no path; the field's own fault says so
    named = "keys" if "keys" in values else "data"
    place = origin[named].place(named) if named in origin else named
    if keys == data or data in keys.parents:
        return [f"{place}: the keys' folder must not lie beneath the data's, or be the same (got {keys} in {data})"]
    if keys in data.parents:
        return [f"{place}: the data's folder must not lie beneath the keys' (got {data} in {keys})"]
    return []
