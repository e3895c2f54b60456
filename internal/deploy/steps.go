package deploy

import (
	"context"

	"github.com/landfast/landfast"
)

// stepCommit is the point of no return.
const stepCommit = "commit"

// steps is a deployment, from top to bottom. Undoing goes the other way, and
// begins with the step that failed. The table in ARCHITECTURE.md says the same; a
// test compares them.
var steps = []step{
	{
		name: "prepare", summary: "make users and directories",
		do: doPrepare, undo: undoPrepare, back: "remove directories that are new and empty",
		crash: "some exist; undo removes the directories that are new and empty, accounts stay",
	},
	{
		name: "fetch", summary: "fetch and verify the release", when: isDeploy,
		do: doFetch, undo: undoFetch, back: "remove what was fetched",
		crash: "a partial releases/ID.part, never believed; undo removes it",
	},
	{
		name: "seal", summary: "make the release complete", when: isDeploy,
		do: doSeal, undo: undoSeal, back: "remove the release",
		crash: "complete or not there, by one rename; undo removes it",
	},
	{
		name: "settings", summary: "get its secrets and configuration", when: hasSettings,
		do: doSettings, undo: undoSettings, back: "remove those that are new",
		crash: "a set of files that nothing names; undo removes it",
	},
	{
		name: "plan", summary: "work out what the release changes",
		do:    doPlan,
		crash: "nothing has changed",
	},
	{
		name: "preflight", summary: "check that it can start",
		do:    doPreflight,
		crash: "nothing has changed",
	},
	{
		name: "migrate", summary: "run the migrate hooks", when: hasMigrations,
		do: doMigrate, undo: undoMigrate, back: "stop the hook", live: true, blames: true,
		crash: "the hook may still run; undo stops it, and cannot take back what it did",
	},
	{
		name: "rehearse", summary: "try the release on a private socket", when: isRehearsed,
		do: doRehearse, undo: undoRehearse, back: "stop the rehearsal", blames: true,
		crash: "the rehearsal may still run, where no client reaches it; undo stops it",
	},
	{
		name: "note-units", summary: "note which units run", when: isRunning,
		do: doNoteUnits, undo: undoNoteUnits, back: "bring the units back to how they were",
		crash: "nothing has changed; undo brings every unit back to how it was noted",
	},
	{
		name: "use-settings", summary: "make these the secrets and configuration that count", when: hasSettings,
		do: doUseSettings, undo: undoUseSettings, back: "make the former ones count", live: true,
		crash: "a link names the former or the new set, by one rename; undo points it back",
	},
	{
		name: "install", summary: "install the units",
		do: doInstall, undo: undoInstall, back: "put the former files back", live: true,
		crash: "each file is old or new; undo puts back the recorded ones",
	},
	{
		name: "activate", summary: "point current at the release",
		do: doActivate, undo: undoActivate, back: "point current back", live: true,
		crash: "current names the old or the new release, by one rename; undo points it back",
	},
	{
		name: "cutover", summary: "let the new release take over", when: isRunning,
		do: doCutover, undo: undoCutover, back: "let the old release have the traffic, stop what did not run before", live: true, blames: true,
		crash: "old, new, both or neither runs; undoing note-units starts the old one",
	},
	{
		name: "health", summary: "wait until it is healthy", when: isRunning,
		do: doHealth, undo: undoHealth, back: "stop the probe", live: true, blames: true,
		crash: "the new release runs unjudged; it counts as bad luck, not as a bad release",
	},
	{
		name: stepCommit, summary: "commit: the point of no return",
		do:    doCommit,
		crash: "one journal line: written, the rest is finished; not written, all is undone",
	},
	{
		name: "record", summary: "remember it as a good release",
		do:    doRecord,
		crash: "done again",
	},
	{
		name: "watch", summary: "open the time in which it is watched", when: isWatched,
		do:    doWatch,
		crash: "done again",
	},
	{
		name: "announce", summary: "run the after hooks", when: hasAfter,
		do:    doAnnounce,
		crash: "done again: an after hook may run twice",
	},
	{
		name: "retire", summary: "stop what the new release replaced", when: isInstanced,
		do:    doRetire,
		crash: "done again",
	},
	{
		name: "prune", summary: "remove old releases",
		do:    doPrune,
		crash: "done again",
	},
}

func isInstanced(r *run) bool   { return len(r.app.Overlapping()) > 0 }
func isDeploy(r *run) bool      { return r.Deployment.Verb == landfast.VerbDeploy }
func isRunning(r *run) bool     { return !r.engine.Staged }
func hasMigrations(r *run) bool { return isDeploy(r) && isRunning(r) && len(r.app.Hooks.Migrate) > 0 }
func hasAfter(r *run) bool      { return isRunning(r) && len(r.app.Hooks.After) > 0 }

// doCommit writes the one line that decides.
func doCommit(_ context.Context, r *run) error { return r.become(landfast.StatusCommitted) }

// StepInfo describes one step of the list, for people and for ARCHITECTURE.md.
type StepInfo struct{ Name, Summary, Undo, Crash string }

// Steps describes the list, in order.
func Steps() []StepInfo {
	out := make([]StepInfo, 0, len(steps))
	behind := false
	for _, s := range steps {
		info := StepInfo{Name: s.name, Summary: s.summary, Undo: s.back, Crash: s.crash}
		switch {
		case behind:
			info.Undo = "behind the commit"
		case s.undo == nil:
			info.Undo = "nothing to take back"
		}
		out = append(out, info)
		behind = behind || s.name == stepCommit
	}
	return out
}
