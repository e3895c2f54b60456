package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// taken is a listening socket of another process that this one holds, too.
type taken struct {
	socket
	pid    int
	fd     int
	v6only bool
	shared bool // SO_REUSEPORT is set
}

func (t *taken) close() { _ = unix.Close(t.fd) }

// serves reports whether connections of a family can be steered to the socket.
func (t *taken) serves(family uint8) bool {
	switch {
	case t.family == unix.AF_INET:
		return family == unix.AF_INET
	case t.local.Addr().Is4In6():
		return family == unix.AF_INET
	}
	return family == unix.AF_INET6 || !t.v6only
}

// find takes the sockets that the owner listens with on a private port. Its errors
// are refusals, or errNotYet.
func (o Owner) find(port uint16) ([]*taken, error) {
	members, err := o.members()
	if err != nil {
		return nil, err
	}
	there, err := listeners(port)
	if err != nil {
		return nil, err
	}
	var all []*taken
	seen := map[uint32]bool{}
	var failed error
	for _, pid := range members {
		open, err := inodesOf(pid)
		if errors.Is(err, fs.ErrPermission) {
			failed = err
		}
		for _, s := range there {
			fd, ok := open[s.inode]
			if !ok || seen[s.inode] {
				continue
			}
			t, err := takeListener(pid, fd, s)
			if gone(err) {
				continue
			}
			if err != nil {
				closeAll(all)
				return nil, err
			}
			seen[s.inode] = true
			all = append(all, t)
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, errors.Join(o.unreachable(members), explainTaking(failed), errNotYet)
}

func closeAll(all []*taken) {
	for _, t := range all {
		t.close()
	}
}

// errNotYet: the owner does not listen there, and may do so later.
var errNotYet = errors.New("it does not listen yet")

// takeListener takes a socket that is known to listen, and looks at what decides
// whether the kernel steers to it.
func takeListener(pid, fd int, s socket) (*taken, error) {
	own, err := take(pid, fd)
	if err != nil {
		return nil, explainTaking(err)
	}
	t := &taken{socket: s, pid: pid, fd: own}
	if err := t.examine(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// examine makes sure that what was taken is what was found: a number may stand for
// something else meanwhile.
func (t *taken) examine() error {
	protocol, err := unix.GetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return errMoved // no socket at all
	}
	if protocol == unix.IPPROTO_MPTCP {
		return mptcp(t.pid, t.local.Port()) // what listens is a socket below this one
	}
	cookie, err := unix.GetsockoptUint64(t.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil || cookie != t.cookie {
		return errors.Join(errMoved, err)
	}
	if t.family == unix.AF_INET6 {
		v, err := unix.GetsockoptInt(t.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		if err != nil {
			return err
		}
		t.v6only = v != 0
	}
	v, err := unix.GetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	t.shared = v != 0
	return err
}

func mptcp(pid int, port uint16) error {
	return &landfast.Error{
		Kind: landfast.Invalid,
		Msg:  fmt.Sprintf("%s listens on port %d with MPTCP, and the kernel steers to plain TCP only", processOf(pid), port),
		Hint: "programs made with Go 1.24 or later need GODEBUG=multipathtcp=0 in [env]; sysctl net.mptcp.enabled=0 ends it for the host",
	}
}

// explainTaking adds what to do when a process may not be looked into.
func explainTaking(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &landfast.Error{
		Kind: landfast.Unavailable, Msg: "cannot take the socket of the process", Err: err,
		Hint: "it takes root, or CAP_SYS_PTRACE with CAP_DAC_READ_SEARCH; a container needs the system call pidfd_getfd",
	}
}

func ended(what string) error {
	return &landfast.Error{Kind: landfast.NotFound, Msg: what + " has ended, or never ran", Hint: "its log may say why"}
}

// unreachable refuses an owner that is in another network namespace: the process that
// was named, or else all of its processes.
func (o Owner) unreachable(members []int) error {
	here, err := ownNamespace()
	if err != nil {
		return err
	}
	if o.PID != 0 {
		members = members[:1]
	}
	for _, pid := range members {
		there, err := namespaceOf(proc(pid, "ns/net"))
		if err != nil || there == here {
			return nil // it has ended, or is not for us to see
		}
	}
	return &landfast.Error{
		Kind: landfast.Invalid, Msg: fmt.Sprintf("%s has a network of its own, and connections cannot be steered from one network to another", o),
		Hint: hintNetwork,
	}
}

// silence says that the owner does not listen on the port, and where it does.
func (o Owner) silence(port uint16) error {
	e := &landfast.Error{
		Kind: landfast.Unavailable, Msg: fmt.Sprintf("%s does not listen on port %d", o, port),
		Hint: "it should take its port from $PORT, or as an argument",
	}
	inodes, err := o.inodes()
	if err != nil {
		return err
	}
	all, err := listeners(0)
	if err != nil {
		return err
	}
	var at []string
	for _, s := range withInode(all, inodes) {
		at = append(at, s.local.String())
	}
	if slices.Sort(at); len(at) > 0 {
		e.Msg += ", but on " + strings.Join(slices.Compact(at), ", ")
	}
	return e
}

// choose picks the socket for a family: one of that family before one of both, one
// for all addresses before one for some.
func choose(all []*taken, family uint8) *taken {
	var best *taken
	rank := func(t *taken) int {
		n := 0
		if t.family == family {
			n += 2
		}
		if t.local.Addr().IsUnspecified() {
			n++
		}
		return n
	}
	for _, t := range all {
		if t.serves(family) && (best == nil || rank(t) > rank(best)) {
			best = t
		}
	}
	return best
}

// sameAddress counts the listeners that share the address of t.
func sameAddress(all []socket, addr netip.AddrPort) int {
	n := 0
	for _, s := range all {
		if s.local == addr {
			n++
		}
	}
	return n
}
