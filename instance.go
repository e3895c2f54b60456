package landfast

import (
	"slices"
	"strconv"
	"strings"
)

// PortMark stands for the private port of an instance in the texts of an app
// whose releases each listen on one of their own. No text of a manifest can hold
// it otherwise.
const PortMark = "\x01"

// Instance is one release of an app as it runs beside others.
type Instance struct {
	Release string // its id; "": none yet
	Port    int    // the private port it listens on; 0: it needs none
}

// InstanceUnit is the unit of a service that runs one release: web@ID.service
// where each release has a unit of its own, and the service's unit otherwise.
func (s *Service) InstanceUnit(release string) string {
	if !s.Overlap || release == "" {
		return s.Unit
	}
	return s.InstancePrefix() + release + ".service"
}

// InstancePrefix is what the units of the releases of a service have in common:
// "web@".
func (s *Service) InstancePrefix() string { return strings.TrimSuffix(s.Unit, ".service") + "@" }

// Overlapping are the services of which each release has a unit of its own.
func (a *App) Overlapping() []*Service {
	var out []*Service
	for i := range a.Services {
		if a.Services[i].Overlap {
			out = append(out, &a.Services[i])
		}
	}
	return out
}

// Run gives a copy of the app as one release of it runs: it lies in its own
// directory instead of Paths.Current, has the settings that it came with, and its
// private port is filled in.
func (a *App) Run(i Instance) *App {
	b := a
	if i.Release != "" {
		b = a.At(a.Paths.Releases + "/" + i.Release).withSettings("releases/" + i.Release)
	}
	if i.Port == 0 {
		return b
	}
	if b == a {
		b = a.At(a.Paths.Current)
	}
	fill := func(s string) string { return strings.ReplaceAll(s, PortMark, strconv.Itoa(i.Port)) }
	for j := range b.Env {
		b.Env[j].Value = fill(b.Env[j].Value)
	}
	for j := range b.Services {
		b.Services[j].fill(fill)
	}
	b.Hooks.Migrate = filled(b.Hooks.Migrate, fill)
	b.Hooks.After = filled(b.Hooks.After, fill)
	b.Health.Command = filled([]Command{b.Health.Command}, fill)[0]
	b.Commands = slices.Clone(b.Commands)
	for j := range b.Commands {
		b.Commands[j].Command = filled([]Command{b.Commands[j].Command}, fill)[0]
	}
	return b
}

// fill changes every text of the service, whose lists are its own already.
func (s *Service) fill(fill func(string) string) {
	s.Command = filled([]Command{s.Command}, fill)[0]
	s.BeforeStart = filled(s.BeforeStart, fill)
	for _, c := range []**Command{&s.Stop, &s.Reload} {
		if *c != nil {
			moved := filled([]Command{**c}, fill)[0]
			*c = &moved
		}
	}
	for j := range s.Env {
		s.Env[j].Value = fill(s.Env[j].Value)
	}
}

func filled(list []Command, fill func(string) string) []Command {
	list = slices.Clone(list)
	for i := range list {
		list[i].Argv = slices.Clone(list[i].Argv)
		for j := range list[i].Argv {
			list[i].Argv[j] = fill(list[i].Argv[j])
		}
	}
	return list
}

// Target is the link that the relay of an app reads: its text is the address of
// the release that has the traffic.
func (a *App) Target() string { return "/var/lib/landfast/" + a.Name + "/traffic/target" }
