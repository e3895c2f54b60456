# Answers at once, after two seconds (/slow), and bit by bit for two seconds (/stream):
# a small server on the sockets of Erlang. What it does to be replaced without losing a
# request is in drain.ex.
Code.require_file("drain.ex", __DIR__)

defmodule Server do
  def run(text) do
    {:ok, listener} = Drain.listen([:binary, packet: :http_bin, active: false, nodelay: true])
    # Else erl_signal_handler does what it always does: the node stops at once.
    unless System.get_env("DRAIN") == "off", do: Drain.on_term(listener)
    :persistent_term.put(:text, text)
    Drain.tell("READY=1")
    accept(listener)
  end

  defp accept(listener) do
    case :gen_tcp.accept(listener) do
      {:ok, socket} ->
        pid = spawn(fn -> receive(do: (:go -> request(socket))) end)
        :ok = :gen_tcp.controlling_process(socket, pid)
        send(pid, :go)
        accept(listener)

      {:error, :closed} ->
        Process.sleep(:infinity)
    end
  end

  defp request(socket) do
    with {:ok, {:http_request, _, {:abs_path, path}, _}} <- :gen_tcp.recv(socket, 0, 75_000),
         true <- Drain.serve(fn -> answered(socket, path) end) do
      :inet.setopts(socket, packet: :http_bin)
      request(socket)
    else
      _ -> :gen_tcp.close(socket)
    end
  end

  # Whether the connection is to be kept.
  defp answered(socket, path) do
    with {:ok, length, keep} <- headers(socket, 0, true),
         :ok <- :inet.setopts(socket, packet: :raw),
         {:ok, _} <- if(length > 0, do: :gen_tcp.recv(socket, length, 30_000), else: {:ok, ""}),
         if(path == "/slow", do: Process.sleep(2000)),
         keep = keep and not Drain.began?(),
         :ok <- answer(socket, path, if(keep, do: "", else: "Connection: close\r\n")),
         do: keep and not Drain.over?()
  end

  defp headers(socket, length, keep) do
    case :gen_tcp.recv(socket, 0, 30_000) do
      {:ok, {:http_header, _, :"Content-Length", _, n}} -> headers(socket, String.to_integer(n), keep)
      {:ok, {:http_header, _, :Connection, _, value}} -> headers(socket, length, String.downcase(value) != "close")
      {:ok, {:http_header, _, _, _, _}} -> headers(socket, length, keep)
      {:ok, :http_eoh} -> {:ok, length, keep}
      other -> other
    end
  end

  defp answer(socket, "/stream", connection) do
    text = :persistent_term.get(:text)
    :ok = :gen_tcp.send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n#{connection}\r\n")

    for part <- List.duplicate(text, 20) ++ ["end\n"] do
      :gen_tcp.send(socket, [Integer.to_string(byte_size(part), 16), "\r\n", part, "\r\n"])
      Process.sleep(100)
    end

    :gen_tcp.send(socket, "0\r\n\r\n")
  end

  defp answer(socket, _, connection) do
    text = :persistent_term.get(:text)
    :gen_tcp.send(socket, "HTTP/1.1 200 OK\r\nContent-Length: #{byte_size(text)}\r\n#{connection}\r\n#{text}")
  end
end

Server.run("elixir #{String.trim(File.read!("VERSION"))}\n")
