"""Who is asking, and whether they may. One function names the principal, one table says who may call what.

On loopback whoever comes is the admin: anyone who can reach the port can read the data folder as well. Elsewhere, and
behind a proxy, everyone shows a token. What has to be kept out besides is the rest of the web, speaking through the
visitor's own browser: a page elsewhere that posts here, or a name elsewhere that is made to resolve to this machine.
So `Host` must be one of ours and cross-site requests are refused, before a byte of the body is read.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mayfly.entrypoints.http.errors import respond
from mayfly.entrypoints.http.origin import Reach, passed_on, same_origin
from mayfly.entrypoints.http.session import carried_by
from mayfly.entrypoints.http.stages import stages_in
from mayfly.model.errors import Denied, Unauthenticated
from mayfly.model.principal import LOCAL, Principal, Role
from mayfly.model.token import Token

_SAFE = frozenset({"GET", "HEAD"})

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
    ("GET", "/v1/deadletters"): _OPERATORS,
    ("POST", "/v1/deadletters/redrive"): _OPERATORS,
    ("POST", "/v1/sweeps"): _OPERATORS,
    ("POST", "/v1/clock/confirm"): _OPERATORS,
    ("GET", "/v1/limits"): _EVERYONE,
    ("GET", "/metrics"): _OPERATORS | {Role.AUDITOR},
    ("GET", "/v1/me"): _EVERYONE,
}
"""Which role may call which route. A route that is not here is refused to all; a test holds the two together."""

OPEN_TO_ALL = frozenset(
    {
        "/",
        "/console.css",
        "/console.js",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/problems/{slug}",
        "/v1/session",
        "/v1/uploads/form",
    }
)
"""Routes that show nothing of any image and need no principal. (A form posted is authorised by its signature; signing
in shows a token of its own.)"""


def principal_of(request: Request) -> Principal:
    """The caller, by the token shown; without one, on an open server, whoever sits at this machine.

    Raises:
        Unauthenticated: no token where one is needed, or one that is not live, wherever it is shown.
        Denied: a session's cookie on a request of which cannot be told that our own page sent it.
    """
    token = _token_of(request)
    name, role = (LOCAL, Role.ADMIN) if token is None else (token.name, token.role)
    return Principal(name, role)


def _token_of(request: Request) -> Token | None:
    """None: an open server was asked without one. There cookies count for nothing: other servers on other ports of
    this machine may have left theirs."""
    shown = request.headers.getlist("authorization")
    if shown:
        scheme, _, text = shown[0].partition(" ")
        if len(shown) > 1 or scheme.lower() != "bearer":
            raise Unauthenticated("show one token, as Authorization: Bearer TOKEN")
        return stages_in(request).tokens.holder(text.strip())
    if request.app.state.reach.open:
        return None
    carried = carried_by(request)
    if carried is None:
        raise Unauthenticated(
            "this server asks for a token: send Authorization: Bearer TOKEN; `mayfly token create` makes one"
        )
    return _token_of_session(request, carried)


def _token_of_session(request: Request, carried: str) -> Token:
    stages, sessions = stages_in(request), request.app.state.sessions
    token_id = sessions.token_id(carried, stages.clock.now())
    if token_id is None:
        raise Unauthenticated("the session has ended; sign in again")
    # What they say, the guard has checked; here they have to be there. Browsers always send one of them.
    if request.method not in _SAFE and not {"origin", "sec-fetch-site"} & set(request.headers):
        raise Denied("a session is for our own page; elsewhere send Authorization: Bearer TOKEN")
    return stages.tokens.by_id(token_id)


async def authorize(request: Request) -> Principal:
    """The principal of a request that its route allows.

    Raises:
        Denied: the route is not for this role.
        Unauthenticated: as `principal_of`.
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
    """Raises Denied for a foreign `Host`, `Origin` or `Sec-Fetch-Site`, and for what a proxy passed on to a server that
    was not told of one: behind it the whole world would be the admin."""
    if reach.open and passed_on(headers):
        raise Denied("this came through a proxy, and this server knows of none: set behind_proxy, and make tokens")
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
