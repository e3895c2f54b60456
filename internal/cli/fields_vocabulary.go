package cli

import "slices"

// The fields of the vocabulary's types, which several verbs print.

// below puts fields below a path.
func below(path string, fields []field) []field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].path = path + out[i].path
	}
	return out
}

func unitFields(path string) []field {
	return below(path, []field{
		{path: "name", meaning: "the unit"},
		{path: "load", meaning: "loaded, not-found, masked, bad-setting, …"},
		{path: "active", meaning: "active, activating, deactivating, inactive, failed, reloading"},
		{path: "sub", meaning: "running, dead, exited, auto-restart, listening, …"},
		{path: "result", meaning: "success, exit-code, signal, timeout, oom-kill, start-limit-hit, …"},
		{path: "file_state", meaning: "enabled, disabled, static, …", rare: true},
		{path: "invocation", meaning: "changes with each start", rare: true},
		{path: "main_pid", meaning: "the main process", rare: true},
		{path: "exit_code", meaning: "how the main process ended, as in waitid(2): 1 exited, 2 killed", rare: true},
		{path: "exit_status", meaning: "its status, or the signal", rare: true},
		{path: "failed_command", meaning: "the command that failed, when it was not the main process", rare: true},
		{path: "restarts", meaning: "automatic ones, since the last start by hand", rare: true},
		{path: "since", meaning: "when `active` changed", rare: true},
		{path: "need_reload", meaning: "the file is newer than what systemd has read", rare: true},
		{path: "memory_bytes", meaning: "the memory it uses", rare: true},
		{path: "control_group", meaning: "its control group", rare: true},
		{path: "fragment_path", meaning: "its unit file", rare: true},
		{path: "drop_ins", meaning: "the drop-ins that change it", rare: true},
		{path: "listen", meaning: "a socket unit: where it listens", rare: true},
	})
}

func deploymentFields(path string) []field {
	own := []field{
		{path: "id", meaning: "the deployment"},
		{path: "app", meaning: "the app"},
		{path: "verb", meaning: "deploy or rollback"},
		{path: "from", meaning: "the release that was live before; none: the field is absent"},
		{path: "to", meaning: "the release to make live"},
		{path: "actor", meaning: "who asked for it"},
		{path: "reason", meaning: "of a rollback: what made it necessary, as far as was said", rare: true},
		{path: "status", meaning: "running, committed, succeeded, failed, undoing, rolled-back or stuck"},
		{path: "started", meaning: "when it began"},
		{path: "ended", meaning: "when it ended"},
		{path: "steps", meaning: "the steps, in the order in which they were done"},
		{path: "steps[].name", meaning: "the step"},
		{path: "steps[].summary", meaning: "what it does"},
		{path: "steps[].status", meaning: "doing, done, failed, undoing, undone or stuck"},
		{path: "steps[].took_ns", meaning: "how long it took, in nanoseconds"},
		{path: "steps[].undo_ns", meaning: "how long it took to take it back, in nanoseconds", rare: true},
		{path: "steps[].error", meaning: "why it failed", rare: true},
		{path: "failure", meaning: "why it failed, if it did", rare: true},
		{path: "failure.step", meaning: "the step that failed", rare: true},
		{path: "failure.error", meaning: "its error", rare: true},
		{path: "failure.unit", meaning: "how the main unit was then", rare: true},
		{path: "failure.health", meaning: "the last answer of the health check", rare: true},
		{path: "failure.log", meaning: "the last lines that the app wrote", rare: true},
		{path: "failure.undone", meaning: "the steps that were taken back, in order", rare: true},
		{path: "failure.next", meaning: "what to do now", rare: true},
	}
	return below(path, slices.Concat(own, unitFields("failure.unit.")))
}

func releaseFields() []field {
	return below("[].", []field{
		{path: "id", meaning: "the release; ids sort by time"},
		{path: "app", meaning: "the app"},
		{path: "current", meaning: "whether it is live"},
		{path: "state", meaning: "new: never live; good; or bad: it was rolled back"},
		{path: "reason", meaning: "why it is bad", rare: true},
		{path: "source", meaning: "the path or address it came from"},
		{path: "revision", meaning: "the git commit, or what the source calls its version", rare: true},
		{path: "content", meaning: "the SHA-256 of its files"},
		{path: "digest", meaning: "the SHA-256 of `content` and the manifest: what makes it the same release"},
		{path: "bytes", meaning: "how large it is"},
		{path: "files", meaning: "how many files it has"},
		{path: "created", meaning: "when it was made"},
		{path: "live", meaning: "when it was last made live", rare: true},
	})
}

func statusFields() []field {
	own := below("[].", []field{
		{path: "app", meaning: "the app"},
		{path: "ok", meaning: "it is healthy, and not held"},
		{path: "release", meaning: "the release that is live", rare: true},
		{path: "since", meaning: "since when", rare: true},
		{path: "source", meaning: "where it came from", rare: true},
		{path: "health", meaning: "what the health check answers now"},
		{path: "healthy", meaning: "whether that is good"},
		{path: "units", meaning: "its units"},
		{path: "drift", meaning: "what differs from the manifest last applied; see `plan`"},
		{path: "deployment", meaning: "the last deployment, as `show` prints it", rare: true},
		{path: "held", meaning: "why nothing can be deployed", rare: true},
		{path: "watched", meaning: "until when it is rolled back if it goes bad", rare: true},
	})
	return slices.Concat(own, unitFields("[].units[]."), deploymentFields("[].deployment."))
}
