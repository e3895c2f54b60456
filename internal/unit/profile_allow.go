package unit

import (
	"fmt"
	"slices"
	"strings"
)

// Allowance is a power of the sandbox that can be given back by name.
type Allowance struct {
	Name   string
	Reason string // who needs it
	// Drops are the directives that are left out.
	Drops []string
	// Sets are directives that get another value, and are left out where the
	// profile has none of them.
	Sets []Line
	// Refilter are groups and names of system calls that are allowed again.
	Refilter []string
}

// Allowances lists what can be allowed, by name.
func Allowances() []Allowance { return slices.Concat(allowancesToL(), allowancesFromM()) }

func allowancesToL() []Allowance {
	return []Allowance{
		{
			Name: "capabilities", Reason: "programs that get capabilities in another way than AmbientCapabilities=, as a server that starts as root",
			Drops: []string{"CapabilityBoundingSet", "PrivateUsers"}, Refilter: []string{"@privileged"},
		},
		{
			Name: "clock", Reason: "it sets the clock",
			Drops: []string{"ProtectClock"}, Refilter: []string{"@clock"},
		},
		{
			Name: "control-groups", Reason: "it sets resource limits for processes of its own, or reads those of others",
			Drops: []string{"ProtectControlGroups"},
		},
		{
			Name: "debug", Reason: "tracers, profilers and crash handlers that attach to a process",
			Refilter: []string{"@debug"},
		},
		{
			Name: "devices", Reason: "graphics cards, serial lines, sound",
			Drops: []string{"PrivateDevices"},
		},
		{
			Name: "home", Reason: "it reads and writes people's files",
			Drops: []string{"ProtectHome"},
		},
		{
			Name: "home-read", Reason: "it reads people's files",
			Sets: []Line{{Directive: "ProtectHome", Value: "read-only", Since: 214, Reason: "people's files are read-only"}},
		},
		{
			Name: "host-users", Reason: "files and sockets of other accounts keep their owners, and capabilities count for the host",
			Drops: []string{"PrivateUsers"},
		},
		{
			Name: "hostname", Reason: "it changes the host's name",
			Drops: []string{"ProtectHostname"},
		},
		{
			Name: "ipc", Reason: "shared memory and message queues with other services, as PostgreSQL's clients on the same host never need",
			Drops: []string{"PrivateIPC"},
		},
		{
			Name: "jit", Reason: "programs that make machine code while they run: Node, Java, Ruby with YJIT, .NET, LuaJIT, PCRE with JIT; Erlang does without",
			Drops: []string{"MemoryDenyWriteExecute"},
		},
		{
			Name: "kernel-logs", Reason: "it reads the kernel's log",
			Drops: []string{"ProtectKernelLogs"}, Refilter: []string{"syslog"},
		},
		{
			Name: "kernel-modules", Reason: "it loads kernel modules, or lists those there are",
			Drops: []string{"ProtectKernelModules"}, Refilter: []string{"@module"},
		},
		{
			Name: "kernel-tunables", Reason: "it changes what lies in /proc/sys and /sys",
			Drops: []string{"ProtectKernelTunables"},
		},
	}
}

func allowancesFromM() []Allowance {
	return []Allowance{
		{
			Name: "mounts", Reason: "mounts it makes show on the host",
			Drops: []string{"PrivateMounts"}, Refilter: []string{"@mount"},
		},
		{
			Name: "network-families", Reason: "packet sockets, Bluetooth, CAN and other networks than everybody's",
			Drops: []string{"RestrictAddressFamilies"},
		},
		{
			Name: "new-privileges", Reason: "it runs setuid programs: sudo, ping of old, mail queues",
			Drops: []string{"NoNewPrivileges", "CapabilityBoundingSet", "PrivateUsers", "RestrictSUIDSGID"}, Refilter: []string{"@privileged"},
		},
		{
			Name: "old-abi", Reason: "32-bit programs on a 64-bit machine",
			Drops: []string{"SystemCallArchitectures"},
		},
		{
			Name: "personality", Reason: "programs that switch off address randomisation or ask for another execution domain: old Lisps, Wine",
			Drops: []string{"LockPersonality"},
		},
		{
			Name: "proc", Reason: "it looks at other users' processes: monitoring agents",
			Drops: []string{"ProtectProc"},
		},
		{
			Name: "realtime", Reason: "sound and control programs with hard deadlines",
			Drops: []string{"RestrictRealtime"}, Refilter: []string{"@resources"},
		},
		{
			Name: "resources", Reason: "it changes priorities, processor affinity and limits: the JVM's thread priorities, databases",
			Refilter: []string{"@resources"},
		},
		{
			Name: "setuid", Reason: "it makes setuid and setgid files: package tools, shared directories with a setgid bit",
			Drops: []string{"RestrictSUIDSGID"},
		},
		{
			Name: "system-calls", Reason: "it needs calls that no other name gives back",
			Drops: []string{"SystemCallFilter", "SystemCallErrorNumber"},
		},
		{
			Name: "tmp", Reason: "it shares /tmp with other programs: X11, files passed on",
			Drops: []string{"PrivateTmp"},
		},
		{
			Name: "user-namespaces", Reason: "it makes sandboxes or containers of its own: browsers, bubblewrap, rootless containers",
			Drops: []string{"RestrictNamespaces"}, Refilter: []string{"@mount", "@privileged"},
		},
		{
			Name: "write-system", Reason: "it writes outside of its own directories",
			Drops: []string{"ProtectSystem"},
		},
	}
}

// AllowNames lists the names of Allowances.
func AllowNames() []string {
	var names []string
	for _, a := range Allowances() {
		names = append(names, a.Name)
	}
	return names
}

// Allow gives back powers that the lines of a profile take away. The error for a
// name that there is not tells the nearest one.
func Allow(lines []Line, names ...string) ([]Line, error) {
	lines = slices.Clone(lines)
	var again []string
	for _, name := range names {
		a, err := allowance(name)
		if err != nil {
			return nil, err
		}
		lines = slices.DeleteFunc(lines, func(l Line) bool { return slices.Contains(a.Drops, l.Directive) })
		for i, l := range lines {
			for _, other := range a.Sets {
				if l.Directive == other.Directive {
					lines[i] = other
				}
			}
		}
		again = append(again, a.Refilter...)
	}
	return refilter(lines, again), nil
}

// refilter allows system calls again. Those of a deny list leave it; for what an
// allow list does not have there is a line of its own behind it.
func refilter(lines []Line, calls []string) []Line {
	var out []Line
	filtered := false
	for _, l := range lines {
		if l.Directive != "SystemCallFilter" {
			out = append(out, l)
			continue
		}
		filtered = true
		if l, ok := lessDenied(l, calls); ok {
			out = append(out, l)
		}
	}
	slices.Sort(calls)
	calls = slices.Compact(calls)
	if !filtered || len(calls) == 0 {
		return out
	}
	// Behind the last filter: systemd counts a later assignment of the other kind
	// as an exception to the first.
	last := 0
	for i, l := range out {
		if l.Directive == "SystemCallFilter" {
			last = i
		}
	}
	return slices.Insert(out, last+1, Line{
		Directive: "SystemCallFilter", Value: strings.Join(calls, " "), Since: 239,
		Reason: "system calls it was allowed again",
	})
}

// lessDenied takes names off a deny list, and tells whether any remain.
func lessDenied(l Line, calls []string) (Line, bool) {
	if l.Older != nil {
		older, ok := lessDenied(*l.Older, calls)
		if l.Older = &older; !ok {
			l.Older = nil
		}
	}
	list, deny := strings.CutPrefix(l.Value, "~")
	if !deny {
		return l, true
	}
	words := slices.DeleteFunc(strings.Fields(list), func(w string) bool { return slices.Contains(calls, w) })
	l.Value = "~" + strings.Join(words, " ")
	return l, len(words) > 0
}

func allowance(name string) (Allowance, error) {
	all := Allowances()
	for _, a := range all {
		if a.Name == name {
			return a, nil
		}
	}
	if best := nearestAllowance(name, all); best != "" {
		return Allowance{}, fmt.Errorf("%q cannot be allowed by that name; did you mean %q?", name, best)
	}
	return Allowance{}, fmt.Errorf("%q is nothing that can be allowed; there are %s", name, strings.Join(AllowNames(), ", "))
}

// nearestAllowance is the name that was most likely meant: of what gives back a
// directive, but for a slip of the keyboard, or as a part of it.
func nearestAllowance(name string, all []Allowance) string {
	best, distance := "", max(len(name)/3, 2)+1
	part := ""
	for _, a := range all {
		if slices.Contains(a.Drops, name) && len(a.Drops) == 1 {
			return a.Name
		}
		if d := edits(name, a.Name); d < distance {
			best, distance = a.Name, d
		}
		if part == "" && len(name) > 2 && (strings.Contains(a.Name, name) || strings.Contains(name, a.Name)) {
			part = a.Name
		}
	}
	if best == "" {
		return part
	}
	return best
}

// edits counts the letters to change, add or remove to get from a to b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
