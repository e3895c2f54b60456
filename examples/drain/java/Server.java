import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Answers at once, after two seconds (/slow), and bit by bit for two seconds (/stream): a
 * small server of a thread per connection. What it does to be replaced without losing a
 * request is in Drain.java.
 */
public class Server {
    static String text;
    static Drain drain;

    public static void main(String[] args) throws Exception {
        text = "java " + Files.readString(Path.of("VERSION")).strip() + "\n";
        ServerSocketChannel listener = Drain.inherited();
        if (listener == null) {
            listener = ServerSocketChannel.open().bind(new InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 1024);
        }
        drain = new Drain(listener);
        if (!"off".equals(System.getenv("DRAIN"))) { // to see what is lost
            drain.onTerm(200);
        }
        ExecutorService threads = Executors.newCachedThreadPool(r -> {
            Thread t = new Thread(r);
            t.setDaemon(true);
            return t;
        });
        Drain.ready();
        try {
            while (true) {
                SocketChannel c = listener.accept();
                if (c != null) {
                    threads.submit(() -> serve(c));
                }
            }
        } catch (AsynchronousCloseException e) {
            Thread.sleep(Long.MAX_VALUE); // draining: the hook ends the process
        }
    }

    static void serve(SocketChannel c) {
        try (c) {
            c.socket().setTcpNoDelay(true);
            var in = new BufferedReader(new InputStreamReader(c.socket().getInputStream(), StandardCharsets.ISO_8859_1));
            var out = c.socket().getOutputStream();
            String line;
            while ((line = in.readLine()) != null) {
                drain.begins();
                try {
                    if (!answer(line, in, out)) {
                        return;
                    }
                } finally {
                    drain.ends();
                }
            }
        } catch (IOException | InterruptedException e) {
            // The client is gone.
        }
    }

    /** Whether the connection is to be kept. */
    static boolean answer(String request, BufferedReader in, OutputStream out) throws IOException, InterruptedException {
        boolean keep = true;
        int length = 0;
        for (String line; (line = in.readLine()) != null && !line.isEmpty();) {
            String header = line.toLowerCase();
            if (header.startsWith("content-length:")) {
                length = Integer.parseInt(header.substring(15).strip());
            } else if (header.startsWith("connection:") && header.contains("close")) {
                keep = false;
            }
        }
        for (int i = 0; i < length; i++) {
            in.read();
        }
        String path = request.split(" ")[1];
        if (path.equals("/slow")) {
            Thread.sleep(2000);
        }
        keep &= !drain.began();
        String head = "HTTP/1.1 200 OK\r\n" + (keep ? "" : "Connection: close\r\n");
        if (!path.equals("/stream")) {
            send(out, head + "Content-Length: " + text.length() + "\r\n\r\n" + text);
            return keep;
        }
        send(out, head + "Transfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 20; i++) {
            send(out, Integer.toHexString(text.length()) + "\r\n" + text + "\r\n");
            Thread.sleep(100);
        }
        send(out, "4\r\nend\n\r\n0\r\n\r\n");
        return keep && !drain.over();
    }

    static void send(OutputStream out, String s) throws IOException {
        out.write(s.getBytes(StandardCharsets.ISO_8859_1));
    }
}
