package rootsvc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/systemd"
	sdunit "github.com/landfast/landfast/internal/unit"
)

// BuildUser is whom builds run as.
const BuildUser = "landfast-build"

// doneSuffix ends the name of what was built whole; no delivery has it in its name.
const doneSuffix = "~"

// BuildUnit is the transient unit that builds of an app run in.
func BuildUnit(app string) string { return "landfast-" + app + "-build.service" }

// Build copies incoming/ID to where the worker cannot reach, gives it to the build
// account and runs the steps there, in a unit of their own. One build runs at a time on
// a host, as all run as the same account.
func (d *Direct) Build(ctx context.Context, r Request, w Watch) error {
	r.Verb = VerbBuild
	rules, _, err := d.rules(r)
	if err != nil {
		return err
	}
	state, err := d.Engine.State(r.App)
	if err != nil {
		return err
	}
	defer state.Close()
	incoming, err := openIncoming(state, r.Incoming)
	if err != nil {
		return err
	}
	defer incoming.Close()
	app, err := d.manifest(incoming, rules)
	if err != nil || app.Build == nil {
		return err
	}
	switch {
	case !rules.Build:
		return invalid("the policy of this host lets app %s build nothing (build)", r.App)
	case app.Build.Network && !rules.BuildNetwork:
		return invalid("the policy of this host gives builds of app %s no network (build_network)", r.App)
	}
	unlock, err := d.oneBuild(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.prepare(ctx, state, incoming, app, r); err != nil {
		return errors.Join(err, state.RemoveAll(builtDir+"/"+r.Incoming))
	}
	if err := d.runSteps(ctx, app, r, w); err != nil {
		return one(errors.Join(err, state.RemoveAll(builtDir+"/"+r.Incoming)))
	}
	if err := state.Rename(builtDir+"/"+r.Incoming, builtDir+"/"+r.Incoming+doneSuffix); err != nil {
		return fmt.Errorf("keep what was built: %w", err)
	}
	return nil
}

// oneBuild waits until no other build runs on the host. The lock ends with the process.
func (d *Direct) oneBuild(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(d.StateDir, "build.lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock builds: %w", err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock builds: %w", err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-tick.C:
		}
	}
}

// prepare makes built/ID, a copy of incoming/ID that belongs to the build account.
func (d *Direct) prepare(ctx context.Context, state, incoming *os.Root, app *landfast.App, r Request) error {
	if err := discardBuilt(state); err != nil {
		return err
	}
	if err := state.MkdirAll(builtDir+"/"+r.Incoming, 0o700); err != nil {
		return fmt.Errorf("make a directory for the build: %w", err)
	}
	artifact, err := opener(incoming, r.Origin, r.Incoming)(ctx, app, source.Options{
		Limits: tree.Limits{Bytes: app.Releases.MaxBytes, Files: app.Releases.MaxFiles},
	})
	if err != nil {
		return err
	}
	defer func() { _ = artifact.Close() }() // it was read only
	into, err := state.OpenRoot(builtDir + "/" + r.Incoming)
	if err != nil {
		return err
	}
	defer into.Close()
	if _, err := artifact.Unpack(ctx, into); err != nil {
		return err
	}
	uid, gid, err := d.Builder()
	if err != nil {
		return err
	}
	return give(into, uid, gid)
}

// discardBuilt removes what former builds left: whoever had them built is gone.
func discardBuilt(state *os.Root) error {
	if err := state.RemoveAll(builtDir); err != nil {
		return fmt.Errorf("remove a former build: %w", err)
	}
	return nil
}

// give makes a tree that only root can reach somebody's.
func give(dir *os.Root, uid, gid int) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, name := range names {
		info, err := dir.Lstat(name)
		if err != nil {
			return err
		}
		if info.IsDir() {
			below, err := dir.OpenRoot(name)
			if err != nil {
				return err
			}
			if err := errors.Join(give(below, uid, gid), below.Close()); err != nil {
				return err
			}
			continue
		}
		if err := dir.Lchown(name, uid, gid); err != nil {
			return err
		}
	}
	return dir.Chown(".", uid, gid)
}

// runSteps runs the steps in a unit of their own and waits for its end.
func (d *Direct) runSteps(ctx context.Context, app *landfast.App, r Request, w Watch) error {
	version, err := d.Systemd(ctx)
	if err != nil {
		return err
	}
	out := &lines{tell: w.log}
	directives, done, err := d.Attach(out)
	if err != nil {
		return err
	}
	text, err := buildText(app, d.StateDir+"/"+r.App+"/"+builtDir+"/"+r.Incoming, version, directives)
	if err != nil {
		done()
		return err
	}
	st, err := d.Engine.Host.RunOnce(ctx, BuildUnit(r.App), text)
	done()
	out.end()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case st.Result == "success":
		return nil
	}
	why := systemd.Explain("failed", st)
	if st.Result == "timeout" {
		why = fmt.Sprintf("it took longer than %s", app.Build.Timeout)
	}
	return &landfast.Error{
		Kind: landfast.Invalid, Msg: fmt.Sprintf("the build of %s failed: %s", r.App, why), Hint: "the lines above say why",
	}
}

// buildText is the unit that runs the steps: as the build account, in its tree alone,
// with no more of the machine than programs and libraries.
func buildText(app *landfast.App, dir string, version int, directives []landfast.Directive) (string, error) {
	b := app.Build
	f := &sdunit.File{Comments: []string{"The build of app " + app.Name + ", removed when it has ended."}}
	f.Section("Unit").Add("Description", "Build of app "+app.Name)
	s := f.Section("Service")
	s.Add("Type", "oneshot")
	s.Add("User", BuildUser)
	s.Add("Group", BuildUser)
	path, err := sdunit.Path(dir)
	if err != nil {
		return "", err
	}
	bind, err := sdunit.PathList("", dir)
	if err != nil {
		return "", err
	}
	s.Add("WorkingDirectory", path)
	for _, v := range append([]landfast.Var{{Name: "HOME", Value: "/tmp"}, {Name: "CI", Value: "true"}}, b.Env...) {
		text, err := sdunit.Assignment(v.Name, v.Value)
		if err != nil {
			return "", fmt.Errorf("build.env.%s: %w", v.Name, err)
		}
		s.Add("Environment", text)
	}
	for _, c := range b.Steps {
		argv := slices.Clone(c.Argv)
		if rest, ok := strings.CutPrefix(argv[0], landfast.BuildMark+"/"); ok {
			argv[0] = dir + "/" + rest
		}
		text, err := sdunit.Command("", argv)
		if err != nil {
			return "", fmt.Errorf("build.steps: %w", err)
		}
		s.Add("ExecStart", text)
	}
	if err := buildSandbox(s, b, bind, version); err != nil {
		return "", err
	}
	for _, x := range directives {
		f.Section(x.Section).Add(x.Name, x.Value)
	}
	return f.Render()
}

// buildSandbox takes everything from a build but its tree and its share of the machine.
func buildSandbox(s *sdunit.Section, b *landfast.Build, bind string, version int) error {
	s.Add("TimeoutStartSec", strconv.FormatInt(int64(b.Timeout/time.Second), 10)+"s")
	s.Add("MemoryMax", strconv.FormatInt(b.Memory, 10))
	s.Add("MemorySwapMax", "0")
	s.Add("TasksMax", "4096")
	s.Add("CPUWeight", "20")
	s.Add("OOMScoreAdjust", "500")
	// systemd 247 makes the directories above a bind under it.
	s.Add("UMask", "0022")
	s.Add("KillMode", "control-group")
	// Its own tree is all it sees below /var/lib/landfast.
	s.Add("TemporaryFileSystem", "/var/lib/landfast")
	s.Add("BindPaths", bind)
	s.Add("InaccessiblePaths", "-/srv -/etc/landfast -/var/spool/landfast -/run/landfast -/run/dbus -/run/systemd/private")
	if !b.Network {
		s.Add("PrivateNetwork", "yes")
	}
	lines, err := sdunit.Profile("strict")
	if err != nil {
		return err
	}
	for _, l := range lines {
		now, ok := l.For(version)
		// Compilers make code; the tree is another user's in a user namespace.
		if ok && l.Directive != "MemoryDenyWriteExecute" && l.Directive != "PrivateUsers" {
			s.Add(now.Directive, now.Value)
		}
	}
	s.Add("ReadWritePaths", bind)
	return nil
}

// lines is a writer that tells whole lines; what is longer than a line of a log is told
// in pieces. Both streams of a unit write to it.
type lines struct {
	mu   sync.Mutex
	tell func(string)
	rest []byte
}

const longLine = 8 << 10

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		switch {
		case i >= 0:
			l.tell(clean(l.rest[:i]))
			l.rest = l.rest[i+1:]
		case len(l.rest) > longLine:
			l.tell(clean(l.rest[:longLine]))
			l.rest = l.rest[longLine:]
		default:
			return len(p), nil
		}
	}
}

// end tells what came without an end.
func (l *lines) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.tell(clean(l.rest))
	}
	l.rest = nil
}

// clean is text that a terminal cannot be harmed with.
func clean(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(strings.TrimRight(string(b), "\r"), "?"))
}
