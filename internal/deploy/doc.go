// Package deploy is the deployment engine: it makes a release live, or brings a
// former one back, as a list of steps that is read top to bottom (steps.go).
//
// Each step has a Do and an Undo side by side, and both may run again. The
// journal line is written before the act, so whatever dies leaves a record of
// what it may have begun. A step that fails is undone like the ones before it, so
// a crash and a failure are one case. Up to the step named commit everything can
// be taken back; behind it nothing is: what remains is only finished. A failed
// undo leaves the deployment stuck: the app is held until a person has looked.
//
// Whoever holds the app's lock next settles what a dead process left behind:
// undone before the commit, finished behind it. Nothing here needs a process that
// stays.
//
// The package decides and records. Files, users and units are changed by the Host
// and the Units it is given, releases by package release.
package deploy
