package unit

import "fmt"

// Line is one directive of a sandbox profile, in [Service].
type Line struct {
	Directive string
	Value     string
	Since     int    // the first systemd version that understands this value; 0: any we write for
	Older     *Line  // what stands in before that; nil: nothing does
	Reason    string // what it takes from the app
}

// For gives what a systemd of that version (0: the newest) understands of the
// line, and whether there is anything.
func (l Line) For(version int) (Line, bool) {
	if version == 0 || version >= l.Since {
		return l, true
	}
	if l.Older != nil {
		return l.Older.For(version)
	}
	return l, false
}

// Profile gives the lines of a sandbox profile: none, baseline or strict.
//
// Baseline takes what a service has no use for unless it administrates the
// machine. Strict takes what a network app that reads and writes its own files
// has no use for either; programs that make code at run time (Node, Java, and
// others with a JIT) need MemoryDenyWriteExecute= switched off again.
func Profile(name string) ([]Line, error) {
	switch name {
	case "none":
		return nil, nil
	case "baseline":
		return baseline(), nil
	case "strict":
		return strict(), nil
	}
	return nil, fmt.Errorf("%q is not a sandbox profile; there are none, baseline and strict", name)
}

func baseline() []Line {
	return append([]Line{
		{Directive: "NoNewPrivileges", Value: "yes", Reason: "no setuid program can make it more than it is"},
		{Directive: "ProtectSystem", Value: "full", Since: 214, Reason: "the system's programs and configuration are read-only"},
	}, common()...)
}

// common is what baseline and strict share.
func common() []Line {
	return []Line{
		{Directive: "ProtectHome", Value: "yes", Since: 214, Reason: "people's files are out of sight"},
		{Directive: "PrivateTmp", Value: "yes", Reason: "other programs' temporary files are out of sight"},
		{Directive: "PrivateDevices", Value: "yes", Since: 209, Reason: "no hardware"},
		{Directive: "ProtectKernelTunables", Value: "yes", Since: 232, Reason: "no changes to /proc/sys and /sys"},
		{Directive: "ProtectKernelModules", Value: "yes", Since: 232, Reason: "no kernel modules"},
		{Directive: "ProtectKernelLogs", Value: "yes", Since: 244, Reason: "no kernel log"},
		{Directive: "ProtectControlGroups", Value: "yes", Since: 232, Reason: "no changes to resource control"},
		{Directive: "ProtectClock", Value: "yes", Since: 245, Reason: "no setting of the clock"},
		{Directive: "ProtectHostname", Value: "yes", Since: 242, Reason: "no change of the host's name"},
		{Directive: "RestrictRealtime", Value: "yes", Since: 231, Reason: "no scheduling that can starve the machine"},
		{Directive: "RestrictSUIDSGID", Value: "yes", Since: 242, Reason: "no setuid files left behind"},
		{Directive: "LockPersonality", Value: "yes", Since: 235, Reason: "no odd execution domains"},
	}
}

func strict() []Line {
	lines := []Line{
		{Directive: "NoNewPrivileges", Value: "yes", Reason: "no setuid program can make it more than it is"},
		{Directive: "CapabilityBoundingSet", Value: "", Reason: "no capabilities, whatever it runs"},
		{
			Directive: "ProtectSystem", Value: "strict", Since: 232, Reason: "everything but its own directories is read-only",
			Older: &Line{Directive: "ProtectSystem", Value: "full", Since: 214, Reason: "the system's programs and configuration are read-only"},
		},
	}
	lines = append(lines, common()...)
	return append(lines,
		Line{Directive: "PrivateUsers", Value: "yes", Since: 232, Reason: "a user namespace of its own: other users' ids mean nothing in it"},
		Line{Directive: "PrivateMounts", Value: "yes", Since: 239, Reason: "mounts stay inside"},
		Line{Directive: "PrivateIPC", Value: "yes", Since: 248, Reason: "no shared memory of others"},
		Line{Directive: "ProtectProc", Value: "invisible", Since: 247, Reason: "other users' processes are out of sight"},
		// AF_NETLINK lists network interfaces, as os.networkInterfaces() and net.Interfaces do.
		Line{Directive: "RestrictAddressFamilies", Value: "AF_UNIX AF_INET AF_INET6 AF_NETLINK", Since: 211, Reason: "only the network as everybody uses it"},
		Line{Directive: "RestrictNamespaces", Value: "yes", Since: 233, Reason: "no containers inside"},
		Line{Directive: "MemoryDenyWriteExecute", Value: "yes", Since: 231, Reason: "no code made at run time"},
		Line{Directive: "SystemCallArchitectures", Value: "native", Since: 209, Reason: "no 32-bit system calls, which the filter sees differently"},
		Line{
			Directive: "SystemCallFilter", Value: "@system-service", Since: 239, Reason: "only the system calls services use",
			Older: &Line{Directive: "SystemCallFilter", Value: "~@clock @cpu-emulation @debug @module @mount @obsolete @raw-io", Since: 231, Reason: "no system calls of administration"},
		},
		Line{Directive: "SystemCallFilter", Value: "~@privileged @resources", Since: 239, Reason: "no system calls that need root or change priorities"},
		// Older versions count prlimit64 as @resources; libuv aborts when it cannot read its stack limit.
		Line{Directive: "SystemCallFilter", Value: "prlimit64", Since: 239, Reason: "it may read its own limits"},
		Line{Directive: "SystemCallErrorNumber", Value: "EPERM", Since: 209, Reason: "a refused system call is an error, not a kill"},
	)
}
