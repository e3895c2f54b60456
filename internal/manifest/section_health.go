package manifest

import (
	"net/url"
	"strings"
	"time"

	"github.com/landfast/landfast"
)

// health is [health].
type health struct {
	http, tcp, port, body    text
	exec                     command
	unit                     boolean
	status                   integer
	grace, interval, timeout text
	watch                    text
}

// minInterval keeps a check from becoming a load of its own.
const minInterval = 10 * time.Millisecond

// unitGrace is how long a service must stay up when nothing else is asked.
const unitGrace = 2 * time.Second

func (h *health) choices() (keys []string, must bool) {
	return []string{"http", "tcp", "exec", "unit"}, false
}

func (h *health) keys() []key {
	return []key{
		{
			name: "http", value: h.http.as(anyText), example: `"/healthz"`,
			doc: "Healthy when this answers well: a path, `:PORT/PATH` or a whole URL. For a path alone the port is `port`, else the first address of [socket], else the variable `PORT`; with a UNIX socket there, it is asked over that.",
		},
		{
			name: "tcp", value: h.tcp.as(&form{label: "address", number: true}), example: `":5432"`,
			doc: "Healthy when this accepts a connection: a port, `HOST:PORT`, or the path of a UNIX socket.",
		},
		{
			name: "exec", value: &h.exec, example: `"bin/web check"`,
			doc: "Healthy when this command, run as the app's user, ends with 0.",
		},
		{
			name: "unit", value: &h.unit, note: "the check when there is no other", example: `true`,
			doc: "Healthy when the service is up and stays up for `grace`.",
		},
		{
			name: "port", value: h.port.as(port), example: `4000`,
			doc: "The port, for a path alone in `http`.",
		},
		{
			name: "status", value: h.status.between(100, 599), note: "any of 200 to 399", example: `204`,
			doc: "The status that `http` must answer.",
		},
		{
			name: "body", value: h.body.as(anyText), example: `"ok"`,
			doc: "A text that the answer of `http` must contain.",
		},
		{
			name: "grace", value: h.grace.as(span), note: "`\"2s\"` for `unit`, else none", example: `"5s"`,
			doc: "How long to wait before the first check; for `unit`, how long the service must stay up.",
		},
		{
			name: "interval", value: h.interval.as(span), def: `"200ms"`, example: `"1s"`,
			doc: "How long to wait between two checks.",
		},
		{
			name: "timeout", value: h.timeout.as(span), def: `"30s"`, example: `"2min"`,
			doc: "How long everything together may take.",
		},
		{
			name: "watch", value: h.watch.as(span), note: "none", example: `"5min"`,
			doc: "How long a new release is watched behind its deployment. When its service dies again and again, or the check fails several times in a row, it is rolled back by itself, also behind a reboot.",
		},
	}
}

func (h *health) build(d *decoder, current string, m *manifest) landfast.Health {
	built := landfast.Health{
		Kind:     landfast.HealthUnit,
		Status:   h.status.n,
		Body:     h.body.value,
		Grace:    h.grace.duration(),
		Interval: h.interval.duration(),
		Timeout:  h.timeout.duration(),
		Watch:    h.watch.duration(),
	}
	switch {
	case h.http.src != nil:
		built.Kind = landfast.HealthHTTP
		h.buildHTTP(d, m, &built)
	case h.tcp.src != nil:
		built.Kind = landfast.HealthTCP
		h.buildTCP(d, &built)
	case h.exec.given():
		built.Kind = landfast.HealthExec
		built.Command = h.exec.build(d, current)
	case h.unit.src != nil && !h.unit.on:
		d.at(h.unit.src, "health.unit", "cannot be switched off without another check", `set "http", "tcp" or "exec"`)
	}
	if built.Kind == landfast.HealthUnit && !h.grace.given() {
		built.Grace = unitGrace
	}
	h.checkTimes(d, &built)
	h.checkHTTPOnly(d, built.Kind)
	return built
}

func (h *health) checkTimes(d *decoder, built *landfast.Health) {
	if h.interval.ok() && built.Interval < minInterval {
		d.flaw(&h.interval, &flaw{quote(h.interval.value) + " is too short", "at least 10ms"})
	}
	if h.timeout.ok() && built.Timeout <= built.Grace {
		at := &h.timeout
		if !at.given() {
			at = &h.grace
		}
		d.flaw(at, &flaw{"grace (" + built.Grace.String() + ") takes all of timeout (" + built.Timeout.String() + ")", "make timeout the longer of the two"})
	}
}

// checkHTTPOnly refuses what only an http check looks at.
func (h *health) checkHTTPOnly(d *decoder, kind landfast.HealthKind) {
	if kind == landfast.HealthHTTP {
		return
	}
	const msg, hint = "is only for http checks", `set http = "/healthz", or remove it`
	if h.status.src != nil {
		d.at(h.status.src, "health.status", msg, hint)
	}
	for _, t := range []*text{&h.body, &h.port} {
		if t.src != nil {
			d.flaw(t, &flaw{msg, hint})
		}
	}
}

// buildHTTP works out the URL and the socket of an http check.
func (h *health) buildHTTP(d *decoder, m *manifest, built *landfast.Health) {
	if !h.http.ok() {
		return
	}
	target := h.http.value
	bare := strings.HasPrefix(target, "/")
	switch {
	case bare:
		origin, socket, found := h.origin(m)
		if !found {
			if !h.unknownYet(m) {
				d.flaw(&h.http, &flaw{"a path alone needs a port", "set port in [health], listen in [socket] or PORT in [env]; or write a whole URL"})
			}
			return
		}
		target, built.Socket = origin+target, socket
	case strings.HasPrefix(target, ":"):
		target = "http://127.0.0.1" + target
	}
	if h.port.src != nil && !bare {
		d.flaw(&h.port, &flaw{"the URL in http has its own port", "remove it"})
	}
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || !goodPort(u.Port(), true) || u.Fragment != "" {
		d.flaw(&h.http, &flaw{quote(h.http.value) + " is not an address to check", `write "/healthz", ":8080/healthz" or "http://127.0.0.1:8080/healthz"`})
		return
	}
	built.Target = u.String()
}

// unknownYet reports whether a port may well be set, but in a text that is bad
// and reported already.
func (h *health) unknownYet(m *manifest) bool {
	if h.port.src != nil || m.socket.listen.src != nil || m.cutover.listen.src != nil {
		return true
	}
	for _, v := range m.env.list {
		if v.name == "PORT" && !v.text.ok() {
			return true
		}
	}
	return false
}

// origin is the scheme, host and port of a check that names a path alone, and
// the UNIX socket to ask it over.
func (h *health) origin(m *manifest) (origin, socket string, found bool) {
	if h.port.ok() {
		return "http://127.0.0.1:" + h.port.value, "", true
	}
	if listen := m.socket.listen.values(); len(listen) > 0 {
		origin, socket = listenOrigin(listen[0])
		return origin, socket, true
	}
	if public := m.cutover.listen.values(); m.cutover.ported() && len(public) > 0 {
		origin, socket = listenOrigin(public[0])
		return origin, socket, true
	}
	if port, ok := m.env.find("PORT"); ok && goodPort(port, false) {
		return "http://127.0.0.1:" + port, "", true
	}
	return "", "", false
}

// listenOrigin is the same for an address of a socket of this host.
func listenOrigin(address string) (origin, socket string) {
	switch {
	case strings.HasPrefix(address, "/") || strings.HasPrefix(address, "@"):
		return "http://localhost", address
	case goodPort(address, false):
		return "http://127.0.0.1:" + address, ""
	}
	// A socket for any address of this host also answers at its loopback address.
	if port, ok := strings.CutPrefix(address, "0.0.0.0:"); ok {
		address = "127.0.0.1:" + port
	}
	if port, ok := strings.CutPrefix(address, "[::]:"); ok {
		address = "[::1]:" + port
	}
	return "http://" + address, ""
}

// goodPort reports whether s is a port, or empty where that is allowed.
func goodPort(s string, empty bool) bool {
	_, flaw := checkPort(s)
	return flaw == nil || empty && s == ""
}

// buildTCP works out the address of a tcp check.
func (h *health) buildTCP(d *decoder, built *landfast.Health) {
	if !h.tcp.ok() {
		return
	}
	s := h.tcp.value
	if strings.HasPrefix(s, "/") {
		clean, flaw := checkAbsPath(s)
		if flaw != nil {
			d.flaw(&h.tcp, flaw)
		}
		built.Target = clean
		return
	}
	if goodPort(s, false) {
		s = ":" + s
	}
	if strings.HasPrefix(s, ":") {
		s = "127.0.0.1" + s
	}
	u, err := url.Parse("tcp://" + s)
	if err != nil || u.Host != s || u.Hostname() == "" || !goodPort(u.Port(), false) {
		d.flaw(&h.tcp, &flaw{quote(h.tcp.value) + " is not an address to check", `write ":5432", "127.0.0.1:5432" or "/run/db.sock"`})
		return
	}
	built.Target = s
}
