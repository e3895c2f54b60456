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
		"token add":  {fields: single(tokenFields(), field{path: "token", meaning: "the token, this once"})},
		"token list": {"A list.", tokenFields()},
		"token delete": {fields: []field{
			{path: "name", meaning: "the token"},
			{path: "file", meaning: "the file that was removed"},
		}},
	}
}
