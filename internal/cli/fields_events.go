package cli

// triggerFields are those of a trigger.
func triggerFields() []field {
	return []field{
		{path: "[].name", meaning: "the name"},
		{path: "[].provider", meaning: "github, gitlab, gitea, forgejo, bitbucket, generic, standard or sns"},
		{path: "[].apps", meaning: "the apps it may deploy"},
		{path: "[].repository", meaning: "the repository, as the sender names it"},
		{path: "[].enabled", meaning: "whether what comes is acted on"},
		{path: "[].production", meaning: "whether deleting it is guarded"},
		{path: "[].path", meaning: "where the sender sends to, on the listener"},
	}
}

// single are the fields of one value of a list.
func single(all []field, more ...field) []field {
	var out []field
	for _, f := range all {
		f.path = f.path[len("[]."):]
		out = append(out, f)
	}
	return append(out, more...)
}

func tokenFields() []field {
	return []field{
		{path: "[].name", meaning: "the name"},
		{path: "[].apps", meaning: "the apps it is good for; `*` is all"},
		{path: "[].actions", meaning: "the actions it is good for"},
		{path: "[].expires", meaning: "when it expires; absent: never"},
	}
}

// eventOutputs are what the verbs about events print.
func eventOutputs() map[string]output {
	return map[string]output{
		"trigger add": {fields: single(triggerFields(),
			field{path: "file", meaning: "the file that was written"},
			field{path: "url", meaning: "the address for the sender; without `--url`, the path alone"},
			field{path: "secret", meaning: "the secret, this once; absent when the webhook was made with it"},
			field{path: "webhook", meaning: "with `--register`: the forge's id of the webhook", rare: true},
		)},
		"trigger list": {"A list.", triggerFields()},
		"trigger ping": {fields: []field{
			{path: "name", meaning: "the trigger"},
			{path: "webhook", meaning: "the forge's id of the webhook", rare: true},
		}},
		"trigger test": {fields: []field{
			{path: "name", meaning: "the trigger"},
			{path: "url", meaning: "where the message was sent"},
			{path: "status", meaning: "the HTTP status of the answer", rare: true},
			{path: "answer", meaning: "the answer", rare: true},
		}},
		"trigger refresh": {fields: []field{
			{path: "fetched", meaning: "what there is to fetch"},
			{path: "fetched[].what", meaning: "keys of an issuer, or ranges of a forge", rare: true},
			{path: "fetched[].error", meaning: "why it could not be fetched; empty: it is there", rare: true},
			{path: "fetched[].updated", meaning: "when it was fetched last", rare: true},
			{path: "settled", meaning: "messages that had to wait until they could be verified"},
			{path: "settled[].trigger", meaning: "the trigger it was sent to", rare: true},
			{path: "settled[].outcome", meaning: "queued, confirmed, refused, waits, given up", rare: true},
			{path: "settled[].reason", meaning: "why", rare: true},
		}},
		"trigger delete": {fields: []field{
			{path: "name", meaning: "the trigger"},
			{path: "file", meaning: "the file that was removed"},
			{path: "webhook", meaning: "the forge's id of the webhook that was deleted", rare: true},
		}},
		"queue list":   {"A list, the oldest first.", below("[].", entryFields())},
		"queue show":   {fields: append(entryFields(), lineFields()...)},
		"queue replay": {fields: append(changedEventFields(), field{path: "new", meaning: "the id of the new event"})},
		"queue drop":   {fields: changedEventFields()},
		"token add":    {fields: single(tokenFields(), field{path: "token", meaning: "the token, this once"})},
		"token list":   {"A list.", tokenFields()},
		"token delete": {fields: []field{
			{path: "name", meaning: "the token"},
			{path: "file", meaning: "the file that was removed"},
		}},
	}
}

func changedEventFields() []field {
	return []field{
		{path: "app", meaning: "the app"},
		{path: "id", meaning: "the event that was named"},
	}
}

// entryFields are what is known of an event in a queue.
func entryFields() []field {
	return append(below("event.", eventOfQueueFields()),
		field{path: "event", meaning: "what was asked for"},
		field{path: "state", meaning: "queued, running, retrying; done, failed, closed, superseded, duplicate, cancelled, dropped, damaged"},
		field{path: "since", meaning: "when it came to that"},
		field{path: "attempts", meaning: "how often it was tried"},
		field{path: "reason", meaning: "why"},
		field{path: "by", meaning: "the event that is behind it", rare: true},
		field{path: "next", meaning: "retrying: not before", rare: true},
		field{path: "outcome", meaning: "done: what came of it", rare: true},
		field{path: "outcome.*", meaning: "its deployment, its release, and a text", rare: true},
		field{path: "interrupted", meaning: "the worker died at it", rare: true},
	)
}

func eventOfQueueFields() []field {
	return []field{
		{path: "id", meaning: "its id, which sorts by arrival"},
		{path: "app", meaning: "the app"},
		{path: "action", meaning: "deploy, rollback, cancel or update"},
		{path: "provider", meaning: "who it is from: github, …, api, hand"},
		{path: "trigger", meaning: "the trigger that took it", rare: true},
		{path: "delivery", meaning: "the sender's id of it", rare: true},
		{path: "content", meaning: "the SHA-256 of the message", rare: true},
		{path: "received", meaning: "when it came"},
		{path: "repository", meaning: "the repository, as the sender names it", rare: true},
		{path: "ref", meaning: "the branch or tag", rare: true},
		{path: "commit", meaning: "the commit to deploy", rare: true},
		{path: "location", meaning: "the artifact to deploy", rare: true},
		{path: "digest", meaning: "its digest", rare: true},
		{path: "closed", meaning: "why it is not to take effect", rare: true},
		{path: "of", meaning: "the event that it takes back, or repeats", rare: true},
		{path: "release", meaning: "the release to go back to", rare: true},
		{path: "force", meaning: "also a release known to be bad", rare: true},
		{path: "actor", meaning: "who is behind it, as the sender says", rare: true},
		{path: "message", meaning: "the first line of the commit", rare: true},
		{path: "paths", meaning: "the files that changed", rare: true},
	}
}

// lineFields are the journal of an event.
func lineFields() []field {
	return below("lines", []field{
		{path: "", meaning: "what happened, a line each"},
		{path: "[].time", meaning: "when"},
		{path: "[].event", meaning: "the first line: the event, as above"},
		{path: "[].event.*", meaning: "its fields", rare: true},
		{path: "[].state", meaning: "it came to this state"},
		{path: "[].text", meaning: "a line of progress", rare: true},
		{path: "[].attempt", meaning: "running: which one it is", rare: true},
		{path: "[].reason", meaning: "why"},
		{path: "[].by", meaning: "the event that is behind it", rare: true},
		{path: "[].next", meaning: "retrying: not before", rare: true},
		{path: "[].outcome", meaning: "done: what came of it", rare: true},
		{path: "[].outcome.*", meaning: "as above", rare: true},
		{path: "[].interrupted", meaning: "the worker died at it", rare: true},
	})
}
