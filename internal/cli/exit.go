package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPending     = 3
	exitRolledBack  = 4
	exitStuck       = 5
	exitConflict    = 6
	exitUnavailable = 7
)

// exitCode is one line of the table of exit codes, which the help and the
// reference are made of.
type exitCode struct {
	code    int
	kinds   []landfast.Kind // of the errors that end with it
	name    string
	meaning string
	next    string // what to do about it
}

func exitTable() []exitCode {
	return []exitCode{
		{exitOK, nil, "ok", "It is done, or nothing had to be done.", ""},
		{
			exitFailed,
			[]landfast.Kind{landfast.Internal},
			"failed",
			"It could not be done. A deployment that ends so had changed nothing live. `status` and `doctor` end so when what they look at is not well.",
			"Read the message; it names what failed and where.",
		},
		{
			exitUsage,
			[]landfast.Kind{landfast.Invalid, landfast.NotFound},
			"usage or manifest",
			"The command line or the manifest is wrong, or names an app, release or deployment that is not there. Nothing was changed.",
			"Correct it. `landfast check` lists every mistake of a manifest with its place.",
		},
		{
			exitPending,
			[]landfast.Kind{landfast.Pending},
			"changes pending",
			"`plan` has found a difference between the manifest and the host.",
			"`landfast apply` makes the changes that were printed.",
		},
		{
			exitRolledBack,
			[]landfast.Kind{landfast.RolledBack},
			"rolled back",
			"The release was bad and the former one is live again, with its units, files and configuration. The release is remembered as bad.",
			"Look at the failure with `landfast show last`, and deploy a better release.",
		},
		{
			exitStuck,
			[]landfast.Kind{landfast.Stuck},
			"stuck",
			"Undoing failed as well, as on a full disk. The app is held: nothing is deployed until a person has looked.",
			"Remove the cause that `landfast status` names, then `landfast resume`.",
		},
		{
			exitConflict,
			[]landfast.Kind{landfast.Conflict},
			"conflict",
			"Something is in the way: a file that Landfast did not make, another deployment of the app under way, or a release that is known to be bad.",
			"The message names it: move it, wait, or use `--force` for a release.",
		},
		{
			exitUnavailable,
			[]landfast.Kind{landfast.Unavailable},
			"unavailable",
			"Something that is needed does not answer: systemd, the journal, or where a release comes from.",
			"Trying again later may help.",
		},
	}
}

// exitOf is the exit code of an error.
func exitOf(err error) int {
	kind := landfast.KindOf(err)
	for _, e := range exitTable() {
		if slices.Contains(e.kinds, kind) {
			return e.code
		}
	}
	return exitFailed
}

// exitHelp lists the exit codes in a sentence, of at most 84 characters a line.
func exitHelp(codes []int) string {
	var words []string
	for _, e := range exitTable() {
		if slices.Contains(codes, e.code) {
			words = append(words, strings.Fields(fmt.Sprintf("%d %s,", e.code, e.name))...)
		}
	}
	var b strings.Builder
	line := "Exit codes:"
	for _, w := range words {
		if len(line)+1+len(w) > 84 {
			b.WriteString(line + "\n")
			line = w
			continue
		}
		line += " " + w
	}
	return b.String() + strings.TrimSuffix(line, ",")
}

// allExits are the exit codes of a verb: those that every verb has, and its own.
func allExits(own ...int) []int {
	return slices.Sorted(slices.Values(append([]int{exitOK, exitFailed, exitUsage}, own...)))
}
