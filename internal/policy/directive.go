package policy

import (
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// never reports whether no policy may let a manifest pass a directive through: with
// it anything could be run as root, or as another account.
func never(name string) bool {
	return strings.HasPrefix(name, "Exec") || slices.Contains(strings.Fields(`User Group DynamicUser SupplementaryGroups PAMName
		Alias Service Sockets Unit RootImage RootDirectory RootImagePolicy MountImages ExtensionImages ExtensionDirectories BusName PIDFile
		StandardInput StandardOutput StandardError TTYPath FailureAction SuccessAction StartLimitAction JobTimeoutAction`), name)
}

// harmlessLines are directives that change nothing but how the app itself fares, by
// section. They may be passed through.
var harmlessLines = map[string]string{
	"Unit": `Description Documentation After Before AssertPathExists ConditionPathExists ConditionPathIsDirectory
		ConditionPathExistsGlob ConditionFileNotEmpty ConditionDirectoryNotEmpty ConditionVirtualization ConditionArchitecture
		ConditionHost ConditionMemory ConditionCPUs StartLimitIntervalSec StartLimitInterval StartLimitBurst RequiresMountsFor
		CollectMode DefaultDependencies StopWhenUnneeded RefuseManualStart JobTimeoutSec JobRunningTimeoutSec SourcePath`,
	"Service": `Type ExitType RemainAfterExit GuessMainPID Restart RestartSec RestartSteps RestartMaxDelaySec RestartMode
		TimeoutSec TimeoutStartSec TimeoutStopSec TimeoutAbortSec TimeoutStartFailureMode TimeoutStopFailureMode RuntimeMaxSec
		RuntimeRandomizedExtraSec WatchdogSec SuccessExitStatus RestartPreventExitStatus RestartForceExitStatus NonBlocking
		NotifyAccess FileDescriptorStoreMax OOMPolicy ReloadSignal
		KillMode KillSignal RestartKillSignal SendSIGHUP SendSIGKILL FinalKillSignal WatchdogSignal
		Environment UnsetEnvironment UMask SyslogIdentifier SyslogFacility SyslogLevel SyslogLevelPrefix LogLevelMax LogExtraFields
		LogRateLimitIntervalSec LogRateLimitBurst LogFilterPatterns
		LimitCPU LimitFSIZE LimitDATA LimitSTACK LimitCORE LimitRSS LimitNOFILE LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS
		LimitSIGPENDING LimitMSGQUEUE
		CPUAccounting CPUWeight StartupCPUWeight CPUQuota CPUQuotaPeriodSec CPUShares AllowedCPUs MemoryAccounting MemoryMin MemoryLow
		MemoryHigh MemoryMax MemorySwapMax MemoryZSwapMax MemoryLimit TasksAccounting TasksMax IOAccounting IOWeight StartupIOWeight
		IPAccounting IPAddressAllow IPAddressDeny ProcSubset ManagedOOMSwap ManagedOOMMemoryPressure ManagedOOMMemoryPressureLimit ManagedOOMPreference
		Nice OOMScoreAdjust CoredumpFilter IgnoreSIGPIPE TimerSlackNSec CPUSchedulingPolicy IOSchedulingClass IOSchedulingPriority
		RuntimeDirectoryMode RuntimeDirectoryPreserve StateDirectoryMode CacheDirectoryMode LogsDirectoryMode ConfigurationDirectoryMode
		InaccessiblePaths ReadOnlyPaths NoExecPaths RemoveIPC KeyringMode MountAPIVFS PrivateNetwork`,
	"Socket": `Backlog KeepAlive KeepAliveTimeSec KeepAliveIntervalSec KeepAliveProbes NoDelay Priority DeferAcceptSec
		ReceiveBuffer SendBuffer IPTOS IPTTL ReusePort FreeBind Transparent BindIPv6Only FileDescriptorName MaxConnections
		MaxConnectionsPerSource TriggerLimitIntervalSec TriggerLimitBurst PollLimitIntervalSec PollLimitBurst RemoveOnStop
		TimeoutSec SocketMode DirectoryMode FlushPending TCPCongestion`,
	"Timer": `OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec OnCalendar AccuracySec RandomizedDelaySec
		RandomizedOffsetSec FixedRandomDelay DeferReactivation OnClockChange OnTimezoneChange Persistent RemainAfterElapse`,
}

// harmless reports whether a directive may be passed through by anybody.
func harmless(section, name string) bool {
	return slices.Contains(strings.Fields(harmlessLines[section]), name)
}

// look is one unit that is being looked at.
type look struct {
	rules *Rules
	file  *unit.File
	unit  string
}

// nspawn reports whether the unit runs a machine, which the policy allows.
func (l *look) nspawn() bool {
	start := all(l.file, "ExecStart")
	return l.rules.Nspawn && len(start) == 1 && strings.HasPrefix(start[0], "/usr/bin/systemd-nspawn ")
}

// relay reports whether the unit holds the public address of the app: this program, as
// an account that exists no longer than it does.
func (l *look) relay() bool {
	n, plain := l.execs()
	dynamic := all(l.file, "DynamicUser")
	if !strings.HasSuffix(l.unit, "-relay.service") || !plain || n == 0 || len(dynamic) != 1 || dynamic[0] != "yes" {
		return false
	}
	for _, s := range l.file.Sections {
		for _, o := range s.Options {
			words, err := unit.Words(o.Value)
			if strings.HasPrefix(o.Name, "Exec") && (err != nil || len(words) < 2 || !strings.HasPrefix(words[0], "/") || path.Base(words[0]) != "landfast" || words[1] != "relay") {
				return false
			}
		}
	}
	return true
}

// refuses says why a line may not be in a unit of the app, or "". Lines that it does
// not know are refused.
func (l *look) refuses(section string, o unit.Option) string {
	if harmless(section, o.Name) {
		return ""
	}
	if strings.HasPrefix(o.Name, "Exec") && section == "Service" {
		return command(o.Value)
	}
	if section == "Service" {
		return l.service(o)
	}
	return l.elsewhere(section, o)
}

// elsewhere looks at lines of other sections than [Service].
func (l *look) elsewhere(section string, o unit.Option) string {
	r := l.rules
	switch section + "." + o.Name {
	case "Unit.Wants", "Unit.Requires", "Unit.BindsTo", "Unit.PartOf", "Unit.Requisite":
		return l.words(o.Value, "a unit that it may start (units)", func(w string) bool { return r.ownUnit(w) || slices.Contains(r.Units, w) })
	case "Socket.Service", "Timer.Unit", "Path.Unit", "Unit.JoinsNamespaceOf":
		return l.words(o.Value, "a unit of the app", r.ownUnit)
	case "Unit.Conflicts":
		return unless(o.Value == "shutdown.target", "what may stop others")
	case "Install.WantedBy", "Install.RequiredBy", "Install.Also":
		return l.words(o.Value, "a unit of the app or of the boot", func(w string) bool {
			return r.ownUnit(w) || slices.Contains(strings.Fields("multi-user.target sockets.target timers.target default.target"), w)
		})
	case "Socket.ListenStream":
		return l.words(o.Value, "an address that it may have (ports, base)", func(w string) bool { return r.mayListen(plain(w)) })
	case "Socket.SocketUser":
		return unless(o.Value == "root" || slices.Contains(r.Users, o.Value), "not an account of the app (users)")
	case "Socket.SocketGroup":
		return "" // who may connect, as SocketMode
	case "Path.PathExists", "Path.PathChanged", "Path.PathModified", "Path.MakeDirectory":
		return l.words(o.Value, "a place of the app", func(w string) bool { return r.ownPath(plain(w)) })
	}
	return l.other(o)
}

// service looks at lines of [Service] that reach out of the app.
func (l *look) service(o unit.Option) string {
	r := l.rules
	own := func(w string) bool { return r.ownPath(plain(strings.TrimLeft(w, "-+"))) }
	switch o.Name {
	case "User", "Group":
		return "" // looked at by account
	case "DynamicUser":
		return unless(o.Value == "yes", "only yes")
	case "SupplementaryGroups":
		return l.words(o.Value, "a group of the app (groups)", func(w string) bool { return slices.Contains(r.Groups, w) })
	case "Sockets":
		return l.words(o.Value, "a unit of the app", r.ownUnit)
	case "WorkingDirectory":
		return l.words(o.Value, "a place of the app", own)
	case "EnvironmentFile":
		return l.words(o.Value, "a place of the app", func(w string) bool { return own(w) || r.settings(plain(strings.TrimLeft(w, "-"))) })
	case "LoadCredential", "LoadCredentialEncrypted":
		_, file, _ := strings.Cut(o.Value, ":")
		return unless(r.settings(plain(file)), "only what root has fetched for the app")
	case "ReadWritePaths":
		return l.words(o.Value, "a place of the app", own)
	case "RuntimeDirectory", "StateDirectory", "CacheDirectory", "LogsDirectory", "ConfigurationDirectory":
		return l.words(o.Value, "a directory of the app (names)", func(w string) bool {
			first, _, _ := strings.Cut(w, "/")
			return slices.Contains(r.Names, plain(first)) && !strings.Contains(w+"/", "/../")
		})
	}
	return l.reach(o, own)
}

// reach looks at lines of [Service] that show it something of the host.
func (l *look) reach(o unit.Option, own func(string) bool) string {
	r := l.rules
	switch o.Name {
	case "BindPaths":
		return l.words(o.Value, "a place of the app", func(w string) bool {
			return !slices.ContainsFunc(strings.Split(w, ":"), func(p string) bool { return p != "rbind" && p != "norbind" && !own(p) })
		})
	case "BindReadOnlyPaths", "RootDirectory":
		if l.relay() && o.Value == "/var/lib/landfast/"+r.App+"/traffic:/run/landfast-target" {
			return ""
		}
		return unless(r.Chroot, "a chroot is not allowed (chroot)")
	case "StandardOutput", "StandardError":
		_, file, isFile := strings.Cut(o.Value, ":")
		if slices.Contains([]string{"journal", "null", "inherit"}, o.Value) {
			return ""
		}
		// Of the environment command: root's directory, in which the app writes no name.
		return unless(isFile && (strings.HasPrefix(file, "/run/") && r.ownPath(plain(file)) && strings.HasSuffix(file, "-environment/environment")), "root would open it")
	case "AmbientCapabilities":
		return unless(r.capabilities(o.Value), "not allowed (capabilities)")
	case "Slice", "Delegate":
		if l.nspawn() {
			return ""
		}
	}
	return l.profile(o)
}

// profile looks at lines of the sandbox: they say what a profile says.
func (l *look) profile(o unit.Option) string {
	r := l.rules
	if slices.Contains(r.Directives, o.Name) && !never(o.Name) {
		return ""
	}
	switch {
	case o.Name == "CapabilityBoundingSet" && r.capabilities(o.Value):
		return ""
	case o.Name == "ProtectHome" && o.Value == "read-only":
		return ""
	case o.Name == "SystemCallFilter" && l.again(o.Value):
		return ""
	case o.Name == "RestrictAddressFamilies" && l.relay():
		return ""
	case l.unitOfFlag() && slices.Contains(strings.Fields("CapabilityBoundingSet RestrictAddressFamilies ProtectHome PrivateTmp"), o.Name):
		return ""
	}
	return l.ofProfile(o)
}

// ofProfile says why a line says something else than the profiles do, or "".
func (l *look) ofProfile(o unit.Option) string {
	known := false
	for _, line := range profileLines(l.nspawn()) {
		if line.Directive != o.Name {
			continue
		}
		known = true
		if line.Value == o.Value {
			return ""
		}
	}
	if known {
		return "that is not what the sandbox says (sandbox, allow)"
	}
	return "not allowed (directives)"
}

func (l *look) unitOfFlag() bool { return l.rules.harmlessRoot(l) }

// again reports whether a filter of system calls takes away, or gives back only what
// the policy lets be given back.
func (l *look) again(value string) bool {
	if rest, deny := strings.CutPrefix(value, "~"); deny {
		return rest != ""
	}
	var may []string
	for _, a := range unit.Allowances() {
		if l.rules.Sandbox == "none" || slices.Contains(l.rules.Allow, a.Name) {
			may = append(may, a.Refilter...)
		}
	}
	words := strings.Fields(value)
	return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(may, w) })
}

// profileLines are the lines of the profiles, with what stands in on older systems.
func profileLines(machine bool) []unit.Line {
	var lines []unit.Line
	for _, name := range floors {
		of, err := unit.Profile(name)
		if machine {
			of, err = unit.MachineProfile(name)
		}
		if err != nil {
			continue
		}
		for _, l := range of {
			lines = append(lines, l)
			for older := l.Older; older != nil; older = older.Older {
				lines = append(lines, *older)
			}
		}
	}
	return lines
}

// other is for lines outside of [Service] that nothing is known of.
func (l *look) other(o unit.Option) string {
	if slices.Contains(l.rules.Directives, o.Name) && !never(o.Name) {
		return ""
	}
	return "not allowed (directives)"
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// words checks each word of a value.
func (l *look) words(value, what string, ok func(string) bool) string {
	words, err := unit.Words(value)
	if err != nil {
		return err.Error()
	}
	for _, w := range words {
		if !ok(w) {
			return w + " is not " + what
		}
	}
	return ""
}

// command says why a command is run with more than the account's rights, or "". The
// prefix may stand within quotes.
func command(value string) string {
	words, err := unit.Words(value)
	if err != nil {
		return err.Error()
	}
	start := true // of a command; several may stand in one line, behind ";"
	for _, w := range words {
		if start {
			prefix := w[:len(w)-len(strings.TrimLeft(w, "-@:+!|"))]
			if strings.ContainsAny(prefix, "+!|") {
				return "it would run with root's rights"
			}
		}
		start = w == ";"
	}
	return ""
}
