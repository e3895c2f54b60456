package manifest

import (
	"strings"

	"github.com/landfast/landfast"
)

// socket is [socket].
type socket struct {
	on                bool
	at                *node
	listen            texts
	mode, user, group text
	backlog           integer
}

func (s *socket) switchOn(at *node) { s.on, s.at = true, at }

func (s *socket) keys() []key {
	return []key{
		{
			name: "listen", directive: "ListenStream", value: s.listen.as(listen), must: true, example: `["8080"]`,
			doc: "Where to listen: a port on all addresses, an address with a port, or the path of a UNIX socket. Several are handed over in this order.",
		},
		{
			name: "mode", directive: "SocketMode", value: s.mode.as(octal), def: `"0660"`, example: `"0666"`,
			doc: "The mode of UNIX sockets.",
		},
		{
			name: "user", directive: "SocketUser", value: s.user.as(account), def: `"${user}"`, example: `"www-data"`,
			doc: "The owner of UNIX sockets.",
		},
		{
			name: "group", directive: "SocketGroup", value: s.group.as(account), def: `"${group}"`, example: `"www-data"`,
			doc: "The group of UNIX sockets, such as that of the web server in front.",
		},
		{
			name: "backlog", directive: "Backlog", value: s.backlog.between(1, 1<<20), note: "systemd's", example: `4096`,
			doc: "How many connections wait while the service restarts.",
		},
	}
}

func (s *socket) build(d *decoder, unit string) *landfast.Socket {
	built := &landfast.Socket{Unit: unit + ".socket", Listen: s.listen.values(), Backlog: s.backlog.n}
	if s.listen.src != nil && len(s.listen.list) == 0 {
		d.at(s.listen.src, "socket.listen", "is empty", `write a port, such as "8080"`)
	}
	seen := map[string]bool{}
	files := s.listen.src == nil // nothing is known of them
	for _, one := range s.listen.list {
		if !one.ok() {
			files = true
			continue
		}
		if seen[one.value] {
			d.flaw(one, &flaw{quote(one.value) + " is listed twice", ""})
		}
		seen[one.value] = true
		files = files || strings.HasPrefix(one.value, "/")
	}
	if files {
		built.Mode, built.User, built.Group = s.mode.value, s.user.value, s.group.value
		return built
	}
	for _, t := range []*text{&s.mode, &s.user, &s.group} {
		if t.given() {
			d.flaw(t, &flaw{"is for UNIX sockets, and there is none in listen", ""})
		}
	}
	return built
}
