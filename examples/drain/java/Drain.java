import java.io.IOException;
import java.nio.channels.Channel;
import java.nio.channels.ServerSocketChannel;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Made to be copied into an app: takes the socket that systemd holds, and ends a server
 * without losing a request.
 */
public class Drain {
    private final ServerSocketChannel listener;
    private final AtomicInteger inProgress = new AtomicInteger();
    private volatile boolean began;
    private volatile boolean over;

    public Drain(ServerSocketChannel listener) {
        this.listener = listener;
    }

    /**
     * The socket of systemd, or null. Java finds it in one place only, the standard
     * input: the unit says StandardInput=socket.
     */
    public static ServerSocketChannel inherited() throws IOException {
        Channel c = System.inheritedChannel();
        return c instanceof ServerSocketChannel s ? s : null;
    }

    /**
     * Tells systemd that the app is ready. Java has no datagram sockets of UNIX, so a
     * program does it: the unit needs NotifyAccess=all.
     */
    public static void ready() throws IOException {
        if (System.getenv("NOTIFY_SOCKET") != null) {
            new ProcessBuilder("systemd-notify", "--ready").start();
        }
    }

    /** Whether answers are to say "Connection: close". */
    public boolean began() {
        return began;
    }

    /** Whether a connection whose answer said nothing yet is to be closed behind it. */
    public boolean over() {
        return over;
    }

    /** A request has come. */
    public void begins() {
        inProgress.incrementAndGet();
    }

    /** It has been answered. */
    public void ends() {
        inProgress.decrementAndGet();
    }

    /**
     * Ends the process on SIGTERM. The order matters: every answer from now on tells its
     * client not to use the connection again; no new connection is taken, so those that
     * arrive are the next process's; clients get a moment to hear it; the requests in
     * progress end; and only then does the process, and with it what is idle.
     */
    public void onTerm(long moment) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            began = true;
            try {
                listener.close();
                Thread.sleep(moment);
                over = true;
                while (inProgress.get() > 0) {
                    Thread.sleep(10);
                }
            } catch (IOException | InterruptedException e) {
                System.err.println(e);
            }
        }));
    }
}
