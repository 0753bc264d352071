"""A server on a free port of the loopback, with an engine whose answers are written down."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx2
import openai
import pytest

from daemon.engine.api import EngineState
from daemon.engine.scripted import ScriptedEngine
from daemon.http.completions import completions_application
from daemon.http.server import HttpServer
from daemon.scheduler import Scheduler
from daemon.settings_store import SettingsStore
from daemon.status import StatusBoard


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """What a test needs of the server: how to ask it, and what is behind it."""

    def __init__(self, server, settings, engine, token_path):
        self.server, self.settings, self.engine, self.token_path = server, settings, engine, token_path
        self.clients = []

    def set(self, **values):
        Path(self.settings.path).write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
        self.settings.reload()
        assert self.settings.error is None

    @property
    def root(self):
        return f"http://127.0.0.1:{self.settings.current.http_port}"

    @property
    def token(self):
        return self.token_path.read_text().strip()

    def openai(self):
        """The vendor's own client; it reads every answer with its own types."""
        self.clients.append(openai.AsyncOpenAI(base_url=f"{self.root}/v1", api_key=self.token, max_retries=0))
        return self.clients[-1]

    async def post(self, body, path="/v1/completions", token=None, **headers):
        given = {"authorization": f"Bearer {self.token if token is None else token}", **headers}
        async with httpx2.AsyncClient() as client:
            return await client.post(f"{self.root}{path}", content=body, headers=given)


@pytest.fixture
async def served(tmp_path):
    engine = ScriptedEngine(lambda _: None, str.upper)
    engine.state = EngineState.READY
    settings = SettingsStore(tmp_path / "settings.toml")
    scheduler = Scheduler(engine, status=StatusBoard())
    token_path = tmp_path / "data" / "http-token"
    server = HttpServer(
        settings, token_path, lambda token: completions_application(scheduler, lambda: settings.current, token)
    )
    server.begin()
    found = Served(server, settings, engine, token_path)
    found.set(http_port=free_port())
    await server.settled()
    assert not server.problem
    yield found
    for client in found.clients:
        await client.close()
    engine.release()
    await server.close()
    await scheduler.close()
