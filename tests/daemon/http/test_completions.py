"""``POST /v1/completions``, asked by OpenAI's own client and by those who should not be served."""

from __future__ import annotations

import asyncio
import json
import stat

import httpx2
import openai
import pytest

from daemon.engine.errors import WorkerDied
from daemon.engine.messages import StopReason

QUESTION = {"model": "foretype", "prompt": "abc", "max_tokens": 16, "stop": [">>>>"]}


async def test_openais_client_gets_a_completion(served):
    served.engine.seconds = 0.1
    found = await served.openai().completions.create(**QUESTION)
    assert found.choices[0].text == "ABC"
    assert found.choices[0].finish_reason == "stop"
    assert (found.object, found.model) == ("text_completion", "foretype")
    assert found.usage.prompt_tokens == 3
    (asked,) = served.engine.completed
    assert (asked.text, asked.stop, asked.max_answer_tokens) == ("abc", (">>>>",), 16)


async def test_openais_client_sees_which_model_there_is(served):
    assert "foretype" in [model.id async for model in await served.openai().models.list()]


async def test_an_answer_that_was_cut_is_said_to_be(served):
    served.engine.stop = StopReason.ANSWER_BUDGET
    found = await served.openai().completions.create(**QUESTION)
    assert found.choices[0].finish_reason == "length"


async def test_no_part_of_an_answer_is_given_where_that_would_delete(served):
    served.engine.completes = lambda _: None
    served.engine.stop = StopReason.ANSWER_BUDGET
    with pytest.raises(openai.InternalServerError) as caught:
        await served.openai().completions.create(**QUESTION)
    assert (caught.value.status_code, caught.value.code) == (503, "no_answer")


async def test_a_client_that_hangs_up_frees_the_engine(served):
    served.engine.hold()
    asking = asyncio.create_task(served.openai().completions.create(**QUESTION))
    await served.engine.begun(1)
    asking.cancel()
    await asyncio.wait([asking])
    await asyncio.wait_for(served.engine.given_up(1), 5)
    served.engine.release()
    assert (await served.openai().completions.create(**QUESTION)).choices[0].text == "ABC"


@pytest.mark.parametrize("token", ["none", "wrong", "W" * 5000])
async def test_without_the_token_nothing_is_served(served, token):
    answer = await served.post(json.dumps(QUESTION), token=token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert served.engine.completed == []


async def test_a_web_page_is_not_served_even_with_the_token(served):
    answer = await served.post(json.dumps(QUESTION), origin="https://example.org")
    assert answer.status_code == 403
    rebound = await served.post(json.dumps(QUESTION), host="example.org")
    assert rebound.status_code == 400
    assert served.engine.completed == []


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"model": "other"}, 404, "foretype model use"),
        ({"model": None}, 400, "model"),
        ({"prompt": ""}, 400, "prompt"),
        ({"prompt": ["a"]}, 400, "prompt"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": True}, 400, "max_tokens"),
        ({"stop": 3}, 400, "stop"),
        ({"stop": ["x"] * 65}, 400, "stop"),
        ({"stream": True}, 400, "stream"),
        ({"n": 2}, 400, "n"),
        ({"logprobs": 5}, 400, "logprobs"),
    ],
)
async def test_what_is_not_served_is_refused_with_its_name(served, change, status, word):
    answer = await served.post(json.dumps(QUESTION | change))
    assert answer.status_code == status
    assert word in answer.json()["error"]["message"]
    assert served.engine.completed == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"7"])
async def test_what_is_no_request_is_refused(served, body):
    assert (await served.post(body)).status_code == 400


async def test_a_body_without_end_is_refused_before_it_ends(served):
    assert (await served.post(b"x" * (5 * 1024 * 1024))).status_code == 413


async def test_temperature_and_unknown_members_are_let_through(served):
    found = await served.post(json.dumps(QUESTION | {"temperature": 0.2, "environment": "x", "stop": None}))
    assert found.json()["choices"][0]["text"] == "ABC"


async def test_a_file_that_is_excluded_is_not_predicted_in(served):
    region = "<<<<<<< CURRENT\na\n=======\n"
    question = QUESTION | {"prompt": f"<filename>secret/key.pem\n{region}"}
    answer = await served.post(json.dumps(question))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "excluded")
    served.set(http_port=served.settings.current.http_port, exclude='["*.gen.py"]')
    answer = await served.post(json.dumps(QUESTION | {"prompt": f"<filename>a.gen.py\n{region}"}))
    assert answer.status_code == 403
    assert served.engine.completed == []
    answer = await served.post(json.dumps(QUESTION | {"prompt": f"<filename>a.py\n{region}"}))
    assert answer.status_code == 200


async def test_switched_off_is_off_here_too(served):
    served.set(http_port=served.settings.current.http_port, enabled="false")
    assert (await served.post(json.dumps(QUESTION))).json()["error"]["code"] == "switched_off"


async def test_an_engine_that_dies_or_is_late_costs_one_request(served):
    served.engine.fails_with = WorkerDied("it was killed")
    assert (await served.post(json.dumps(QUESTION))).status_code == 503
    served.engine.fails_with = None
    served.set(http_port=served.settings.current.http_port, deadline_ms=10)
    served.engine.hold()
    assert (await served.post(json.dumps(QUESTION))).status_code == 504
    served.engine.release()
    assert (await served.post(json.dumps(QUESTION))).status_code == 200


async def test_the_token_is_made_once_and_for_its_owner_alone(served):
    assert stat.S_IMODE(served.token_path.stat().st_mode) == 0o600
    token, port = served.token, served.settings.current.http_port
    assert len(token) >= 32
    served.set(http_port=0)
    await served.server.settled()
    async with httpx2.AsyncClient() as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/v1/models")
    assert served.server.status() is None
    served.set(http_port=port)
    await served.server.settled()
    assert served.token == token
    assert (await served.post(json.dumps(QUESTION))).status_code == 200


async def test_a_port_that_is_taken_is_said_and_another_one_serves(served):
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    served.set(http_port=taken.sockets[0].getsockname()[1])
    await served.server.settled()
    assert "another `http_port`" in served.server.status()["problem"]
    taken.close()
    await taken.wait_closed()
