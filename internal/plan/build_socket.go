package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// socket adds the unit of a service's socket, if it has one.
func (b *builder) socket(s *landfast.Service) {
	k := s.Socket
	if k == nil {
		return
	}
	f := &unit.File{}
	f.Section("Unit").Add("Description", b.ok("description")(unit.Literal(b.app.Name+" socket")))
	sec := f.Section("Socket")
	b.listens(f, k)
	if k.Backlog > 0 {
		sec.Add("Backlog", strconv.Itoa(k.Backlog))
	}
	sec.Add("Service", s.Unit)
	// Beyond its limit of 20 triggers in 2 s systemd closes the port until
	// somebody starts the socket again. A service that it always restarts is
	// triggered again only when it cannot even be tried, as with a required unit
	// that fails; that may take its time, but not run away with the machine.
	// For other services the limit is what ends the circle of a connection that
	// waits and a process that ends.
	if s.Restart == "always" {
		b.add(f, "Socket", "TriggerLimitIntervalSec", "1s")
		b.add(f, "Socket", "TriggerLimitBurst", "100")
	}
	f.Section("Install").Add("WantedBy", "sockets.target")
	b.passThrough(f, s, "Socket")
	b.unitFile(k.Unit, f)
	b.plan.Units = append(b.plan.Units, Unit{Name: k.Unit, Enable: true, Socket: true})
}

// listens adds the addresses.
func (b *builder) listens(f *unit.File, k *landfast.Socket) {
	for _, l := range k.Listen {
		f.Section("Socket").Add("ListenStream", b.ok("socket.listen")(unit.Literal(l)))
	}
	if slices.ContainsFunc(k.Listen, func(l string) bool { return strings.HasPrefix(l, "/") }) {
		b.socketFile(f, k)
	}
}

// socketFile adds who may connect to a UNIX socket. Its file goes with the unit:
// nothing else would ever take it away.
func (b *builder) socketFile(f *unit.File, k *landfast.Socket) {
	b.add(f, "Socket", "RemoveOnStop", "yes")
	if k.Mode != "" {
		b.add(f, "Socket", "SocketMode", k.Mode)
	}
	if k.User != "" {
		b.add(f, "Socket", "SocketUser", k.User)
	}
	if k.Group != "" {
		b.add(f, "Socket", "SocketGroup", k.Group)
	}
}
