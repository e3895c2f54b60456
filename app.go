package landfast

import "time"

// App is what a manifest describes, with every default filled in, every
// reference resolved and every path absolute. It is a value: nothing in it
// depends on the machine it will run on.
type App struct {
	Name        string // also the main unit, the user and the directories, unless renamed
	Description string
	Stack       string // the preset that filled in what the manifest left out; "": none
	User        string // whom the services run as
	Group       string
	DeployUser  string // who owns the releases; the app cannot write them
	Paths       Paths
	Services    []Service // the first is the main one; its unit is NAME.service
	Env         []Var     // in manifest order
	EnvFiles    []EnvFile // later files override earlier ones, files override Env (systemd.exec(5))
	Dirs        []Dir     // in the order of DirKinds
	Health      Health
	Hooks       Hooks
	Commands    []NamedCommand // in manifest order
	Cutover     Cutover
	Source      Source
	Releases    Retention
	Sandbox     Sandbox
	Systemd     []Directive // the [systemd.*] tables, for the main service and its socket
	Manifest    string      // the text this was read from, kept with each release

	// DynamicUser lets systemd make the account up while a service runs
	// (systemd.exec(5)); User is its name then, and no account is made for it.
	DynamicUser bool
	// Before is a command whose output becomes variables of every service: cloud
	// instance data, a cookie, an address. Nil: none.
	Before *EnvironmentCommand
	// Chroot gives the services a root directory of their own. Nil: the host's.
	Chroot *Chroot
	// Secrets reach the services as credentials of systemd, in manifest order.
	Secrets []Secret
	// Parameters are paths of AWS Systems Manager. What is below them becomes
	// variables of the services.
	Parameters []string
	// Config are files of configuration that come from elsewhere. Nil: none.
	Config *RemoteConfig
	// Build is how what was fetched becomes a release. Nil: it is one.
	Build *Build `json:",omitempty"`
	// Grants are the ways in which the deploy user may start and stop the units
	// without being root: "sudoers", "polkit".
	Grants []string
}

// EnvironmentCommand is a oneshot unit that runs before the services and writes
// NAME=value lines on its standard output, which become their environment.
type EnvironmentCommand struct {
	Unit    string // web-environment.service
	Command Command
	After   []string
	File    string // where the lines are kept: /run/web-environment/environment
}

// Chroot is a root directory for the services, made of binds: programs and
// libraries are the host's own, so that its updates reach them.
type Chroot struct {
	Root string // RootDirectory=
	// ReadOnly and ReadWrite are host paths bound at the same place: /usr, /lib,
	// ... A "-" in front of one means that it may be absent on the host.
	ReadOnly     []string
	ReadWrite    []string
	Inaccessible []string // paths inside that nobody may enter
}

// Main is the service whose health decides a deployment.
func (a *App) Main() *Service { return &a.Services[0] }

// Paths are the absolute paths of an app.
type Paths struct {
	Base     string // /srv
	Deploy   string // Base/NAME
	Releases string // Deploy/releases
	Current  string // Deploy/current, a symbolic link
	Bin      string // Deploy/bin
	Flags    string // Deploy/flags
	Shared   string // Deploy/shared, data kept over releases
	Working  string // Current, unless said otherwise
	// Settings is a link to the set of secrets that counts:
	// /var/lib/landfast/NAME/settings/current.
	Settings string
}

// Service is one process of an app: one service unit, perhaps with a socket.
type Service struct {
	Unit         string // with its suffix: web.service
	Type         string // simple, exec, notify, forking, oneshot
	Command      Command
	BeforeStart  []Command
	Stop         *Command // nil: SIGTERM, as systemd does
	Reload       *Command
	Restart      string        // systemd's Restart=: always, on-failure, no, ...
	RestartDelay time.Duration // RestartSec=
	StartTimeout time.Duration // TimeoutStartSec=; 0: systemd's default
	StopTimeout  time.Duration // TimeoutStopSec=; 0: systemd's default
	After        []string
	Wants        []string
	Requires     []string
	LimitNOFILE  int    // 0: not set
	LimitCORE    string // "": not set
	Umask        string // octal, "0027"
	Identifier   string // SyslogIdentifier=
	Socket       *Socket
	Kind         ServiceKind
	Env          []Var       // besides those of the app, which they override
	Systemd      []Directive // for a service that is not the main one: its own pass-through
	Timer        *Timer      // it is started by a timer, and not at boot; Type is oneshot
	// Instances makes it a template: Unit is web-worker@.service and each instance
	// is one name behind the @. In its commands and variables InstanceMark stands
	// for that name.
	Instances []string
	Working   string // WorkingDirectory=; "": Paths.Working
	// RestartFlag is a file; whoever may touch it may restart the service. "": none.
	RestartFlag string
	// Machine is what a service of kind nspawn boots.
	Machine *Machine
	// Overlap: each release runs as a unit of its own, web@ID.service, so that at a
	// cutover the new one starts before the old one is stopped. Unit is then an
	// anchor that stands for whichever release is current. False: one unit, in which
	// the old release is stopped before the new one starts.
	Overlap bool
}

// InstanceMark stands for the name of the instance (systemd's %i) in the texts of
// a service with Instances. No text of a manifest can hold it otherwise.
const InstanceMark = "\x00"

// ServiceKind is what a service runs.
type ServiceKind string

// The kinds of service.
const (
	KindProcess ServiceKind = ""       // a command
	KindNspawn  ServiceKind = "nspawn" // the release is a root file system, run by systemd-nspawn(1)
)

// RootFS is the directory of a release that holds the root file system of a
// service of kind nspawn. The release around it keeps the users of the host out,
// whom files that are setuid inside are not for.
const RootFS = "rootfs"

// Machine is how a root file system is run.
type Machine struct {
	PrivateUsers   bool     // --private-users=pick
	PrivateNetwork bool     // else the host's
	Boot           bool     // run its init; else Command inside it
	Binds          []string // --bind=, HOST[:INSIDE]
	ReadOnlyBinds  []string
}

// Timer is when a service is started (systemd.timer(5)).
type Timer struct {
	Unit        string        // web-backup.timer
	Calendar    []string      // OnCalendar=
	Every       time.Duration // OnUnitActiveSec=, and once soon after boot; 0: not set
	Persistent  bool          // catch up after the machine was off
	RandomDelay time.Duration
}

// Command is a program and its arguments, as the process must receive them.
type Command struct {
	Prefix string   // any of systemd's "-", "+", "!", "!!", "@" is refused where it makes no sense
	Argv   []string // Argv[0] is absolute, or a bare name that systemd finds on its path
}

// Socket is a socket that systemd holds for a service.
type Socket struct {
	Unit   string   // web.socket
	Listen []string // systemd's ListenStream=: "8080", "127.0.0.1:8080", "[::]:80", "/run/web.sock"
	Mode   string   // of UNIX sockets, octal
	User   string
	Group  string
	// Backlog is the queue that waits while the service restarts; 0: systemd's default.
	Backlog int
}

// Var is one environment variable.
type Var struct{ Name, Value string }

// EnvFile is a file of variables that systemd reads when the service starts.
type EnvFile struct {
	Path     string
	Optional bool // no error when it is absent
}

// DirKind is one of the directories systemd keeps for a service.
type DirKind string

// The kinds of directory, in the order they are rendered.
const (
	RuntimeDir       DirKind = "runtime"       // /run
	ConfigurationDir DirKind = "configuration" // /etc
	LogsDir          DirKind = "logs"          // /var/log
	StateDir         DirKind = "state"         // /var/lib
	CacheDir         DirKind = "cache"         // /var/cache
	TmpDir           DirKind = "tmp"           // /var/tmp
)

// Dir is a directory the app may use, named to it in the variable Env.
type Dir struct {
	Kind     DirKind
	Base     string // /run, /etc, ...
	Name     string // below Base
	Path     string // Base/Name
	Mode     string // octal, "0750"
	Env      string // RUNTIME_DIR, ...
	Preserve string // RuntimeDirectoryPreserve=: "", "yes", "restart"
}

// HealthKind says how an app is asked whether it is healthy.
type HealthKind string

// The kinds of health check.
const (
	HealthUnit HealthKind = "unit" // the unit is active and stays so for Grace
	HealthTCP  HealthKind = "tcp"
	HealthHTTP HealthKind = "http"
	HealthExec HealthKind = "exec"
)

// Health says when a new release counts as healthy. Every kind also fails at
// once when the unit dies.
type Health struct {
	Kind     HealthKind
	Target   string        // tcp: host:port or /socket; http: URL
	Socket   string        // http over a UNIX socket: its path
	Status   int           // http: the status wanted; 0: any of 200-399
	Body     string        // http: a text the body must contain
	Command  Command       // exec: healthy when it exits 0
	Grace    time.Duration // before the first check; kind unit: how long it must stay up
	Interval time.Duration // between checks
	Timeout  time.Duration // of everything together
	Watch    time.Duration // behind the commit: how long the release is watched, and rolled back if it goes bad
}

// Hooks are commands that belong to a deployment, each an argument list run as
// the app's user in the environment of its main unit.
type Hooks struct {
	Migrate []Command // before the cutover; a failure ends the deployment
	After   []Command // behind the point of no return; a failure is only reported
	// Irreversible: what Migrate does cannot be taken back, so that no rollback leads
	// behind a release that ran it.
	Irreversible bool
}

// BuildMark stands for the directory that is built in, in the programs of a Build.
const BuildMark = "/build"

// Build is how what was fetched becomes a release: commands, one after the other, in
// a sandbox of their own.
type Build struct {
	Steps   []Command
	Env     []Var
	Output  string        // the directory that becomes the release; ".": all
	Timeout time.Duration // of all steps together
	Memory  int64         // bytes
	Network bool
}

// NamedCommand is a command that people run by its name: a console, a migration.
type NamedCommand struct {
	Name    string
	Command Command
}

// Strategy is how traffic moves from the old release to the new one.
type Strategy string

// The strategies.
const (
	StrategyRestart Strategy = "restart" // stop the old, start the new; with a socket, requests wait meanwhile
	StrategyHandoff Strategy = "handoff" // both take from one socket that systemd holds; then the old one drains
	StrategySteer   Strategy = "steer"   // each on a port of its own; the kernel moves the public port
	StrategyRelay   Strategy = "relay"   // each on a port of its own; `landfast relay` holds the public port
)

// Instanced reports whether each release runs as a unit of its own beside the
// one it replaces.
func (s Strategy) Instanced() bool { return s != StrategyRestart }

// Ported reports whether each release listens on a private port of its own.
func (s Strategy) Ported() bool { return s == StrategySteer || s == StrategyRelay }

// Cutover says how the new release takes over.
type Cutover struct {
	Strategy Strategy
	Listen   []string      // steer, relay: the public addresses; a port alone is all addresses
	Drain    time.Duration // how long the old release may take to finish what it has
	Rehearse bool          // handoff: start the new release on a private socket first, and probe it there
	Smoke    []Smoke       // requests that must be answered well before any traffic arrives
	Proxy    string        // relay: "", "v1" or "v2", the PROXY protocol towards the app
}

// Smoke is one request to a release that has no traffic yet.
type Smoke struct {
	Path   string
	Status int // the status wanted
}

// SourceKind is where a release comes from.
type SourceKind string

// The kinds of source.
const (
	SourceDir     SourceKind = "dir"
	SourceArchive SourceKind = "archive"
	SourceGit     SourceKind = "git"
	SourcePackage SourceKind = "package" // a package of the distribution; nothing is installed
)

// Source names where a release comes from.
type Source struct {
	Kind     SourceKind // "": none named, `landfast deploy --from` must say
	Location string     // a path or a URL
	Revision string     // git: commit, tag or branch; package: its version, "": the newest
	Digest   string     // archive: "sha256:HEX"; required for https
	Strip    int        // archive: leading path components to drop
}

// Retention says what is kept and how large a release may be.
type Retention struct {
	Keep     int   // newest good releases; the current and the previous one stay in any case
	MaxBytes int64 // of one unpacked release
	MaxFiles int   // entries of one unpacked release
}

// Sandbox names the profile that takes powers away from the app.
type Sandbox struct {
	Profile string   // none, baseline, strict
	Allow   []string // names of lines of the profile that are left out: "jit", "network-families", ...
}

// Directive is one of systemd's own settings, passed through.
type Directive struct {
	Section string // Unit, Service, Socket, Install, Timer
	Name    string // CamelCase, as in systemd.directives(7)
	Value   string // "" resets a list
}
