package cli

// field is one field of what a verb prints with --json. In its path, a dot leads
// into an object, and [] into the values of a list.
type field struct {
	path, meaning string
	rare          bool // it depends on the machine, so that tests need not have seen it
}

// output is what a verb prints with --json.
type output struct {
	about  string // how to read it
	fields []field
}

// errorFields are what every verb prints when it fails.
func errorFields() []field {
	return []field{
		{path: "error", meaning: "why it failed; no other field is printed then"},
		{path: "error.kind", meaning: "internal, invalid, not-found, conflict, unavailable, pending, rolled-back or stuck"},
		{path: "error.exit_code", meaning: "the exit code, of which each kind has one"},
		{path: "error.message", meaning: "what is wrong, and where"},
		{path: "error.hint", meaning: "what to do about it, where that is known"},
		{path: "error.problems", meaning: "the mistakes of a manifest, by place"},
		{path: "error.problems[].file", meaning: "the file, as it was named"},
		{path: "error.problems[].line", meaning: "the line, from 1"},
		{path: "error.problems[].column", meaning: "the column, from 1, in characters"},
		{path: "error.problems[].key", meaning: "the key with its sections: `service.command`"},
		{path: "error.problems[].message", meaning: "what is wrong"},
		{path: "error.problems[].hint", meaning: "what to write instead, where that can be guessed"},
		{path: "error.problems[].source", meaning: "the line as it stands in the file"},
	}
}

// outputOf is what a verb prints; nothing when that is not documented here.
func outputOf(verb string) output {
	if o, ok := eventOutputs()[verb]; ok {
		return o
	}
	return outputs()[verb]
}

func outputs() map[string]output {
	rendered := output{"The plan. With `--out` it is `app`, `notes` and `written`.", renderFields()}
	changed := output{"What is to be done, or was done, in this order.", changesFields()}
	deployed := output{"One value a line: an event for everything that happens (it has `deployment`), and at the end the deployment (it has `id`).", eventFields()}
	power := output{fields: powerFields()}
	return map[string]output{
		"adopt":             {"The manifest, with what it leaves unsaid.", adoptFields()},
		"check":             {fields: checkFields()},
		"config":            {fields: configFields()},
		"render":            rendered,
		"render codedeploy": rendered,
		"schema":            {about: "The schema, with or without `--json`."},
		"plan":              changed,
		"apply":             changed,
		"uninstall":         changed,
		"deploy":            deployed,
		"rollback":          deployed,
		"resume": {
			deployed.about + " When nothing was interrupted, it is `app` and `resumed`.",
			append(eventFields(), field{path: "resumed", meaning: "false: nothing was interrupted"}),
		},
		"releases":    {"A list, the newest first.", releaseFields()},
		"prune":       {fields: pruneFields()},
		"status":      {"A list of apps.", statusFields()},
		"logs":        {about: "One value a line, with the fields of journalctl(1)."},
		"start":       power,
		"stop":        power,
		"restart":     power,
		"deployments": {"A list, the newest first.", deploymentFields("[].")},
		"show":        {fields: deploymentFields("")},
		"doctor":      {"A list of findings.", doctorFields()},
		"version":     {fields: versionFields()},

		"secrets list":    {fields: secretsFields()},
		"secrets refresh": {fields: refreshFields()},
		"secrets set": {fields: []field{
			{path: "app", meaning: "the app"},
			{path: "name", meaning: "the secret"},
			{path: "file", meaning: "where it was written"},
		}},
		"instance-data":  {about: "An object with the value of each variable."},
		"steer show":     {"A list, by port.", steerFields()},
		"steer load":     {fields: []field{{path: "dir", meaning: "where the program and the table are pinned", rare: true}}},
		"steer register": {fields: registerFields()},
		"steer settle":   {fields: settleFields()},
	}
}

func secretsFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "set", meaning: "the version that counts; empty: none"},
		{path: "secrets", meaning: "what the manifest names"},
		{path: "secrets[].name", meaning: "the secret; env.ssm and config stand for those sections"},
		{path: "secrets[].kind", meaning: "file, ssm, vault, age, sops, encrypted, parameters or s3"},
		{path: "secrets[].from", meaning: "where it comes from"},
		{path: "secrets[].env", meaning: "whether it is a variable"},
		{path: "secrets[].kept", meaning: "whether this host has it"},
	}
}

func refreshFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "set", meaning: "the version that counts now"},
		{path: "changed", meaning: "whether it is another one than before"},
		{path: "restarted", meaning: "whether the app was restarted"},
	}
}

func checkFields() []field {
	return []field{
		{path: "ok", meaning: "true; mistakes are an error with its problems"},
		{path: "app", meaning: "the app"},
		{path: "file", meaning: "the manifest that was read"},
		{path: "files", meaning: "how many files it becomes"},
		{path: "units", meaning: "how many units it becomes"},
	}
}

func configFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "stack", meaning: "the stack whose preset lies below", rare: true},
		{path: "files", meaning: "the files that were merged, the first at the bottom"},
		{path: "config", meaning: "what they come to"},
		{path: "config.*", meaning: "the keys of the manifest", rare: true},
	}
}

func pruneFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "removed", meaning: "the ids of the releases that were removed"},
	}
}

func powerFields() []field {
	return append([]field{
		{path: "app", meaning: "the app"},
		{path: "verb", meaning: "start, stop or restart"},
		{path: "units", meaning: "its units, in the order in which it was done to them"},
	}, unitFields("units[].")...)
}

func doctorFields() []field {
	return []field{
		{path: "[].what", meaning: "what was looked at: a subject, or an app"},
		{path: "[].ok", meaning: "whether it is well"},
		{path: "[].text", meaning: "what was found"},
		{path: "[].hint", meaning: "what to do about it"},
	}
}

func versionFields() []field {
	return []field{
		{path: "version", meaning: "the version"},
		{path: "revision", meaning: "the commit it was built from", rare: true},
		{path: "go", meaning: "the Go it was built with"},
		{path: "platform", meaning: "the system and processor it was built for"},
	}
}

// steerFields are of what the kernel does, which scripts cannot have it do.
func steerFields() []field {
	fields := []field{
		{path: "[].public", meaning: "where clients connect: a port, or an address with one"},
		{path: "[].family", meaning: "ipv4 or ipv6"},
		{path: "[].private", meaning: "where the socket listens; absent: it is not of this network"},
		{path: "[].cookie", meaning: "the kernel's number of the socket, as `ss -e` shows it"},
		{path: "[].inode", meaning: "its number in /proc/PID/fd"},
		{path: "[].waiting", meaning: "connections that it has not accepted yet"},
		{path: "[].processes", meaning: "the processes that have the socket"},
		{path: "[].processes[].pid", meaning: "the number of the process"},
		{path: "[].processes[].name", meaning: "its name"},
		{path: "[].processes[].unit", meaning: "the unit that it is in"},
		{path: "[].behind", meaning: "programs that listen on the public port in the ordinary way, and get nothing"},
		{path: "[].behind[].pid", meaning: "the number of the process"},
		{path: "[].behind[].name", meaning: "its name"},
		{path: "[].behind[].unit", meaning: "the unit that it is in"},
	}
	for i := range fields {
		fields[i].rare = true
	}
	return fields
}

func registerFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "release", meaning: "the release that asked"},
		{path: "current", meaning: "the release that is current"},
		{path: "public", meaning: "where clients connect"},
		{path: "private", meaning: "where the process listens"},
		{path: "done", meaning: "whether it is steered to; false: another release is current"},
		{path: "families", meaning: "ipv4, ipv6 or both"},
		{path: "warnings", meaning: "what works otherwise than one may think", rare: true},
	}
}

func settleFields() []field {
	return []field{
		{path: "public", meaning: "where clients connect"},
		{path: "private", meaning: "where the process listens"},
		{path: "settled", meaning: "true; otherwise it is an error"},
	}
}

func renderFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "users", meaning: "system accounts"},
		{path: "users[].name", meaning: "the name"},
		{path: "users[].group", meaning: "its group, which is made, too"},
		{path: "users[].description", meaning: "what it is for"},
		{path: "users[].home", meaning: "its home directory"},
		{path: "dirs", meaning: "directories, parents first"},
		{path: "dirs[].path", meaning: "the path"},
		{path: "dirs[].mode", meaning: "the mode, in octal"},
		{path: "dirs[].owner", meaning: "the account it belongs to"},
		{path: "dirs[].group", meaning: "the group it belongs to"},
		{path: "dirs[].data", meaning: "what is in it is the app's: only a purge removes it"},
		{path: "files", meaning: "files, by path"},
		{path: "files[].path", meaning: "the path"},
		{path: "files[].mode", meaning: "the mode, in octal"},
		{path: "files[].owner", meaning: "the account it belongs to"},
		{path: "files[].group", meaning: "the group it belongs to"},
		{path: "files[].content", meaning: "the text"},
		{path: "units", meaning: "units, in the order in which they are started"},
		{path: "units[].name", meaning: "the name"},
		{path: "units[].enable", meaning: "it starts at boot"},
		{path: "units[].main", meaning: "its health decides a deployment"},
		{path: "notes", meaning: "what this systemd cannot do, and other remarks"},
		{path: "written", meaning: "with `--out`: the files that were written"},
	}
}

func changesFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "changed", meaning: "whether there is anything to do"},
		{path: "changes", meaning: "what there is to do"},
		{path: "changes.users", meaning: "system accounts to make"},
		{path: "changes.users[].name", meaning: "the name"},
		{path: "changes.users[].group", meaning: "its group"},
		{path: "changes.users[].description", meaning: "what it is for"},
		{path: "changes.users[].home", meaning: "its home directory"},
		{path: "changes.dirs", meaning: "directories"},
		{path: "changes.dirs[].path", meaning: "the path"},
		{path: "changes.dirs[].action", meaning: "create, update, remove, or purge: with everything in it"},
		{path: "changes.dirs[].reason", meaning: "why"},
		{path: "changes.dirs[].mode", meaning: "the mode it will have, in octal"},
		{path: "changes.dirs[].owner", meaning: "the account it will belong to"},
		{path: "changes.dirs[].group", meaning: "the group it will belong to"},
		{path: "changes.files", meaning: "files"},
		{path: "changes.files[].path", meaning: "the path"},
		{path: "changes.files[].action", meaning: "create, update or remove"},
		{path: "changes.files[].reason", meaning: "why"},
		{path: "changes.files[].mode", meaning: "the mode it will have, in octal"},
		{path: "changes.files[].owner", meaning: "the account it will belong to"},
		{path: "changes.files[].group", meaning: "the group it will belong to"},
		{path: "changes.files[].diff", meaning: "the difference, as diff -u prints it"},
		{path: "changes.reload", meaning: "systemd reads its unit files again"},
		{path: "changes.units", meaning: "what happens to units, in this order"},
		{path: "changes.units[].unit", meaning: "the unit"},
		{path: "changes.units[].action", meaning: "stop, disable, enable, start or restart"},
		{path: "changes.units[].reason", meaning: "why"},
		{path: "changes.remove_users", meaning: "accounts to remove, behind everything else"},
		{path: "changes.remove_users[].name", meaning: "the name"},
		{path: "changes.remove_users[].group", meaning: "its group"},
		{path: "changes.remove_users[].description", meaning: "what it was for"},
		{path: "changes.remove_users[].home", meaning: "its home directory"},
		{path: "notes", meaning: "what this systemd cannot do, and other remarks"},
	}
}

// eventFields are those of the lines while a deployment runs, and of the last one.
func eventFields() []field {
	fields := []field{
		{path: "deployment", meaning: "the id of the deployment"},
		{path: "app", meaning: "the app"},
		{path: "step", meaning: "the step that has changed its status, as in `steps[]`"},
		{path: "step.name", meaning: "the step"},
		{path: "step.summary", meaning: "what it does"},
		{path: "step.status", meaning: "doing, done, failed, undoing, undone or stuck"},
		{path: "step.took_ns", meaning: "how long it took, in nanoseconds"},
		{path: "step.undo_ns", meaning: "how long it took to take it back, in nanoseconds"},
		{path: "step.error", meaning: "why it failed"},
		{path: "note", meaning: "something worth saying"},
		{path: "status", meaning: "the deployment has changed its status"},
	}
	known := map[string]bool{}
	for _, f := range fields {
		known[f.path] = true
	}
	for _, f := range deploymentFields("") {
		if !known[f.path] {
			fields = append(fields, f)
		}
	}
	return fields
}
