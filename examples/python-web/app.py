"""Notes: a small web app with an SQLite file, on the standard library alone.

It takes its socket from systemd, says when it is ready, and drains when it is
told to stop, so that a deployment loses no request.
"""

import contextlib
import http.server
import json
import os
import pathlib
import signal
import socket
import sqlite3
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
VERSION = (HERE / "VERSION").read_text().strip()
LISTEN_FDS_START = 3


class Notes:
    """The database: notes in an SQLite file, each on the disk when add returns."""

    def __init__(self, path):
        self.path = path
        with self._open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

    @contextlib.contextmanager
    def _open(self):
        # A connection belongs to one thread, and opening one costs little.
        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            with db:
                yield db

    def add(self, text):
        with self._open() as db:
            return db.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid

    def count(self):
        with self._open() as db:
            return db.execute("SELECT count(*) FROM notes").fetchone()[0]

    def check(self):
        with self._open() as db:
            return db.execute("PRAGMA quick_check(1)").fetchone()[0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30  # for a client that says nothing

    def handle_one_request(self):
        self.server.waits(self.connection)
        super().handle_one_request()

    def parse_request(self):
        self.server.serves(self.connection)
        return super().parse_request()

    def finish(self):
        super().finish()
        self.server.serves(self.connection)

    def version_string(self):
        return "notes/" + VERSION

    def do_GET(self):
        if self.path == "/":
            self.answer(200, lambda: f"notes version {VERSION}, {self.server.notes.count()} notes, pid {os.getpid()}\n")
        elif self.path == "/healthz":
            self.answer(200, lambda: self.server.notes.check() + "\n")
        else:
            self.send(404, "there is nothing here\n")

    def do_POST(self):
        # The body is read in any case: what is left of it would be taken for the next request.
        length = int(self.headers.get("Content-Length") or 0)
        if not 1 <= length <= 1000:
            self.close_connection = True
            self.send(400, "send 1 to 1000 bytes of text\n")
            return
        text = self.rfile.read(length).decode("utf-8", "replace")
        self.answer(201, lambda: f"note {self.server.notes.add(text)}\n")

    def answer(self, status, body):
        try:
            text = body()
        except sqlite3.Error as e:
            status, text = 503, f"notes: {e}\n"
        self.send(status, text)

    def send(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.server.draining or self.close_connection:
            self.send_header("Connection", "close")  # http.server then closes it, too
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass  # a line for each request is the proxy's business


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for the requests in progress

    def __init__(self, sock, notes):
        super().__init__(sock.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()  # the one the constructor made
        self.socket = sock
        # Another process may accept from the same socket and be faster: do not block then.
        sock.setblocking(False)
        self.notes = notes
        self.draining = False
        self._waiting = set()  # connections without a request in progress
        self._lock = threading.Lock()

    def waits(self, connection):
        with self._lock:
            self._waiting.add(connection)

    def serves(self, connection):
        with self._lock:
            self._waiting.discard(connection)

    def drain(self):
        """End without losing a request.

        Every answer from now on tells its client not to reuse the connection; no
        new connection is taken, so those that arrive wait in systemd's socket;
        clients get a moment to hear it. What waits for a request even then is closed
        for reading, which leaves one that has just come readable.
        """
        self.draining = True
        self.shutdown()
        time.sleep(float(os.environ.get("DRAIN_SECONDS", "0.2")))
        with self._lock:
            for connection in self._waiting:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        self.server_close()


def listen():
    """The socket systemd hands over (sd_listen_fds(3)), or one on $PORT."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and int(os.environ.get("LISTEN_FDS", "0")) > 0:
        return socket.socket(fileno=LISTEN_FDS_START)
    return socket.create_server(("", int(os.environ["PORT"])), backlog=1024)


def tell(state):
    """Tells the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


def main():
    settings = json.loads((HERE / "config.json").read_text())
    notes = Notes(os.path.expandvars(settings["database"]))
    server = Server(listen(), notes)
    # Blocked in every thread, and waited for: a handler runs in the main thread alone,
    # which is not woken when the kernel gives the signal to another one.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    loop = threading.Thread(target=server.serve_forever, args=(0.05,))
    loop.start()
    print(f"notes {VERSION} on {server.socket.getsockname()}", flush=True)
    tell("READY=1")
    signal.sigwait(stop)
    tell("STOPPING=1")
    server.drain()
    loop.join()


if __name__ == "__main__":
    sys.exit(main())
