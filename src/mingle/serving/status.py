"""What is served and how it is: models, health, readiness, figures."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from mingle.serving.faults import AbsentError, answer_with, body_of
from mingle.serving.house import House


def status_routes(house: House) -> APIRouter:
    """The routes that tell and change nothing."""
    router = APIRouter(tags=["status"])

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """The model that is served, under all its names."""
        names = (house.settings.name, *house.settings.aliases)
        return {"object": "list", "data": [_model(house, name) for name in names]}

    @router.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """One model."""
        if name not in (house.settings.name, *house.settings.aliases):
            raise AbsentError(f"there is no model '{name[:80]}' here")
        return _model(house, name)

    @router.get("/health")
    async def health() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        """Whether the process lives."""
        return {"status": "ok"}

    @router.get("/ready")
    async def ready() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        """Whether it takes new work."""
        if house.closing:
            return answer_with(503, body_of(503, "the server is shutting down"))
        return JSONResponse({"status": "ready", "model": house.settings.name})

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Figures for Prometheus."""
        engine = house.assistant.engine
        page = house.metrics.page(engine.load, engine.experts.counts(), house.decoders.restarts)
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _model(house: House, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": house.started,
        "owned_by": "mingle",
        "family": house.assistant.folder.family.name,
        "parts": list(house.parts),
        "context_tokens": house.assistant.processor.context_tokens,
    }
