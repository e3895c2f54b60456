package landfast

import (
	"slices"
	"strings"
)

// At gives a copy of the app whose release lies at dir instead of at
// Paths.Current: for commands that must run in a release that is not current.
// Paths below Paths.Current are moved wherever a value begins with one.
func (a *App) At(dir string) *App {
	b := a.move(a.Paths.Current, dir)
	b.Paths.Current = dir
	return b
}

// move gives a copy of the app in which every value that begins with the path
// current begins with dir.
func (a *App) move(current, dir string) *App {
	b := *a
	b.Paths.Settings = moved(a.Paths.Settings, current, dir)
	b.Paths.Working = moved(a.Paths.Working, current, dir)
	b.Services = slices.Clone(a.Services)
	for i := range b.Services {
		s := &b.Services[i]
		s.Command = s.Command.At(current, dir)
		s.BeforeStart = slices.Clone(s.BeforeStart)
		for j, c := range s.BeforeStart {
			s.BeforeStart[j] = c.At(current, dir)
		}
		for _, c := range []**Command{&s.Stop, &s.Reload} {
			if *c != nil {
				at := (*c).At(current, dir)
				*c = &at
			}
		}
		s.Working = moved(s.Working, current, dir)
		s.Env = slices.Clone(s.Env)
		for j := range s.Env {
			s.Env[j].Value = moved(s.Env[j].Value, current, dir)
		}
	}
	if a.Chroot != nil {
		root := *a.Chroot
		root.Root = moved(root.Root, current, dir)
		b.Chroot = &root
	}
	b.Env = slices.Clone(a.Env)
	for i := range b.Env {
		b.Env[i].Value = moved(b.Env[i].Value, current, dir)
	}
	b.EnvFiles = slices.Clone(a.EnvFiles)
	for i := range b.EnvFiles {
		b.EnvFiles[i].Path = moved(b.EnvFiles[i].Path, current, dir)
	}
	return &b
}

// At gives a copy of the command with every word that lies below current moved to dir.
func (c Command) At(current, dir string) Command {
	c.Argv = slices.Clone(c.Argv)
	for i, w := range c.Argv {
		c.Argv[i] = moved(w, current, dir)
	}
	return c
}

// moved replaces the directory current at the beginning of a path.
func moved(s, current, dir string) string {
	if current == "" {
		return s
	}
	if s == current {
		return dir
	}
	if rest, ok := strings.CutPrefix(s, current+"/"); ok {
		return dir + "/" + rest
	}
	return s
}
