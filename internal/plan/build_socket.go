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
	for _, l := range k.Listen {
		sec.Add("ListenStream", b.ok("socket.listen")(unit.Literal(l)))
	}
	if slices.ContainsFunc(k.Listen, func(l string) bool { return strings.HasPrefix(l, "/") }) {
		b.socketFile(f, k)
	}
	if k.Backlog > 0 {
		sec.Add("Backlog", strconv.Itoa(k.Backlog))
	}
	sec.Add("Service", s.Unit)
	// A service that systemd restarts by itself cannot be triggered in a circle,
	// so the limit that would close the port for good is not needed. One that
	// systemd does not restart keeps the limit: nothing else would end the
	// circle of a connection that waits and a service that fails.
	if s.Restart != "" && s.Restart != "no" {
		b.add(f, "Socket", "TriggerLimitIntervalSec", "0")
	}
	f.Section("Install").Add("WantedBy", "sockets.target")
	if s == b.app.Main() {
		b.passThrough(f, "Socket")
	}
	b.unitFile(k.Unit, f)
	b.plan.Units = append(b.plan.Units, Unit{Name: k.Unit, Enable: true, Socket: true})
}

// socketFile adds who may connect to a UNIX socket.
func (b *builder) socketFile(f *unit.File, k *landfast.Socket) {
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
