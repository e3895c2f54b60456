"""Answers at once, after two seconds (/slow), and bit by bit for two seconds (/stream)."""

import pathlib
import time

TEXT = f"gunicorn {pathlib.Path('VERSION').read_text().strip()}\n".encode()


def ticks():
    for _ in range(20):
        yield TEXT
        time.sleep(0.1)
    yield b"end\n"


def app(environ, start_response):
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [])
        return ticks()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(2)
    start_response("200 OK", [("Content-Length", str(len(TEXT)))])
    return [TEXT]
