package relay

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// header is the PROXY header for the connection of a client: its address and the
// one it asked for. Clients of UNIX sockets have none, and the header says so.
func header(version Proxy, client int) []byte {
	from, to := address(unix.Getpeername(client)), address(unix.Getsockname(client))
	if from.Addr().Is4() != to.Addr().Is4() {
		from, to = netip.AddrPort{}, netip.AddrPort{}
	}
	if version == ProxyV1 {
		return headerV1(from, to)
	}
	return headerV2(from, to)
}

// address is the zero AddrPort for what is not TCP. A client that reached a v6
// socket by v4 has a v4 address.
func address(a unix.Sockaddr, err error) netip.AddrPort {
	if err != nil {
		return netip.AddrPort{}
	}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// headerV1 is section 2.1 of the specification.
func headerV1(from, to netip.AddrPort) []byte {
	if !from.IsValid() || !to.IsValid() {
		return []byte("PROXY UNKNOWN\r\n")
	}
	family := "TCP4"
	if from.Addr().Is6() {
		family = "TCP6"
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, from.Addr(), to.Addr(), from.Port(), to.Port())
}

// headerV2 is section 2.2: signature, version and command PROXY, family, length,
// addresses, ports.
func headerV2(from, to netip.AddrPort) []byte {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	head := append([]byte(signature), 0x21)
	switch {
	case !from.IsValid() || !to.IsValid():
		return append(head, 0x00, 0, 0) // UNSPEC
	case from.Addr().Is4():
		head = append(head, 0x11, 0, 12) // TCP over IPv4
	default:
		head = append(head, 0x21, 0, 36) // TCP over IPv6
	}
	head = append(head, from.Addr().AsSlice()...)
	head = append(head, to.Addr().AsSlice()...)
	head = binary.BigEndian.AppendUint16(head, from.Port())
	return binary.BigEndian.AppendUint16(head, to.Port())
}
