"""Answers at once, after two seconds (/slow), and bit by bit for two seconds (/stream)."""

import asyncio
import os
import pathlib

import uvicorn

import serve

TEXT = f"uvicorn {pathlib.Path('VERSION').read_text().strip()}\n".encode()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    parts = [TEXT]
    headers = [(b"content-length", b"%d" % len(TEXT))]
    if scope["path"] == "/slow":
        await asyncio.sleep(2)
    if scope["path"] == "/stream":
        parts, headers = [TEXT] * 20 + [b"end\n"], []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        if len(parts) > 1:
            await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b""})


class Plain(serve.Server):
    """To see what is lost."""

    main_loop = uvicorn.Server.main_loop


if __name__ == "__main__":
    serve.serve(app, Plain if os.environ.get("DRAIN") == "off" else serve.Server)
