"""Answers at once, after two seconds (/slow), and bit by bit for two seconds
(/stream). What it does to be replaced without losing a request is in drain.py.
"""

import os
import pathlib
import signal
import socket
import threading
import time

import drain

TEXT = f"python {pathlib.Path('VERSION').read_text().strip()}\n".encode()


class Handler(drain.Handler):
    def do_GET(self):
        if self.path == "/stream":
            self.stream()
            return
        if self.path == "/slow":
            time.sleep(2)
        self.send_response(200)
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def stream(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in [TEXT] * 20 + [b"end\n"]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(0.1)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        pass


def main():
    held = list(drain.sockets().values())
    sock = held[0] if held else socket.create_server((os.environ.get("HOST", ""), int(os.environ["PORT"])), backlog=1024)
    server = drain.Server(sock, Handler)
    # Blocked in every thread, and waited for: a handler runs in the main thread alone,
    # which is not woken when the kernel gives the signal to another one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    drain.tell("READY=1")
    signal.sigwait({signal.SIGTERM})
    drain.tell("STOPPING=1")
    if os.environ.get("DRAIN") == "off":  # to see what is lost
        server.shutdown()
        os._exit(0)
    server.drain()


main()
