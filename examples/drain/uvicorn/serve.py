"""This file is made to be copied into an app: uvicorn on the socket that systemd holds,
ending without losing a request. Run it with python3 in place of uvicorn.
"""

import asyncio
import os
import socket

import uvicorn


def held():
    """The first socket that systemd hands over (sd_listen_fds(3)), or None."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or int(os.environ.get("LISTEN_FDS", "0")) < 1:
        return None
    return 3


def tell(state):
    """Tells the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


class Server(uvicorn.Server):
    draining = False

    async def startup(self, sockets=None):
        await super().startup(sockets)
        tell("READY=1")

    async def main_loop(self):
        """Ends on SIGTERM. The order matters: every answer from now on tells its client
        not to use the connection again; no new connection is taken, so those that
        arrive are the next process's; and only when clients have had a moment to hear
        it does uvicorn do what it always does, which closes what is idle.
        """
        await super().main_loop()
        tell("STOPPING=1")
        self.draining = True
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.2)

    def marked(self, app):
        """The app, saying "Connection: close" while draining."""

        async def marking(scope, receive, send):
            async def out(message):
                if self.draining and message["type"] == "http.response.start":
                    message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
                await send(message)

            await app(scope, receive, out)

        return marking


def serve(app, kind=Server):
    config = uvicorn.Config(
        app, fd=held(), host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "8000")),
        timeout_keep_alive=75, access_log=False,
    )
    server = kind(config)
    config.app = server.marked(app)
    server.run()
