package adopt

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// socket is the socket that is adopted with the service.
type socket struct {
	unit     Unit
	settings []setting
}

func (k *socket) get(name string) setting {
	for _, s := range k.settings {
		if s.section == "Socket" && s.name == name {
			return s
		}
	}
	return setting{section: "Socket", name: name}
}

// chooseSocket decides what becomes of the units that start the service.
func (a *adoption) chooseSocket(triggers []Unit) error {
	for _, t := range triggers {
		n, ok := splitName(t.Name)
		switch {
		case !ok:
		case !t.Enabled && !a.loose:
			a.changef("%s could start %s and is not enabled: it is left out", t.Name, a.service.Name)
		case n.suffix != ".socket":
			a.gap(t.Name, "it starts %s, and the main service of a manifest has no %s; the unit stays as it is, and starts only what is called %s", a.service.Name, strings.TrimPrefix(n.suffix, "."), a.service.Name)
		case a.socket != nil:
			a.gap(t.Name, "a service of a manifest has one socket, which is made of %s", a.socket.unit.Name)
		default:
			if err := a.readSocket(t, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// readSocket takes a socket if the manifest can have it.
func (a *adoption) readSocket(u Unit, n unitName) error {
	m := merger{name: n, systemd: a.systemd, fragment: u.Files[0].Path, sections: []string{"Unit", "Socket", "Install"}}
	for _, f := range u.Files {
		if err := m.add(f); err != nil {
			return err
		}
		a.result.Files = append(a.result.Files, f.Path)
	}
	for _, s := range m.ignored {
		a.gap(u.Name+" "+s, "systemd ignores it, too")
	}
	k := &socket{u, m.settings}
	if truth(k.get("Accept").last()) == "yes" {
		a.gap(u.Name, "Accept=yes starts a service for each connection, and a socket of a manifest has one service for all")
		return nil
	}
	if len(k.listen()) == 0 {
		a.gap(u.Name, "it has no stream socket, and the key listen takes no other")
		return nil
	}
	a.socket = k
	a.rename(u.Name, a.app+".socket")
	return nil
}

// rename lets the dependencies of the service follow a unit to its new name.
func (a *adoption) rename(from, to string) {
	for i, s := range a.settings {
		if !isDependency(s.section, s.name) || s.name == "RequiresMountsFor" || s.name == "WantsMountsFor" {
			continue
		}
		for j, v := range s.values {
			words := strings.Fields(v)
			for k, w := range words {
				if w == from {
					words[k] = to
				}
			}
			a.settings[i].values[j] = strings.Join(words, " ")
		}
	}
}

// listen are the addresses that the key takes: all, or none.
func (k *socket) listen() []string {
	var list []string
	for _, v := range k.get("ListenStream").values {
		l, ok := literal(v)
		if !ok || !isListen(l) {
			return nil
		}
		list = append(list, l)
	}
	return list
}

// isListen accepts the addresses of the key listen.
func isListen(s string) bool {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@") && len(s) > 1 {
		return !strings.Contains(s, "..")
	}
	if port, err := strconv.ParseUint(s, 10, 16); err == nil {
		return port > 0
	}
	addr, err := netip.ParseAddrPort(s)
	return err == nil && addr.Port() > 0
}

// socketKeys writes the socket. Its [Unit] and [Install] are the plan's own.
func (a *adoption) socketKeys() {
	k := a.socket
	if k == nil {
		return
	}
	listen := k.listen()
	a.doc.set(&a.doc.socket, "listen", tomlList(listen), "")
	file := slices.ContainsFunc(listen, func(l string) bool { return strings.HasPrefix(l, "/") })
	for _, s := range k.settings {
		switch {
		case s.section == "Unit" && s.name == "Description":
		case s.id() == "Unit.Before" && strings.Join(s.words(), " ") == "sockets.target": // systemd adds it by itself
		case s.id() == "Install.WantedBy" && strings.Join(s.words(), " ") == "sockets.target":
		case s.section != "Socket":
			a.gap(k.unit.Name+" "+s.id()+"="+s.text(), "[systemd.%s] is that of the service, and there is none for the socket", s.section)
		case s.name == "ListenStream", s.name == "Service", s.name == "Accept":
		case file && s.name == "SocketMode" && modes.MatchString(s.last()):
			a.doc.set(&a.doc.socket, "mode", tomlString(s.last()), "")
		default:
			a.pass(s)
		}
	}
	a.socketDefaults(file)
	if k.mixed() {
		a.gap(k.unit.Name+" Socket.ListenStream="+k.get("ListenStream").text(), "the addresses of other kinds come behind those of the key listen: the service gets its sockets in another order")
	}
}

// mixed reports whether the addresses of the key listen may not be the first.
func (k *socket) mixed() bool {
	others, before, seen := false, false, false
	for _, s := range k.settings {
		switch {
		case s.id() == "Socket.ListenStream":
			seen = true
		case strings.HasPrefix(s.id(), "Socket.Listen") && len(s.values) > 0:
			others, before = true, before || !seen
		}
	}
	return before || others && len(k.get("ListenStream").values) > 1
}

// socketDefaults keeps away what a plan adds to a socket.
func (a *adoption) socketDefaults(file bool) {
	k := a.socket
	absent := func(name string) bool { return len(k.get(name).values) == 0 }
	pass := func(name, value, why string) {
		if absent(name) {
			a.doc.passLine("Socket", line{key: name, value: passed([]string{value}, false), why: why})
		}
	}
	if file {
		if absent("SocketMode") {
			a.doc.set(&a.doc.socket, "mode", `"0666"`, "systemd's default")
		}
		pass("SocketUser", "", "root")
		pass("SocketGroup", "", "root")
		pass("RemoveOnStop", "no", "systemd's default")
	}
	if a.get("Service", "Restart").last() == "always" {
		pass("TriggerLimitIntervalSec", "2s", "systemd's default")
		pass("TriggerLimitBurst", "20", "systemd's default")
	}
	if !installed(k.settings) {
		a.gap(k.unit.Name, "nothing starts it by itself, and a socket of a manifest is started with sockets.target")
	}
}

// installed reports whether [Install] says what starts a unit.
func installed(settings []setting) bool {
	return slices.ContainsFunc(settings, func(s setting) bool {
		return s.section == "Install" && (s.name == "WantedBy" || s.name == "RequiredBy") && len(s.values) > 0
	})
}
