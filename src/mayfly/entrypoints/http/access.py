"""Who is asking, and whether they may. One function names the principal, one table says who may call what.

On loopback whoever comes is the admin: anyone who can reach the port can read the data folder as well. What has to be
kept out is the rest of the web, speaking through the visitor's own browser: a page elsewhere that posts here, or a
name elsewhere that is made to resolve to this machine. So `Host` must be a loopback name and cross-site requests are
refused, before a byte of the body is read.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mayfly.entrypoints.http.errors import respond
from mayfly.entrypoints.http.origin import Reach, same_origin
from mayfly.model.errors import Denied
from mayfly.model.principal import Principal, Role

_EVERYONE = frozenset(Role)
_OPERATORS = frozenset({Role.OPERATOR, Role.ADMIN})
_READERS = frozenset({Role.UPLOADER, Role.OPERATOR, Role.ADMIN})
_LISTERS = frozenset(Role) - {Role.SCIENTIST}

ALLOWED: Mapping[tuple[str, str], frozenset[Role]] = {
    ("POST", "/v1/images"): frozenset({Role.UPLOADER, Role.ADMIN}),
    ("POST", "/v1/uploads"): frozenset({Role.UPLOADER, Role.ADMIN}),
    ("GET", "/v1/images"): _LISTERS,
    ("GET", "/v1/events"): _LISTERS,
    ("GET", "/v1/images/{image_id}"): _READERS,
    ("GET", "/v1/images/{image_id}/original"): _READERS,
    ("GET", "/v1/images/{image_id}/renditions/{name}"): _READERS | {Role.SCIENTIST},
    ("DELETE", "/v1/images/{image_id}"): _OPERATORS,
    ("POST", "/v1/images/{image_id}/retry"): _OPERATORS,
    ("POST", "/v1/reprocess"): _OPERATORS,
    ("POST", "/v1/sweeps"): _OPERATORS,
    ("POST", "/v1/clock/confirm"): _OPERATORS,
    ("GET", "/v1/limits"): _EVERYONE,
    ("GET", "/metrics"): _OPERATORS | {Role.AUDITOR},
}
"""Which role may call which route. A route that is not here is refused to all; a test holds the two together."""

OPEN_TO_ALL = frozenset(
    {"/", "/console.css", "/console.js", "/healthz", "/readyz", "/openapi.json", "/problems/{slug}", "/v1/uploads/form"}
)
"""Routes that show nothing of any image and need no principal. (A form posted is authorised by its signature.)"""


def principal_of(_: Request) -> Principal:
    """The caller. Tokens come with their own issue; until then listening is on loopback only."""
    return Principal("local", Role.ADMIN)


async def authorize(request: Request) -> Principal:
    """The principal of a request that its route allows.

    Raises:
        Denied: the route is not for this role.
    """
    principal = principal_of(request)
    route = request.scope["route"].path
    # HEAD is GET without its body (RFC 9110, section 9.3.2): who may do the one may do the other.
    method = "GET" if request.method == "HEAD" else request.method
    if principal.role not in ALLOWED.get((method, route), frozenset()):
        raise Denied(f"the role {principal.role} may not {request.method} {route}")
    return principal


class Guard:
    """Refuses what a browser sends on behalf of another site."""

    def __init__(self, app: ASGIApp, reach: Reach) -> None:
        self._app = app
        self._reach = reach

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                refuse_strangers(Headers(scope=scope), self._reach)
            except Denied as fault:
                await respond(fault)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def refuse_strangers(headers: Headers, reach: Reach) -> None:
    """Raises Denied for a foreign `Host`, `Origin` or `Sec-Fetch-Site`."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not reach.answers_to(hosts[0]):
        raise Denied(
            "Host must be localhost, 127.0.0.1 or [::1]: this server answers on loopback only"
            if reach.open
            else "Host names another server: add the name that this one is called by to the setting public_names"
        )
    ours = f"{reach.scheme(headers)}://{hosts[0]}"
    for origin in headers.getlist("origin"):
        if not same_origin(origin, ours):
            raise Denied(
                "requests from other sites are refused"
                + ("; behind a proxy, it has to pass Host on and to send X-Forwarded-Proto" * reach.behind_proxy)
            )
    for site in headers.getlist("sec-fetch-site"):
        if site not in ("same-origin", "none"):
            raise Denied("requests from other sites are refused")
