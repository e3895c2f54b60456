package steer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// socket is a TCP socket of this network namespace, as sock_diag(7) tells of it.
type socket struct {
	family uint8
	local  netip.AddrPort
	peer   netip.AddrPort
	cookie uint64
	inode  uint32
	queue  uint32 // of a listener: connections that wait to be accepted
}

// States of TCP, as in sock_diag(7) and the kernel's tcp_states.h.
const (
	stateListen  = 10
	stateSynRecv = 12 // a handshake under way: TCP_NEW_SYN_RECV
	maskSynRecv  = 1<<3 | 1<<stateSynRecv
)

// sockets lists the sockets of this network namespace that are in one of the states
// of a mask and have a local port; 0: any.
func sockets(states uint32, port uint16) ([]socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, noDiag(err)
	}
	defer func() { _ = unix.Close(fd) }()
	var all []socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		some, err := dump(fd, family, states, port)
		if errors.Is(err, unix.ENOENT) && family == unix.AF_INET6 {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, noDiag(err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func noDiag(err error) error {
	return &landfast.Error{
		Kind: landfast.Unavailable, Msg: "cannot list the sockets of this host", Err: fmt.Errorf("sock_diag: %w", err),
		Hint: "it takes AF_NETLINK and a kernel with INET_DIAG",
	}
}

// dump asks for the sockets of one family.
func dump(fd int, family uint8, states uint32, port uint16) ([]socket, error) {
	const requestSize = 16 + 56 // nlmsghdr, inet_diag_req_v2
	req := make([]byte, requestSize)
	order := binary.NativeEndian
	order.PutUint32(req[0:], requestSize)
	order.PutUint16(req[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	req[16], req[17] = family, unix.IPPROTO_TCP
	order.PutUint32(req[20:], states)
	binary.BigEndian.PutUint16(req[24:], port)
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var all []socket
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return all, nil
			case unix.NLMSG_ERROR:
				if len(m.Data) < 4 {
					return nil, unix.EBADMSG
				}
				return nil, unix.Errno(-int32(order.Uint32(m.Data)))
			}
			if s, ok := parseSocket(m.Data); ok {
				all = append(all, s)
			}
		}
	}
}

// parseSocket reads a struct inet_diag_msg.
func parseSocket(b []byte) (socket, bool) {
	const size = 4 + 48 + 20
	if len(b) < size {
		return socket{}, false
	}
	addr := func(at int) netip.Addr {
		if b[0] == unix.AF_INET {
			return netip.AddrFrom4([4]byte(b[at : at+4]))
		}
		return netip.AddrFrom16([16]byte(b[at : at+16]))
	}
	order := binary.NativeEndian
	return socket{
		family: b[0],
		local:  netip.AddrPortFrom(addr(8), binary.BigEndian.Uint16(b[4:])),
		peer:   netip.AddrPortFrom(addr(24), binary.BigEndian.Uint16(b[6:])),
		cookie: uint64(order.Uint32(b[44:])) | uint64(order.Uint32(b[48:]))<<32,
		queue:  order.Uint32(b[56:]),
		inode:  order.Uint32(b[68:]),
	}, true
}

// listeners are the sockets that listen on a port; 0: on any.
func listeners(port uint16) ([]socket, error) { return sockets(1<<stateListen, port) }

// withInode are those of some inodes.
func withInode(all []socket, inodes map[uint32]bool) []socket {
	return slices.DeleteFunc(slices.Clone(all), func(s socket) bool { return !inodes[s.inode] })
}
