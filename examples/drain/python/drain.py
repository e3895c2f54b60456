"""This file is made to be copied into an app: it takes the socket that systemd holds,
and ends a server of the standard library without losing a request.
"""

import contextlib
import http.server
import os
import socket
import threading
import time


def sockets():
    """The sockets that systemd hands over, by name (sd_listen_fds(3)); none otherwise."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":") + [""] * count
    return {names[i] or str(i): socket.socket(fileno=3 + i) for i in range(count)}


def tell(state):
    """Tells the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


class Handler(http.server.BaseHTTPRequestHandler):
    """Tells its server what is in progress, and clients when to go."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30  # for a client that says nothing

    def handle_one_request(self):
        if self.server.waits(self.connection):
            super().handle_one_request()
        else:
            self.close_connection = True

    def parse_request(self):
        self.server.serves(self.connection)
        return super().parse_request()

    def end_headers(self):
        if self.server.draining:
            self.send_header("Connection", "close")  # http.server then closes it, too
        super().end_headers()

    def finish(self):
        super().finish()
        self.server.leaves(self.connection)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for the requests in progress

    def __init__(self, sock, handler):
        super().__init__(sock.getsockname(), handler, bind_and_activate=False)
        self.socket.close()  # the one the constructor made
        self.socket = sock
        # Another process may accept from the same socket and be faster: do not block then.
        sock.setblocking(False)
        self.draining = False
        self._over = False
        self._waiting = set()  # connections without a request in progress
        self._serving = set()  # and those with one
        self._lock = threading.Lock()

    def waits(self, connection):
        """Notes that a connection waits for a request, unless it is to end."""
        with self._lock:
            self._serving.discard(connection)
            if not self._over:
                self._waiting.add(connection)
            return not self._over

    def serves(self, connection):
        with self._lock:
            self._waiting.discard(connection)
            self._serving.add(connection)

    def leaves(self, connection):
        with self._lock:
            self._waiting.discard(connection)
            self._serving.discard(connection)

    def drain(self, moment=0.2, most=30):
        """End without losing a request.

        The order matters: every answer from now on tells its client not to use the
        connection again; no new connection is taken, so those that arrive are the next
        process's; and only when nothing has been in progress for a moment, in which
        clients hear it, is what is idle closed: for reading, which leaves a request that
        has just come readable.
        """
        self.draining = True
        self.shutdown()
        began = quiet = time.monotonic()
        while time.monotonic() < min(quiet + moment, began + most):
            time.sleep(moment / 10)
            with self._lock:
                if self._serving:
                    quiet = time.monotonic()
        with self._lock:
            self._over = True
            for connection in self._waiting:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        self.server_close()
