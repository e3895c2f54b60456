package unit

import "slices"

// Directive is one of systemd's settings, as far as this program writes it
// itself.
type Directive struct {
	Section  string
	Name     string
	Since    int    // the first systemd version that knows it here; 0: older than any we write for
	Replaces string // what did the same before Since, as "Section.Name"; "": nothing did
	List     bool   // assignments add up, and an empty one takes them back
}

// Lookup finds a directive. The versions are those of systemd's NEWS.
func Lookup(section, name string) (Directive, bool) {
	for _, d := range directives() {
		if d.Section == section && d.Name == name {
			return d, true
		}
	}
	return Directive{}, false
}

// Known reports whether systemd of that version knows the directive; version 0
// is the newest. A directive that is not in the table counts as known.
func (d Directive) Known(version int) bool { return version == 0 || version >= d.Since }

func directives() []Directive {
	return slices.Concat(unitDirectives(), serviceDirectives(), directoryDirectives(), sandboxDirectives(), socketDirectives())
}

func unitDirectives() []Directive {
	return []Directive{
		{Section: "Unit", Name: "Description"},
		{Section: "Unit", Name: "After", List: true},
		{Section: "Unit", Name: "Before", List: true},
		{Section: "Unit", Name: "Wants", List: true},
		{Section: "Unit", Name: "Requires", List: true},
		{Section: "Unit", Name: "AssertPathExists", Since: 218, Replaces: "Unit.ConditionPathExists", List: true},
		{Section: "Unit", Name: "ConditionPathExists", List: true},
		{Section: "Unit", Name: "StartLimitIntervalSec", Since: 230, Replaces: "Service.StartLimitInterval"},
		{Section: "Unit", Name: "StartLimitBurst", Since: 229, Replaces: "Service.StartLimitBurst"},
		{Section: "Install", Name: "WantedBy", List: true},
	}
}

func serviceDirectives() []Directive {
	return []Directive{
		{Section: "Service", Name: "Type"},
		{Section: "Service", Name: "User"},
		{Section: "Service", Name: "Group"},
		{Section: "Service", Name: "WorkingDirectory"},
		{Section: "Service", Name: "Environment", List: true},
		{Section: "Service", Name: "EnvironmentFile", List: true},
		{Section: "Service", Name: "PermissionsStartOnly"},
		{Section: "Service", Name: "ExecStartPre", List: true},
		{Section: "Service", Name: "ExecStart"}, // a list for Type=oneshot, which we write one of
		{Section: "Service", Name: "ExecReload", List: true},
		{Section: "Service", Name: "ExecStop", List: true},
		{Section: "Service", Name: "Restart"},
		{Section: "Service", Name: "RestartSec"},
		{Section: "Service", Name: "TimeoutStartSec"},
		{Section: "Service", Name: "TimeoutStopSec"},
		{Section: "Service", Name: "StartLimitInterval"},
		{Section: "Service", Name: "NonBlocking"},
		{Section: "Service", Name: "SyslogIdentifier"},
		{Section: "Service", Name: "UMask"},
		{Section: "Service", Name: "LimitNOFILE"},
		{Section: "Service", Name: "LimitCORE"},
	}
}

func directoryDirectives() []Directive {
	return []Directive{
		{Section: "Service", Name: "RuntimeDirectory", Since: 211, List: true},
		{Section: "Service", Name: "RuntimeDirectoryMode", Since: 211},
		{Section: "Service", Name: "RuntimeDirectoryPreserve", Since: 235},
		{Section: "Service", Name: "ConfigurationDirectory", Since: 235, List: true},
		{Section: "Service", Name: "ConfigurationDirectoryMode", Since: 235},
		{Section: "Service", Name: "LogsDirectory", Since: 235, List: true},
		{Section: "Service", Name: "LogsDirectoryMode", Since: 235},
		{Section: "Service", Name: "StateDirectory", Since: 235, List: true},
		{Section: "Service", Name: "StateDirectoryMode", Since: 235},
		{Section: "Service", Name: "CacheDirectory", Since: 235, List: true},
		{Section: "Service", Name: "CacheDirectoryMode", Since: 235},
		{Section: "Service", Name: "ReadWritePaths", Since: 231, Replaces: "Service.ReadWriteDirectories", List: true},
		{Section: "Service", Name: "BindPaths", Since: 233, List: true},
	}
}

func sandboxDirectives() []Directive {
	return []Directive{
		{Section: "Service", Name: "NoNewPrivileges", Since: 187},
		{Section: "Service", Name: "CapabilityBoundingSet", List: true},
		{Section: "Service", Name: "AmbientCapabilities", Since: 229, List: true},
		{Section: "Service", Name: "PrivateTmp"},
		{Section: "Service", Name: "PrivateDevices", Since: 209},
		{Section: "Service", Name: "PrivateUsers", Since: 232},
		{Section: "Service", Name: "PrivateMounts", Since: 239},
		{Section: "Service", Name: "PrivateIPC", Since: 248},
		{Section: "Service", Name: "ProtectSystem", Since: 214},
		{Section: "Service", Name: "ProtectHome", Since: 214},
		{Section: "Service", Name: "ProtectKernelTunables", Since: 232},
		{Section: "Service", Name: "ProtectKernelModules", Since: 232},
		{Section: "Service", Name: "ProtectKernelLogs", Since: 244},
		{Section: "Service", Name: "ProtectControlGroups", Since: 232},
		{Section: "Service", Name: "ProtectClock", Since: 245},
		{Section: "Service", Name: "ProtectHostname", Since: 242},
		{Section: "Service", Name: "ProtectProc", Since: 247},
		{Section: "Service", Name: "RestrictAddressFamilies", Since: 211, List: true},
		{Section: "Service", Name: "RestrictNamespaces", Since: 233},
		{Section: "Service", Name: "RestrictRealtime", Since: 231},
		{Section: "Service", Name: "RestrictSUIDSGID", Since: 242},
		{Section: "Service", Name: "LockPersonality", Since: 235},
		{Section: "Service", Name: "MemoryDenyWriteExecute", Since: 231},
		{Section: "Service", Name: "SystemCallArchitectures", Since: 209, List: true},
		{Section: "Service", Name: "SystemCallFilter", Since: 187, List: true},
		{Section: "Service", Name: "SystemCallErrorNumber", Since: 209},
	}
}

func socketDirectives() []Directive {
	return []Directive{
		{Section: "Socket", Name: "ListenStream", List: true},
		{Section: "Socket", Name: "SocketMode"},
		{Section: "Socket", Name: "SocketUser", Since: 214},
		{Section: "Socket", Name: "SocketGroup", Since: 214},
		{Section: "Socket", Name: "Backlog"},
		{Section: "Socket", Name: "Service"},
		{Section: "Socket", Name: "TriggerLimitIntervalSec", Since: 230},
		{Section: "Socket", Name: "TriggerLimitBurst", Since: 230},
	}
}
