defmodule Drain do
  @moduledoc """
  Made to be copied into an app: takes the socket that systemd holds, and ends a server
  without losing a request.
  """

  @doc "What gen_tcp needs to listen: the first socket of systemd (sd_listen_fds(3)), or $PORT."
  def listen(options) do
    :persistent_term.put(:in_progress, :counters.new(1, []))
    # The backlog belongs to the socket, and so to every process that has it: without
    # one, Erlang would set it to 5 for all of them.
    options = [backlog: 1024, reuseaddr: true] ++ options

    if System.get_env("LISTEN_PID") == System.pid() and System.get_env("LISTEN_FDS", "0") != "0" do
      :gen_tcp.listen(0, [{:fd, 3} | options])
    else
      :gen_tcp.listen(String.to_integer(System.fetch_env!("PORT")), options)
    end
  end

  @doc "Tells the service manager, if there is one (sd_notify(3))."
  def tell(state) do
    if path = System.get_env("NOTIFY_SOCKET") do
      {:ok, s} = :gen_udp.open(0, [:local])
      :ok = :gen_udp.send(s, {:local, String.replace_prefix(path, "@", "\0")}, 0, state)
      :gen_udp.close(s)
    end
  end

  @doc "Counts a request as in progress while the function runs."
  def serve(fun) do
    :counters.add(:persistent_term.get(:in_progress), 1, 1)

    try do
      fun.()
    after
      :counters.sub(:persistent_term.get(:in_progress), 1, 1)
    end
  end

  @doc "Whether answers are to say \"Connection: close\"."
  def began?, do: :persistent_term.get(:draining, false)

  @doc "Whether a connection whose answer said nothing yet is to be closed behind it."
  def over?, do: :persistent_term.get(:over, false)

  @doc """
  Ends the node on SIGTERM. The order matters: every answer from now on tells its client
  not to use the connection again; no new connection is taken, so those that arrive are
  the next process's; clients get a moment to hear it; the requests in progress end; and
  only then does the node, and with it what is idle.
  """
  def on_term(listener, moment \\ 200) do
    :ok = :gen_event.swap_handler(:erl_signal_server, {:erl_signal_handler, []}, {Drain.Signal, fn -> run(listener, moment) end})
  end

  defp run(listener, moment) do
    :persistent_term.put(:draining, true)
    :gen_tcp.close(listener)
    Process.sleep(moment)
    :persistent_term.put(:over, true)
    wait(3000)
    System.stop(0)
  end

  defp wait(0), do: :ok

  defp wait(left) do
    if :counters.get(:persistent_term.get(:in_progress), 1) > 0 do
      Process.sleep(10)
      wait(left - 1)
    end
  end
end

defmodule Drain.Signal do
  @behaviour :gen_event
  def init({fun, _}), do: {:ok, fun}

  def handle_event(:sigterm, fun) do
    spawn(fun)
    {:ok, fun}
  end

  def handle_event(_, fun), do: {:ok, fun}
  def handle_call(_, fun), do: {:ok, :ok, fun}
end
