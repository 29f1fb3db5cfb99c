"""The client of a deployed model against the emulator's API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioner.errors import Code
from provisioner.inference import (
    Api,
    Call,
    Client,
    Endpoint,
    Parameters,
    answers,
    codes,
)
from provisioner.proxies import proxy_for
from provisioner.resources import Secret
from tests.unit.inference_calls import HELLO, QuickClock, at, emulated, failure, heard

__all__ = ["emulated"]  # a fixture


@pytest.mark.parametrize("api", list(Api))
@pytest.mark.parametrize("llama", [False, True])
async def test_streamed_or_not_it_says_the_same(emulated: Endpoint, api: Api, llama: bool) -> None:
    call = replace(HELLO, api=api, llama=llama)
    async with Client(emulated) as client:
        whole = await client.ask(call)
        streamed = await heard(client, replace(call, stream=True))
    assert whole.pieces[0].text == streamed
    assert whole.pieces[0].finish == "stop"
    assert whole.usage is not None
    assert whole.usage.total == whole.usage.prompt + whole.usage.completion > 10


async def test_every_parameter_is_taken(emulated: Endpoint) -> None:
    parameters = Parameters(
        max_tokens=12,
        temperature=0,
        n=2,
        best_of=3,
        stop=("zzz",),
        logprobs=2,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        ignore_eos=True,
        use_beam_search=True,
        stop_token_ids=(7,),
        skip_special_tokens=False,
        seed=4,
    )
    async with Client(emulated) as client:
        for api in Api:
            answer = await client.ask(Call("Go", api, parameters))
            assert [piece.finish for piece in answer.pieces] == ["length", "length"]
            assert answer.document["choices"][0]["logprobs"]


async def test_images_and_system(emulated: Endpoint) -> None:
    call = replace(HELLO, images=("data:image/png;base64,AAAA",), system="Be brief.")
    async with Client(at(emulated, "vision")) as client:
        assert (await client.ask(call)).pieces[0].text
    refused = await failure(emulated, call)
    assert refused.problem.code is codes.REFUSED
    assert "takes no images" in refused.problem.details[0]


@pytest.mark.parametrize(
    ("name", "call", "code", "said"),
    [
        ("llama", Call("[[violence]]"), codes.FILTERED, "violence (high)"),
        ("embed", HELLO, codes.NOT_SERVED, "/embeddings"),
        ("nobody", HELLO, codes.NOT_SERVED, "no model is deployed"),
        ("vision", Call("word " * 5000), codes.TOO_LONG, "context length is 4096"),
    ],
)
async def test_refusals(emulated: Endpoint, name: str, call: Call, code: Code, said: str) -> None:
    for stream in (False, True):
        failed = await failure(at(emulated, name), replace(call, stream=stream))
        assert failed.problem.code is code
        assert said in " ".join(failed.problem.details)


async def test_a_wrong_key(emulated: Endpoint) -> None:
    failed = await failure(replace(emulated, key=Secret("wrong")))
    assert failed.problem.code is codes.UNAUTHORIZED
    assert not failed.transient


async def test_a_refused_parameter_names_its_option(emulated: Endpoint) -> None:
    failed = await failure(emulated, replace(HELLO, parameters=Parameters(logprobs=99)))
    assert failed.problem.hint == "change or leave out --logprobs"


async def test_the_probe_finds_what_each_model_serves(emulated: Endpoint) -> None:
    for name in ("llama", "base", "embed", "online", "vision"):
        assert await answers(at(emulated, name), QuickClock()) is None


async def test_the_probe_waits_for_what_spreads_and_says_what_was_wrong(
    emulated: Endpoint,
) -> None:
    clock = QuickClock()
    problem = await answers(replace(emulated, key=Secret("wrong")), clock, patience=20)
    assert problem is not None
    assert problem.code is codes.UNAUTHORIZED
    assert clock.slept == [2.0] * 10
    nobody = await answers(at(emulated, "nobody"), QuickClock())
    assert nobody is not None
    assert nobody.code is codes.NOT_SERVED


# --- the network ------------------------------------------------------------------------------


async def test_who_is_not_trusted_gets_nothing(emulated: Endpoint) -> None:
    failed = await failure(replace(emulated, ca_bundle=None))
    assert failed.problem.code is codes.UNTRUSTED
    assert "--ca-bundle" in failed.problem.hint


async def test_nobody_listens(emulated: Endpoint) -> None:
    failed = await failure(replace(emulated, url="https://localhost:1"))
    assert failed.problem.code is codes.UNREACHABLE
    assert failed.transient


@pytest.mark.parametrize("url", ["http://localhost/x", "ftp://x", "", "https://"])
async def test_only_https(emulated: Endpoint, url: str) -> None:
    failed = await failure(replace(emulated, url=url))
    assert failed.problem.code is codes.INSECURE


def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("x.models.ai.azure.com") is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".internal")
    assert proxy_for("x.models.ai.azure.com") == "http://proxy.example:3128"
    assert proxy_for("x.internal") is None
    assert proxy_for("localhost") is None
