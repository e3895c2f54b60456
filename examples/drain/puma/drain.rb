# This file is made to be copied into an app: a middleware of Rack that ends Puma
# without losing a request. Puma itself takes the sockets that systemd holds.
require "socket"

class Drain
  @began = false
  class << self
    attr_reader :began

    # Ends Puma on SIGTERM. The order matters: every answer from now on tells its client
    # not to use the connection again; no new connection is taken, so those that arrive
    # are the next process's; and only when clients have had a moment to hear it is Puma
    # told to stop, which drops what is idle.
    def on_term(moment = 0.2)
      trap("TERM") do
        @began = true
        Thread.new do
          # Puma has no way to stop listening before it stops: it gets sockets that
          # nobody connects to.
          ObjectSpace.each_object(TCPServer).reject(&:closed?).each { |s| s.reopen(TCPServer.new("127.0.0.1", 0)) }
          sleep moment
          Process.kill("INT", Process.pid)
        end
      end
    end

    # Tells the service manager, if there is one (sd_notify(3)).
    def tell(state)
      address = ENV["NOTIFY_SOCKET"] or return
      Socket.open(:UNIX, :DGRAM) { |s| s.connect(Socket.pack_sockaddr_un(address.sub(/\A@/, "\0"))); s.write(state) }
    end
  end

  def initialize(app) = @app = app

  def call(env)
    answer = @app.call(env)
    env["HTTP_CONNECTION"] = "close" if Drain.began # as if the client had asked for it
    answer
  end
end
