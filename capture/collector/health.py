"""What a balancer asks: whether this collector takes snapshots. Knows nothing of why it does not.

Only ``Check`` is served. ``Watch`` would hold a place for as long as somebody wishes who need not say who he is; gRPC's
own clients take its absence for *healthy*, as the protocol has it.
"""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2

from capture.collector import service
from capture.collector.calls import Calls, Method, Places, Refused
from capture.collector.metrics import Metrics

CHECKS_AT_ONCE = 32
MESSAGE_SECONDS = 5.0
SERVICE: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_SERVED = ("", service.NAME)


class Health:
    """The health of one collector; it does not serve before ``is_serving`` is set."""

    def __init__(self, metrics: Metrics) -> None:
        self.is_serving = False
        calls = Calls(None, Places(CHECKS_AT_ONCE, CHECKS_AT_ONCE), metrics, message_seconds=MESSAGE_SECONDS)
        check = Method("Check", health_pb2.HealthCheckRequest, self.check)
        self.handlers = grpc.method_handlers_generic_handler(SERVICE, {check.name: calls.handler(check)})

    async def check(
        self, _client: str, request: health_pb2.HealthCheckRequest, _size_bytes: int
    ) -> health_pb2.HealthCheckResponse:
        """The state of the service named, or of the whole; raises Refused for another service's name."""
        if request.service not in _SERVED:
            raise Refused(grpc.StatusCode.NOT_FOUND, "service", "this is a collector of foretype's snapshots only")
        states = health_pb2.HealthCheckResponse
        return states(status=states.SERVING if self.is_serving else states.NOT_SERVING)
