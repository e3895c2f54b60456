# Answers at once, after two seconds (/slow), and bit by bit for two seconds (/stream).
require_relative "drain"

text = "puma #{File.read("VERSION").strip}\n"

ticks = Enumerator.new do |out|
  20.times do
    out << text
    sleep 0.1
  end
  out << "end\n"
end

unless ENV["DRAIN"] == "off" # to see what is lost
  use Drain
  Drain.on_term
end
Drain.tell("READY=1")

run lambda { |env|
  env["rack.input"]&.read
  sleep 2 if env["PATH_INFO"] == "/slow"
  [200, {}, env["PATH_INFO"] == "/stream" ? ticks.dup : [text]]
}
