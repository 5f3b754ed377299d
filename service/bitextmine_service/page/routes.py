"""The routes of the web page: each of its files at its path, asked for again only when it has changed."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from bitextmine_service.page.assets import Asset, read_assets

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)  # what is in the page, or comes into it, runs no script of its own and reaches no other host


def install(app: FastAPI) -> None:
    """Serve the web page."""
    for path, asset in read_assets().items():
        app.add_route(path, _Answer(asset).answer, methods=["GET"], include_in_schema=False)


class _Answer:
    """Answers with a file, or that it is what the browser has already."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset

    async def answer(self, request: Request) -> Response:
        asset = self._asset
        headers = {
            "ETag": asset.etag,
            "Cache-Control": "no-cache",  # kept, and compared with each use
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": POLICY,
        }
        if asset.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.compressed, headers=headers, media_type=asset.media_type)
        return Response(asset.content, headers=headers, media_type=asset.media_type)
