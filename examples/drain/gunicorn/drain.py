"""This file is made to be copied into an app: a worker of gunicorn that ends without
losing a request. gunicorn itself takes the sockets that systemd holds, and tells it
when it is ready.
"""

import threading
import time

from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):
    draining = False

    def handle_exit(self, sig, frame):
        """Ends the worker. The order matters: every answer from now on tells its client
        not to use the connection again; no new connection is taken, so those that
        arrive are the next process's; and only when nothing has been in progress for a
        moment, in which clients hear it, does the worker do what it always does, which
        drops what is idle.
        """
        if self.draining:  # systemd tells the whole group, and the master tells it again
            return
        self.draining = True
        self.max_keepalived = -1  # too many are kept, so answers say that theirs is not
        for sock in self.sockets:
            self.poller.unregister(sock)
        threading.Thread(target=self.drain, args=(sig, frame), daemon=True).start()

    def drain(self, sig, frame, moment=0.2):
        quiet = time.monotonic()
        while time.monotonic() < quiet + moment:
            time.sleep(moment / 10)
            if any(not f.done() for f in list(self.futures)):
                quiet = time.monotonic()
        super().handle_exit(sig, frame)
