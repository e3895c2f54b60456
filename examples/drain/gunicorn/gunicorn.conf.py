import os

# In place of sockets of systemd, if there are none.
bind = f"{os.environ.get('HOST', '')}:{os.environ.get('PORT', 8000)}"
worker_class = "gthread" if os.environ.get("DRAIN") == "off" else "drain.Worker"
workers = 1
threads = 32
keepalive = 75
graceful_timeout = 30
