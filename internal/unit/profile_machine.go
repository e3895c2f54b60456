package unit

// MachineProfile gives the lines for a unit that runs systemd-nspawn(1). That
// needs root, mounts, namespaces and most capabilities; systemd-nspawn itself
// takes them away from what runs inside. What it has no use for is taken here.
func MachineProfile(name string) ([]Line, error) {
	if _, err := Profile(name); err != nil || name == "none" {
		return nil, err
	}
	return []Line{
		{
			Directive: "CapabilityBoundingSet", Value: "~CAP_SYS_MODULE CAP_SYS_TIME CAP_SYS_RAWIO CAP_SYSLOG CAP_WAKE_ALARM CAP_MAC_ADMIN CAP_MAC_OVERRIDE",
			Reason: "nothing of the kernel's own, and no clock",
		},
		{Directive: "DevicePolicy", Value: "closed", Reason: "no hardware but what a machine has"},
		{Directive: "DeviceAllow", Value: "/dev/net/tun rwm", Reason: "network interfaces of its own"},
		{Directive: "DeviceAllow", Value: "char-pts rw", Reason: "terminals"},
		{Directive: "LockPersonality", Value: "yes", Since: 235, Reason: "no odd execution domains"},
		{Directive: "RestrictRealtime", Value: "yes", Since: 231, Reason: "no scheduling that can starve the machine"},
		{Directive: "SystemCallArchitectures", Value: "native", Since: 209, Reason: "no 32-bit system calls, which the filter sees differently"},
		{Directive: "SystemCallFilter", Value: "~@clock @module @raw-io @swap", Since: 231, Reason: "no system calls that change the kernel or its clock"},
		{Directive: "SystemCallErrorNumber", Value: "EPERM", Since: 209, Reason: "a refused system call is an error, not a kill"},
	}, nil
}
