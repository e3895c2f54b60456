package relay

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Barrier blocks until the service manager at address (NOTIFY_SOCKET) has read what
// it was told before (sd_notify_barrier(3)), for some seconds at most. Where there
// is none it returns at once.
func Barrier(address string) error {
	if address == "" {
		return nil
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("wait for the service manager: %w", err)
	}
	defer sysClose(pipe[0])
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Sendmsg(s, []byte("BARRIER=1"), unix.UnixRights(pipe[1]), &unix.SockaddrUnix{Name: address}, unix.MSG_NOSIGNAL)
		sysClose(s)
	}
	sysClose(pipe[1])
	if err != nil {
		return fmt.Errorf("wait for the service manager: %w", err)
	}
	_, err = wait(pipe[0], 5*time.Second)
	return err
}

// wait blocks until a descriptor has something to say; false: not within limit.
func wait(fd int, limit time.Duration) (bool, error) {
	until := time.Now().Add(limit)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(0, time.Until(until))/time.Millisecond))
		if err == nil || !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

// Replace asks the relay with a process id to hand over to a new process, and blocks
// until it has ended. False: it had not within limit, so it still relays.
func Replace(pid int, limit time.Duration) (bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, fmt.Errorf("find process %d: %w", pid, err)
	}
	defer sysClose(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGUSR2, nil, 0); err != nil {
		return false, fmt.Errorf("ask process %d to hand over: %w", pid, err)
	}
	return wait(fd, limit)
}
