"""This file is made to be copied into an app: a worker of gunicorn that ends without
losing a request. gunicorn itself takes the sockets that systemd holds, and tells it
when it is ready.
"""

import threading

from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):
    draining = False

    def handle_exit(self, sig, frame):
        """Ends the worker. The order matters: every answer from now on tells its client
        not to use the connection again; no new connection is taken, so those that
        arrive are the next process's; and only when clients have had a moment to hear
        it does the worker do what it always does, which drops what is idle.
        """
        if self.draining:  # systemd tells the whole group, and the master tells it again
            return
        self.draining = True
        self.cfg.set("keepalive", 0)
        for sock in self.sockets:
            self.poller.unregister(sock)
        threading.Timer(0.2, super().handle_exit, (sig, frame)).start()
