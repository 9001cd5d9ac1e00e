"""The first legacy contract, in FastAPI: legacy's dialect (422, redirects, 405, CORS) is FastAPI's own."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from starlette.websockets import WebSocketDisconnect

from heartbeat.errors import Unavailable
from heartbeat.ingest.beat import LegacyBeat, check_beat, health_text, status_beat
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.marks import Marks, marks_of
from heartbeat.ingest.offers import Offers
from heartbeat.legacy_api.answers import TolerantJSONResponse, add_handlers
from heartbeat.legacy_api.bodies import RobotStatus, RollbackRequest
from heartbeat.legacy_api.operation import ReadOperation, teleoperation_status
from heartbeat.legacy_api.store import Store
from heartbeat.rules.updates import UnreadableTime, Wish, latest, newest_first

#: what the description of the contract says beside 200 and 422
UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"description": "The database cannot be asked now"}}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "There is none"}}
UNREADABLE: dict[int | str, dict[str, Any]] = {400: {"description": "The body, or `time_ago` in it, cannot be read"}}

#: the site starts its recorder with the first call that needs it, and waits this long for the database
FIRST_CONNECTION_SECONDS = 2.0


def create_application(calls: Calls, offers: Offers, store: Store, read_operation: ReadOperation) -> FastAPI:
    """The contract, answered from PostgreSQL through `store`, with robots' calls let in and committed by `calls`."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, default_response_class=TolerantJSONResponse)
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
    )
    add_handlers(app)
    for router in (
        _robots_calls(calls, offers),
        _rows(store),
        _deployments(store),
        _overview(calls, store, read_operation),
    ):
        app.include_router(router, responses=UNAVAILABLE)
    return app


def _robots_calls(calls: Calls, offers: Offers) -> APIRouter:
    router = APIRouter()

    @router.post("/api/robot/status", responses=UNREADABLE, response_model=dict[str, str])
    async def update_robot_status(status: RobotStatus, request: Request) -> Response:
        said = status.model_dump(exclude={"health"})
        size = int(request.headers.get("content-length") or 0)
        beat = status_beat(said, health_text(status.health, status.robot_id), _marks(request), size)
        if (refusal := await _refusal(calls, beat, request)) is not None:
            return refusal
        await calls.recorder.record(beat)
        return TolerantJSONResponse({"status": "updated"})

    @router.get("/api/check-update", response_model=dict[str, Any])
    async def check_for_update(request: Request, robot_id: str, current_version: str, group: str = "all") -> Response:
        beat = check_beat(robot_id, current_version, group, _marks(request))
        if (refusal := await _refusal(calls, beat, request)) is not None:
            return refusal
        outcome = await calls.recorder.record(beat)
        return TolerantJSONResponse(await offers.answer(group, current_version, outcome.deployments))

    return router


def _rows(store: Store) -> APIRouter:
    router = APIRouter()

    @router.get("/api/robots")
    async def list_robots() -> Response:
        return _json(f"[{','.join(await store.rows())}]")

    @router.get("/api/robots/{robot_id}", responses=NOT_FOUND)
    async def get_robot_status(robot_id: str) -> Response:
        row = await store.row(robot_id)
        if row is None:
            raise HTTPException(404, "Robot not found")
        return _json(row)

    return router


def _deployments(store: Store) -> APIRouter:
    router = APIRouter()

    @router.get("/api/deployments")
    async def list_deployments(limit: int = 100, group: str | None = None) -> Response:
        documents = await store.documents()
        if group:
            documents = [document for document in documents if document.get("target_group") == group]
        return TolerantJSONResponse(newest_first(documents)[:limit])

    @router.get("/api/download/{deployment_id}", responses=NOT_FOUND)
    async def download_package(deployment_id: str) -> FileResponse:
        try:
            path = await store.package(deployment_id)
        except LookupError as error:
            raise HTTPException(404, "Deployment not found") from error
        if path is None:
            raise HTTPException(404, "Package file not found")
        return FileResponse(path, filename=f"{deployment_id}.tar.gz", media_type="application/gzip")

    @router.post("/api/rollback", responses=NOT_FOUND | UNREADABLE)
    async def rollback_deployment(request: RollbackRequest) -> dict[str, Any]:
        wish = Wish(request.deployment_id, request.version, request.time_ago)
        try:
            done = await store.roll_back(wish, datetime.now())
        except UnreadableTime as error:
            raise HTTPException(400, f"Invalid time format: {request.time_ago}") from error
        if done is None:
            raise HTTPException(404, "Target deployment not found")
        target, made = done
        return {
            "status": "success",
            "deployment_id": made["id"],
            "rolled_back_to": target["id"],
            "version": target["version"],
            "message": f"Rolled back to deployment {target['id']}",
        }

    return router


def _overview(calls: Calls, store: Store, read_operation: ReadOperation) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health_check() -> dict[str, Any]:
        await _started(calls)
        if not calls.recorder.available:
            raise Unavailable("heartbeats cannot be committed", 1)
        deployments, rows = await store.counts()
        return {
            "status": "healthy",
            "timestamp": datetime.now().isoformat(),
            "deployments": deployments,
            "robots": rows,
            "discovery": {"parallel_available": True, "robots_tracked": 0},
        }

    @router.get("/api/info")
    async def api_info() -> dict[str, Any]:
        documents = await store.documents()
        newest = latest(documents)
        return {
            "name": "LeKiwi Deploy Server",
            "version": "1.0.0",
            "status": "operational",
            "deployments": len(documents),
            "robots": (await store.counts())[1],
            "latest_deployment": newest["id"] if newest else None,
        }

    @router.get("/api/discovery/status")
    async def discovery_status() -> dict[str, Any]:
        return {"available": True, "running": False, "robots_tracked": 0, "valid_robots": 0, "blank_pis": 0}

    @router.get("/api/robot/{robot_ip}/teleoperation-status")
    async def get_teleoperation_status(robot_ip: str) -> dict[str, Any]:
        return await teleoperation_status(store, read_operation, robot_ip)

    @router.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except (WebSocketDisconnect, KeyError):
            return

    return router


async def _refusal(calls: Calls, beat: LegacyBeat, request: Request) -> Response | None:
    """The answer to a robot that is not let in."""
    await _started(calls)
    refusal = calls.refused_by_access(beat.robot_key, dict(request.scope["headers"]), _marks(request))
    if refusal is None:
        return None
    answer = refusal.as_legacy()
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, answer.status, headers, media_type="application/json")


async def _started(calls: Calls) -> None:
    if not calls.recorder.available or not calls.access.loaded:
        calls.recorder.start()
        calls.access.start()
        await calls.recorder.wait_for_first_connection(FIRST_CONNECTION_SECONDS)
        await calls.access.wait_for_first_load(FIRST_CONNECTION_SECONDS)


def _marks(request: Request) -> Marks:
    """The marks; the ingest application has read them already, so that both answer one identity."""
    marks: Marks | None = request.scope.get("marks")
    return marks or marks_of(dict(request.scope["headers"]), request.scope.get("client"))


def _json(text: str) -> Response:
    return Response(text.encode(), media_type="application/json")
