# The sockets of systemd where there are some, in place of any other.
bind "tcp://#{ENV.fetch("HOST", "0.0.0.0")}:#{ENV.fetch("PORT", "8080")}"
bind_to_activated_sockets "only"
threads 32, 32
persistent_timeout 75
raise_exception_on_sigterm false
