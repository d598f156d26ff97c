"""Asking the application without a server between."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


def ask(app: FastAPI, method: str, path: str, **how: Any) -> httpx.Response:
    """One request, as a browser on this machine would send it. What the application raises is answered, not raised."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **how)

    return asyncio.run(request())
