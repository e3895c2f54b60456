package attach

import (
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Terminal connects a person's terminal with a new one that the unit gets. Keys go
// through as they are, Ctrl-C too, and the size follows. in and out are terminals.
func Terminal(in, out *os.File) (*Attachment, error) {
	master, name, err := openPty()
	if err != nil {
		return nil, err
	}
	// Without an open slave the first read of the master would fail before the unit
	// has opened it.
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		_ = master.Close()
		return nil, fmt.Errorf("open the new terminal: %w", err)
	}
	copySize(out, master)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		_ = slave.Close()
		_ = master.Close()
		return nil, fmt.Errorf("take over the terminal: %w", err)
	}
	a := &Attachment{}
	a.directive("StandardInput", "tty")
	a.directive("StandardOutput", "tty")
	a.directive("StandardError", "tty")
	a.directive("TTYPath", name)

	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	go func() {
		for range resized {
			copySize(out, master)
		}
	}()
	go func() { _, _ = io.Copy(master, in) }() // ends with this process, or with the person's terminal
	a.copying.Go(func() { _, _ = io.Copy(out, master) })
	a.stop = append(a.stop, func() {
		signal.Stop(resized)
		close(resized)
		_ = slave.Close() // the last one: the copying ends when all has been read
	})
	a.stop = append(a.stop, func() {
		a.copying.Wait()
		_ = term.Restore(int(in.Fd()), before)
		_ = master.Close()
	})
	return a, nil
}

// copySize gives a terminal the size of another, as far as it has one.
func copySize(from, to *os.File) {
	size, err := unix.IoctlGetWinsize(int(from.Fd()), unix.TIOCGWINSZ)
	if err == nil {
		_ = unix.IoctlSetWinsize(int(to.Fd()), unix.TIOCSWINSZ, size)
	}
}

// openPty makes a pseudoterminal (pts(4)) and gives its master and the name of its slave.
func openPty() (*os.File, string, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("make a terminal: %w", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		_ = master.Close()
		return nil, "", fmt.Errorf("unlock the new terminal: %w", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		_ = master.Close()
		return nil, "", fmt.Errorf("name the new terminal: %w", err)
	}
	return master, fmt.Sprintf("/dev/pts/%d", n), nil
}
