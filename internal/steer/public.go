package steer

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Public is where clients connect to: a TCP port, on every address of the host or on
// one of them.
type Public struct {
	Addr netip.Addr // the zero Addr: every address
	Port uint16
}

// ParsePublic reads 8080, 127.0.0.1:8080 or [::1]:8080. As for systemd, [::] means
// every address, and 0.0.0.0 those of IPv4.
func ParsePublic(s string) (Public, error) {
	port, err := ParsePort(s)
	if err == nil {
		return Public{Port: port}, nil
	}
	ap, perr := netip.ParseAddrPort(s)
	switch {
	case strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@"):
		return Public{}, invalid(s+" is a UNIX socket, and only TCP ports can be steered", "write a port, such as 8080")
	case perr != nil && strings.ContainsAny(s, ".:"):
		return Public{}, invalid(fmt.Sprintf("%q is not an address with a port", s), "write 8080, 127.0.0.1:8080 or [::1]:8080")
	case perr != nil:
		return Public{}, err
	case ap.Port() == 0:
		return Public{}, invalid(fmt.Sprintf("%q has no port", s), "write 8080, 127.0.0.1:8080 or [::1]:8080")
	case ap.Addr().Zone() != "":
		return Public{}, invalid(fmt.Sprintf("%q names an interface, and steering knows addresses only", s), "leave out what is behind %")
	}
	p := Public{Addr: ap.Addr().Unmap(), Port: ap.Port()}
	if p.Addr == netip.IPv6Unspecified() {
		p.Addr = netip.Addr{}
	}
	return p, nil
}

// ParsePort reads a TCP port.
func ParsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, invalid(fmt.Sprintf("%q is not a port", s), "ports are numbers from 1 to 65535")
	}
	return uint16(n), nil
}

func invalid(msg, hint string) error {
	return &landfast.Error{Kind: landfast.Invalid, Msg: msg, Hint: hint}
}

// String is the form that ParsePublic reads.
func (p Public) String() string {
	if !p.Addr.IsValid() {
		return strconv.Itoa(int(p.Port))
	}
	return netip.AddrPortFrom(p.Addr, p.Port).String()
}

// MarshalText is String, for JSON.
func (p Public) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePublic.
func (p *Public) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePublic(string(b))
	return err
}

// meets reports whether a listener on addr would be asked for connections to p, too.
func (p Public) meets(addr netip.Addr) bool {
	addr = addr.Unmap()
	if !p.Addr.IsValid() || addr.IsUnspecified() && (addr.Is6() || p.Addr.Is4()) {
		return true
	}
	return addr == p.Addr || p.Addr.IsUnspecified() && addr.Is4()
}

// key is what the program looks up, in the order in which it writes it.
type key struct {
	word uint32 // family<<24 | protocol<<16 | port
	ip4  [4]byte
	ip6  [16]byte
}

func (k key) family() uint8 { return uint8(k.word >> 24) }

// public is the address that k is for.
func (k key) public() Public {
	p := Public{Port: uint16(k.word)}
	switch {
	case k.ip4 != [4]byte{}:
		p.Addr = netip.AddrFrom4(k.ip4)
	case k.ip6 != [16]byte{}:
		p.Addr = netip.AddrFrom16(k.ip6)
	}
	return p
}

// keys are those of p, one for each family that it has.
func (p Public) keys() []key {
	var all []key
	for _, family := range []uint32{unix.AF_INET, unix.AF_INET6} {
		k := key{word: family<<24 | unix.IPPROTO_TCP<<16 | uint32(p.Port)}
		switch {
		case !p.Addr.IsValid():
		case p.Addr.Is4() != (family == unix.AF_INET):
			continue
		case p.Addr.IsUnspecified():
		case p.Addr.Is4():
			k.ip4 = p.Addr.As4()
		default:
			k.ip6 = p.Addr.As16()
		}
		all = append(all, k)
	}
	return all
}

// Family is a version of IP.
type Family string

// The families.
const (
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
)

func familyOf(number uint8) Family {
	if number == unix.AF_INET {
		return IPv4
	}
	return IPv6
}

// sortKeys puts keys in the order of ports, addresses and families.
func sortKeys(all []key) {
	slices.SortFunc(all, func(a, b key) int {
		if a.word&0xffff != b.word&0xffff {
			return int(a.word&0xffff) - int(b.word&0xffff)
		}
		if c := a.public().Addr.Compare(b.public().Addr); c != 0 {
			return c
		}
		return int(a.family()) - int(b.family())
	})
}
