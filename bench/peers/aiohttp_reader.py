"""The read loop that Python benchmark clients have in common, and no more: aiohttp, one event loop, one task a stream,
each event decoded by json.loads, the first token stamped by time.perf_counter when its task gets to run.

    aiohttp_reader.py URL STREAMS SECONDS TOKENS

Prints its times to first token, in seconds, as JSON.
"""

import asyncio
import json
import sys
import time

import aiohttp


async def ask(session, url, tokens):
    """Asks once and returns the time to the first token."""
    body = {
        "model": "sim-8b",
        "messages": [{"role": "user", "content": "How long does it take you to answer this?"}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    ttft, received, rest = None, 0, b""
    start = time.perf_counter()
    async with session.post(url + "/chat/completions", json=body) as response:
        response.raise_for_status()
        async for data in response.content.iter_any():
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                event = event.removeprefix(b"data: ")
                if event == b"[DONE]":
                    continue
                now = time.perf_counter()
                choices = json.loads(event)["choices"]
                if choices and choices[0]["delta"].get("content"):
                    received += 1
                    if ttft is None:
                        ttft = now - start
    if received != tokens:
        raise RuntimeError(f"{received} tokens of {tokens}")
    return ttft


async def main():
    url, streams, seconds, tokens = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    begin = time.perf_counter()
    ttfts = []

    async def stream(session):
        while time.perf_counter() < begin + seconds:
            ttfts.append(await ask(session, url, tokens))

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=300)) as session:
        await asyncio.gather(*(stream(session) for _ in range(streams)))
    json.dump(ttfts, sys.stdout)


asyncio.run(main())
