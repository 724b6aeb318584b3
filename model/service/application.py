"""A team's service as an application of Ray Serve: ingresses that clients reach, and engines behind a router.

The only module that knows Ray. Ray Serve starts and replaces replicas, watches them, scales them, and routes by
session: a client's questions go to the engine that its id hashes to, as long as that has room.

Ray tells its makers nothing: who starts it here switches that off before it is imported.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from socket import create_connection
from typing import Any

for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # busy machines take long to start a process
    # For an engine to say how much waits there; else another one is asked, which has to be sent the file.
    "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "2",
    "RAY_SERVE_MAX_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "5",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "GOMP_SPINCOUNT": "1000",  # as of a worker of one's own machine: see model.api.launch
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray import serve  # noqa: E402
from ray.exceptions import RayError  # noqa: E402
from ray.serve.config import AutoscalingConfig, HTTPOptions, RequestRouterConfig  # noqa: E402
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError  # noqa: E402
from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter  # noqa: E402
from ray.serve.metrics import Counter, Gauge, Histogram  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse, Response  # noqa: E402
from starlette.routing import Route, WebSocketRoute  # noqa: E402
from starlette.websockets import WebSocket, WebSocketState  # noqa: E402

from model.api.runtime import package_version  # noqa: E402
from model.api.service import PATH  # noqa: E402
from model.errors import BusyError, FrameError, NeedFullError, SetfillError, WorkerError  # noqa: E402
from model.service.conversation import admitted  # noqa: E402
from model.service.engine_host import EngineHost, Room  # noqa: E402
from model.service.quotas import Limits, Quotas  # noqa: E402
from model.service.tokens import Tokens, parse_line  # noqa: E402

logger = logging.getLogger(__name__)
logging.getLogger("ray.serve").setLevel(logging.WARNING)  # else it tells users of its namespaces
logging.getLogger("ray._private.authentication.authentication_token_setup").addFilter(
    lambda record: "is disabled" in record.getMessage()  # that it is enabled is told in docs/team.md
)

APPLICATION = "setfill"
_LOOK_S = 10.0  # between two looks at what an engine holds
_KNOCK_S = 5.0  # for a cluster's first machine to take a connection
_HEALTH_S = 5.0  # for an engine to say that it works
_WAITING_PER_ENGINE = 64  # calls that one engine may have under way; then the next one on the ring is asked


@dataclass(frozen=True)
class EngineSettings:
    """How each engine runs."""

    model: str  # as `model.store.find` takes it, on every machine that runs an engine
    precision: str | None = None
    threads: int = 1
    memory_budget_mb: int = 2048
    room: Room = field(default_factory=Room)
    files: str = ""  # what tells the model's files from others of the same name; another one has engines replaced


@dataclass(frozen=True)
class Scale:
    """How many engines there are, and what each takes of a machine."""

    fewest: int = 1
    most: int = 1
    questions_per_engine: float = 2.0  # under way at a time, on average; above it engines are added, up to `most`
    ingresses: int = 1


@dataclass(frozen=True)
class Address:
    """Where the service listens, on every machine that has a replica."""

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: str | None = None  # paths of PEM files: without them it speaks http, and TLS ends somewhere before it
    key: str | None = None


@serve.deployment(name="Engine", health_check_period_s=5, health_check_timeout_s=30, graceful_shutdown_timeout_s=20)
class EngineReplica:
    """One engine in a process of its own."""

    async def __init__(self, settings: EngineSettings) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        def load(tell_progress: object) -> Any:
            from model import store
            from model.worker.engine import Engine  # torch is imported here, on the compute thread

            return Engine.load(
                store.find(settings.model),
                precision=settings.precision,
                threads=settings.threads,
                memory_budget_mb=settings.memory_budget_mb,
            )

        self._host = EngineHost(load, settings.model, settings.room)
        await self._host.ready()
        self._gauges = {
            name: Gauge(f"setfill_engine_{name}", description=text)
            for name, text in {
                "held_files": "Files that the engine holds.",
                "waiting": "Messages that wait for the engine, or that it is at.",
                "cached_bytes": "Bytes of cached keys and values.",
                "island_bytes": "Bytes of encoded snippets, which all sessions share.",
            }.items()
        }
        self._looking = asyncio.create_task(self._look())

    async def carry_out(self, user: str, client: str, data: bytes) -> AsyncIterator[bytes]:
        """As `EngineHost.carry_out`."""
        answers = self._host.carry_out(user, client, data)
        try:
            async for frames in answers:
                yield frames
        finally:
            await answers.aclose()  # type: ignore[attr-defined]

    async def is_well(self) -> bool:
        """Whether the engine answers."""
        self._host.check()
        return True

    def check_health(self) -> None:
        """Called by Ray Serve, which replaces a replica that raises."""
        self._host.check()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self._host.forget_outlived()
            with suppress(SetfillError):
                stats = await self._host.stats()
                for name, gauge in self._gauges.items():
                    gauge.set(float(stats[name]))


class _Engines:
    """The engines behind the router, as conversations see them."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def carry_out(self, session: str, user: str, client: str, data: bytes) -> AsyncIterator[bytes]:
        response = self._handle.options(session_id=session, stream=True).carry_out.remote(user, client, data)
        try:
            async for frames in response:
                yield frames
        except SetfillError as error:
            raise getattr(error, "cause", error) from None  # Ray's own kind of it has a traceback for a text
        except (BackPressureError, DeploymentUnavailableError):
            busy = BusyError("the team's service is busy: no engine has room; try again in 1 s")
            busy.retry_s = 1.0
            raise busy from None
        except RayError as error:
            logger.warning("an engine was lost (%s)", type(error).__name__)
            raise NeedFullError("the engine that was asked was lost: send the file whole to another") from None
        finally:
            response.cancel()


class _Socket:
    """A WebSocket of Starlette's, as conversations see it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> bytes | None:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        data = message.get("bytes")
        if data is None:
            raise FrameError("messages must be binary")
        return bytes(data)

    async def send(self, data: bytes) -> None:
        if self._socket.application_state == WebSocketState.CONNECTED:
            with _as_os_error():
                await self._socket.send_bytes(data)

    async def close(self, code: int, reason: str) -> None:
        if self._socket.application_state == WebSocketState.CONNECTED:
            with _as_os_error():
                await self._socket.close(code, reason)


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turn what Starlette and Ray raise for a client that has left into one kind of error."""
    try:
        yield
    except OSError:
        raise
    except Exception:
        raise ConnectionResetError from None


@serve.deployment(name="Ingress", max_ongoing_requests=5000, graceful_shutdown_timeout_s=5)
@serve.ingress()
class Ingress:
    """Where clients come in. Its `user_config` has the tokens and limits, which can be changed while it runs."""

    def __init__(self, engines: Any) -> None:
        self._engines = _Engines(engines)
        self._handle = engines
        self._tokens = Tokens(())
        self._quotas = Quotas(Limits())
        self._questions = Counter("setfill_questions", description="Questions by outcome.", tag_keys=("outcome",))
        self._seconds = Histogram(
            "setfill_question_seconds",
            description="Seconds from a question to its answer.",
            boundaries=[0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2],
        )
        self._connections = Gauge("setfill_connections", description="Clients that are connected.")
        self._connected = 0

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Called by Ray Serve with the `user_config`, also when it has changed. Connections stay open."""
        self._tokens = Tokens([parse_line(line) for line in config["tokens"]])
        limits = Limits(**config["limits"])
        if limits != self._quotas.limits:
            self._quotas.grant(limits)

    def __serve_build_asgi_app__(self) -> Starlette:
        """Called by Ray Serve."""
        return Starlette(routes=[WebSocketRoute(PATH, self._converse), Route(f"{PATH}/health", self._health)])

    async def _converse(self, socket: WebSocket) -> None:
        """Talk to a client until it leaves."""
        await socket.accept()
        header = socket.headers.get("authorization")
        self._count(1)
        try:
            await admitted(lambda: self._tokens.user_of(header), _Socket(socket), self._engines, self._quotas, self)
        finally:
            self._count(-1)

    def answered(self, outcome: str, seconds: float) -> None:
        self._questions.inc(tags={"outcome": outcome})
        self._seconds.observe(seconds)

    async def _health(self, request: Request) -> Response:
        """Say whether an engine answers."""
        try:
            async with asyncio.timeout(_HEALTH_S):
                await self._handle.is_well.remote()
        except (TimeoutError, RayError, SetfillError, BackPressureError, DeploymentUnavailableError):
            return JSONResponse({"state": "no engine answers"}, 503)
        return JSONResponse({"state": "ok"})

    def _count(self, change: int) -> None:
        self._connected += change
        self._connections.set(self._connected)


def start_ray(address: str | None, processors: int, metrics_port: int) -> None:
    """Join the cluster at `address`; or start Ray on this machine alone, with as many `processors` at least.

    WorkerError when there is no cluster.
    """
    quiet: dict[str, Any] = {"logging_level": "warning", "log_to_driver": False, "namespace": APPLICATION}
    if address:
        try:
            _knock(address)
            ray.init(address=address, **quiet)
        except (OSError, ValueError):
            where = "on this machine" if address == "auto" else f"at {address}"
            raise WorkerError(f"no Ray cluster answers {where}: start one with `ray start --head`") from None
        return
    # Users' code is in Ray's memory while it travels, and never to be moved from there to disk.
    ray.init(
        include_dashboard=False,
        num_cpus=max(processors, os.cpu_count() or 1),
        _metrics_export_port=metrics_port,
        # Its processes would give way to all others on this machine, at niceness 15.
        _system_config={"automatic_object_spilling_enabled": False, "worker_niceness": 0},
        **quiet,
    )


def _knock(address: str) -> None:
    """OSError where nobody listens at HOST:PORT, which Ray would try for minutes; ValueError for no such address."""
    host, colon, port = address.rpartition(":")
    if colon and "/" not in address:
        create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()


def processors() -> int:
    """Return how many processors the Ray that was started or joined has for engines."""
    return int(ray.cluster_resources().get("CPU", 0))


def deploy(
    engine: EngineSettings, scale: Scale, tokens: Sequence[str], limits: Limits, address: Address | None = None
) -> None:
    """Run the service on the Ray that was started or joined; one that runs already is changed, replica by replica.

    Returns once it answers. RuntimeError when it cannot be had.
    """
    address = address or Address()
    http = HTTPOptions(host=address.host, port=address.port, ssl_certfile=address.certificate, ssl_keyfile=address.key)
    serve.start(http_options=http)
    engine_replica: Any = EngineReplica  # Ray Serve's decorators make deployments of classes
    ingress_replica: Any = Ingress
    engines = engine_replica.options(
        **_how_many(scale),
        max_ongoing_requests=_WAITING_PER_ENGINE,
        max_queued_requests=_WAITING_PER_ENGINE,
        ray_actor_options={"num_cpus": engine.threads},
        request_router_config=RequestRouterConfig(
            request_router_class=f"{ConsistentHashRouter.__module__}:{ConsistentHashRouter.__qualname__}"
        ),
        **_replaced_where_other(engine),
    ).bind(engine)
    ingress = ingress_replica.options(
        num_replicas=scale.ingresses,
        ray_actor_options={"num_cpus": 0},
        user_config={"tokens": list(tokens), "limits": asdict(limits)},
        **_replaced_where_other(),
    ).bind(engines)
    serve.run(ingress, name=APPLICATION, route_prefix="/")


def _replaced_where_other(*settings: object) -> dict[str, Any]:
    """Return options by which Ray Serve replaces only what has another version of Setfill, or other `settings`.

    Without them each run of the command replaces all and ends all connections. There is no public way to say so.
    """
    return {"version": hashlib.sha256(repr((package_version(), settings)).encode()).hexdigest(), "_internal": True}


def _how_many(scale: Scale) -> dict[str, Any]:
    if scale.fewest == scale.most:
        return {"num_replicas": scale.fewest}
    return {
        "autoscaling_config": AutoscalingConfig(
            min_replicas=scale.fewest, max_replicas=scale.most, target_ongoing_requests=scale.questions_per_engine
        )
    }


def remove() -> None:
    """Take the service off the Ray that was started or joined."""
    serve.delete(APPLICATION)


def stop_ray() -> None:
    """Leave Ray; one that was started here ends, and the service with it."""
    ray.shutdown()
