package plan

import (
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// environmentLimit ends a command that hangs: systemd would wait for ever, and
// the services with it.
const environmentLimit = 90 * time.Second

// environmentCommand adds the unit of the command whose output is the services'
// environment. It has what the main service has, and stays active when it has
// ended, so that it runs once for all of them.
//
// The file is root's, below a directory of root's: systemd reads it as root and
// gives the process what it holds, so the app must not be able to put another
// one, or a link, in its place. Hence tmpfiles.d and no RuntimeDirectory=, which
// would belong to the app.
func (b *builder) environmentCommand() {
	e := b.app.Before
	if e == nil {
		return
	}
	s := *b.app.Main()
	s.Unit, s.Type, s.Restart, s.Kind = e.Unit, "oneshot", "no", landfast.KindProcess
	s.Command, s.BeforeStart, s.Stop, s.Reload, s.Socket, s.Timer = e.Command, nil, nil, nil, nil, nil
	s.After, s.Wants, s.Requires, s.Identifier = e.After, nil, nil, ""
	s.Overlap = false
	s.Env, s.Systemd, s.Instances, s.RestartFlag, s.RestartDelay = nil, nil, nil, "", 0
	if s.StartTimeout == 0 {
		s.StartTimeout = environmentLimit
	}
	f := &unit.File{}
	b.unitSection(f, &s)
	b.process(f, &s)
	sec := f.Section("Service")
	// Where releases overlap, each of them needs it at its own start, and to run it
	// again must not stop the one that serves: it does not remain, and is needed anew.
	again := slices.ContainsFunc(b.app.Services, func(s landfast.Service) bool { return s.Overlap })
	if !again {
		sec.Add("RemainAfterExit", "yes")
	}
	b.environment(sec, &s)
	b.output(f, &s, e.File)
	b.lifetime(f, &s)
	b.directories(f, &s)
	b.sandbox(f, &s)
	b.chroot(f, &s)
	if b.app.Chroot != nil {
		b.pathLists(f.Section("Service"), "BindReadOnlyPaths", "environment", "", []string{"-/run/cloud-init"})
	}
	b.unitFile(e.Unit, f)
	b.plan.Units = append(b.plan.Units, Unit{Name: e.Unit, Prepare: !again, Manual: again})
}

// output adds the command, and puts what it writes into a file.
func (b *builder) output(f *unit.File, s *landfast.Service, file string) {
	sec := f.Section("Service")
	dir := path.Dir(file)
	// What is made in it belongs to the app's group.
	lines := []string{b.ok("environment")(unit.TmpfilesDir(dir, "2750", "root", b.app.Group))}
	text := b.ok("environment")(unit.Path(file))
	switch {
	case b.has(248):
		b.commands(sec, s)
		sec.Add("StandardOutput", "truncate:"+text)
	case b.has(236):
		// It writes over what is there, and leaves the rest. The file is root's to remove.
		b.notef("systemd %d does not know StandardOutput=truncate: (since 248): the file is removed first", b.version)
		s.BeforeStart = []landfast.Command{{Prefix: "!", Argv: []string{"/bin/rm", "-f", file}}}
		b.writable(f, dir)
		b.commands(sec, s)
		sec.Add("StandardOutput", "file:"+text)
	default:
		b.notef("systemd %d does not know StandardOutput=file: (since 236): a shell writes the file", b.version)
		line, err := unit.TmpfilesFile(file, "0640", b.app.User, b.app.Group)
		lines = append(lines, b.ok("environment")(line, err))
		s.Command.Argv = slices.Concat([]string{"/bin/sh", "-c", `exec "$@" >"$0"`, file}, s.Command.Argv)
		b.writable(f, dir)
		b.commands(sec, s)
	}
	b.tmpfile(lines...)
	b.dir(dir, 0o750|fs.ModeSetgid, "root", b.app.Group, false)
}

// writable lets a unit write a directory that is not one of the app's.
func (b *builder) writable(f *unit.File, dir string) {
	name := "ReadWritePaths"
	if b.app.Chroot != nil {
		name = "BindPaths"
	}
	b.add(f, "Service", name, b.ok("environment")(unit.PathList("", dir)))
}
