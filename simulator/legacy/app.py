"""The legacy HTTP contract. Its dialect is FastAPI's, so it is spoken by FastAPI itself."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel

from simulator.legacy.discovery import fleet, older_deployments, older_rows
from simulator.legacy.rounds import TeleopPolling
from simulator.legacy.state import BadTimeAgoError, LegacyState, Row


class RobotStatus(BaseModel):
    """A heartbeat's body. Unknown fields are dropped, `status` is any string: legacy checks no more than this."""

    robot_id: str
    deployment_id: str | None = None
    version: str | None = None
    status: str
    message: str | None = None
    health: dict[str, Any] | None = None


class RollbackRequest(BaseModel):
    """What to offer again; `target_group` is read and ignored, as legacy does."""

    deployment_id: str | None = None
    version: str | None = None
    time_ago: str | None = None
    target_group: str = "all"


def build_app(state: LegacyState, polling: TeleopPolling, *, contract: str = "current") -> FastAPI:
    """The application, of one of the two contracts.

    `response_model=None` throughout: rows go out as they were stored, NaN and its 500 included.
    """
    app = FastAPI(title="LeKiwi Deploy Server", version="1.0.0", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
    )
    _add_robot_calls(app, state)
    if contract == "older":
        _add_older_calls(app, state, polling)
        return app
    _add_operator_calls(app, state)
    _add_discovery_calls(app, state, polling)
    return app


def _add_robot_calls(app: FastAPI, state: LegacyState) -> None:
    @app.post("/api/robot/status", response_model=None)
    async def robot_status(status: RobotStatus) -> Row:
        state.heard(status.robot_id, dict(status))
        return {"status": "updated"}

    @app.get("/api/check-update", response_model=None)
    async def check_update(robot_id: str, current_version: str, group: str = "all") -> Row:
        offer = state.asked_for_update(robot_id, current_version, group)
        if offer is None:
            return {"update_available": False}
        return {
            "update_available": True,
            "deployment_id": offer["id"],
            "version": offer["version"],
            "download_url": f"/api/download/{offer['id']}",
            "checksum": offer["checksum"],
            "package_size": offer.get("package_size", 0),
            "auto_rollback": offer.get("auto_rollback", True),
        }

    @app.get("/api/download/{deployment_id}", response_model=None)
    def download(deployment_id: str) -> FileResponse:
        deployment = state.deployments.get(deployment_id)
        if deployment is None:
            raise HTTPException(404, "Deployment not found")
        package = Path(deployment["package_path"])
        if not package.exists():
            raise HTTPException(404, "Package file not found")
        return FileResponse(package, media_type="application/gzip", filename=f"{deployment_id}.tar.gz")


def _add_operator_calls(app: FastAPI, state: LegacyState) -> None:
    @app.get("/api/robots", response_model=None)
    async def robots() -> JSONResponse:
        return JSONResponse(list(state.robots.values()))

    @app.get("/api/robots/{robot_id}", response_model=None)
    async def robot(robot_id: str) -> JSONResponse:
        if robot_id not in state.robots:
            raise HTTPException(404, "Robot not found")
        return JSONResponse(state.robots[robot_id])

    @app.get("/api/deployments", response_model=None)
    async def deployments(limit: int = 100, group: str | None = None) -> list[Row]:
        return state.newest_first(group, limit)

    @app.post("/api/rollback", response_model=None)
    async def rollback(wish: RollbackRequest) -> Row:
        try:
            target = state.find(wish.deployment_id, wish.version, wish.time_ago)
        except BadTimeAgoError as error:
            raise HTTPException(400, f"Invalid time format: {wish.time_ago}") from error
        if target is None:
            raise HTTPException(404, "Target deployment not found")
        entry = state.roll_back_to(target)
        return {
            "status": "success",
            "deployment_id": entry["id"],
            "rolled_back_to": target["id"],
            "version": target["version"],
            "message": f"Rolled back to deployment {target['id']}",
        }

    @app.get("/api/info", response_model=None)
    async def info() -> Row:
        return {
            "name": "LeKiwi Deploy Server",
            "version": "1.0.0",
            "status": "operational",
            "deployments": len(state.deployments),
            "robots": len(state.robots),
            "latest_deployment": state.latest_id(),
        }

    @app.get("/health", response_model=None)
    async def health() -> Row:
        return {
            "status": "healthy",
            "timestamp": state.now().isoformat(),
            "deployments": len(state.deployments),
            "robots": len(state.robots),
            # Discovery is not simulated, so nothing is ever tracked.
            "discovery": {"parallel_available": True, "robots_tracked": 0},
        }


def _add_older_calls(app: FastAPI, state: LegacyState, polling: TeleopPolling) -> None:
    @app.get("/robots", response_model=None)
    async def robots() -> JSONResponse:
        return JSONResponse(older_rows(state, polling))

    @app.get("/robots/count", response_model=None)
    async def count() -> Row:
        return {"count": len(state.robots)}

    @app.get("/deployments", response_model=None)
    async def deployments() -> list[Row]:
        return older_deployments(state)


def _add_discovery_calls(app: FastAPI, state: LegacyState, polling: TeleopPolling) -> None:
    @app.get("/api/fleet", response_model=None)
    async def by_address() -> JSONResponse:
        return JSONResponse(fleet(state, polling))

    @app.get("/api/discovery/status", response_model=None)
    async def discovery_status() -> Row:
        return {"available": True, "running": False, "robots_tracked": 0, "valid_robots": 0, "blank_pis": 0}

    @app.get("/api/robot/{robot_ip}/teleoperation-status", response_model=None)
    async def teleoperation_status(robot_ip: str) -> Row:
        return await polling.look_at(robot_ip)

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("text") is not None:
                    await socket.send_text(message["text"])
                else:
                    await socket.send_bytes(message["bytes"])
        except WebSocketDisconnect:
            return
