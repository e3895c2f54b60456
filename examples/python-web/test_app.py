"""Run with: python3 -m unittest"""

import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class AppTest(unittest.TestCase):
    def setUp(self):
        state = tempfile.TemporaryDirectory()
        self.addCleanup(state.cleanup)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.socket.close)
        self.env = dict(os.environ, STATE_DIR=state.name, DRAIN_SECONDS="0.05", LISTEN_FDS="1")

    def start(self):
        """Starts the app as systemd does: the socket is descriptor 3, and it is told so."""
        fd = self.socket.fileno()
        process = subprocess.Popen(
            ["/bin/sh", "-c", f'LISTEN_PID=$$ exec "$@" 3<&{fd}', "sh", sys.executable, str(HERE / "app.py")],
            env=self.env,
            pass_fds=(fd,),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertIn("notes", process.stdout.readline())
        return process

    def client(self):
        c = http.client.HTTPConnection(*self.socket.getsockname(), timeout=20)
        self.addCleanup(c.close)
        return c

    def ask(self, client, method, path, body=None):
        client.request(method, path, body)
        r = client.getresponse()
        return r.status, r.read().decode(), r.getheader("Connection")

    def test_notes_survive_a_restart_and_connections_wait_for_it(self):
        first = self.start()
        c = self.client()
        self.assertEqual(self.ask(c, "POST", "/", "hello"), (201, "note 1\n", None))
        self.assertEqual(self.ask(c, "GET", "/healthz")[:2], (200, "ok\n"))
        first.send_signal(signal.SIGTERM)
        self.assertEqual(first.wait(timeout=20), 0)  # with an idle connection open

        early = self.client()
        early.request("GET", "/")  # nobody is there yet
        self.start()
        r = early.getresponse()
        self.assertEqual(r.status, 200)
        self.assertIn("1 notes", r.read().decode())

    def test_a_request_in_progress_is_answered_and_ends_the_connection(self):
        process = self.start()
        c = self.client()
        self.ask(c, "GET", "/")
        c.putrequest("POST", "/")
        c.putheader("Content-Length", "5")
        c.endheaders()
        c.send(b"he")
        probe = self.client()
        self.ask(probe, "GET", "/")  # by now the server has seen what was sent before
        process.send_signal(signal.SIGTERM)
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        c.send(b"llo")
        r = c.getresponse()
        self.assertEqual((r.status, r.getheader("Connection")), (201, "close"))
        self.assertEqual(process.wait(timeout=20), 0)


if __name__ == "__main__":
    unittest.main()
