package relay

import (
	"time"

	"golang.org/x/sys/unix"
)

// Proxy is the version of the PROXY protocol in which the target is told who the
// client is; "" tells it nothing.
type Proxy string

// The versions (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt).
const (
	ProxyNone Proxy = ""
	ProxyV1   Proxy = "v1"
	ProxyV2   Proxy = "v2"
)

// Options say what to relay.
type Options struct {
	// Listeners are listening stream sockets; the relay owns and closes them. They
	// may be shared with other processes. Each is made non-blocking, which all
	// who share it see.
	Listeners []int
	// Target is the path of the symbolic link whose text is the address.
	Target string
	// Wait is how long a client waits at most for a target that takes it.
	Wait time.Duration
	// Drain is how long connections may go on when Run is told to end; 0: not at all.
	Drain time.Duration
	Proxy Proxy
	// Limit is how many connections may be open at once; 0: as many as the limit of
	// open files allows. Further clients wait in the sockets' queues.
	Limit int
	// Loops is how many threads relay; 0: as many as there are processors, at most 4.
	Loops int
	// Log takes lines for people; nil: nobody reads them. It is called by many
	// goroutines. What may come often is told once a second at most.
	Log func(line string)
}

// spareFiles are for what is no connection: listeners, epoll, the standard streams,
// pipes of streams.
const spareFiles = 128

func (o Options) limit() int {
	if o.Limit > 0 {
		return o.Limit
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 400
	}
	return max(1, (int(min(r.Cur, 1<<22))-spareFiles)/2)
}
