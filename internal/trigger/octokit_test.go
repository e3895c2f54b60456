package trigger_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// signSamples prints GitHub's published samples, each signed by GitHub's own
// program, one on a line.
const signSamples = `
import { sign } from "@octokit/webhooks-methods";
import { createRequire } from "node:module";
const all = createRequire(import.meta.url)("@octokit/webhooks-examples");
for (const { name, examples } of all.default ?? all) {
  for (const sample of examples) {
    const body = JSON.stringify(sample);
    console.log(JSON.stringify({ event: name, body, signature: await sign(process.argv[2], body) }));
  }
}
`

// TestGitHubSamples takes every sample payload that GitHub publishes, signed by its
// own program, from the registry of npm.
func TestGitHubSamples(t *testing.T) {
	t.Parallel()
	if os.Getenv("LANDFAST_SUITE_EVERYTHING") == "" {
		t.Skip("LANDFAST_SUITE_EVERYTHING is not set")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return out
	}
	if err := os.WriteFile(filepath.Join(dir, "sign.mjs"), []byte(signSamples), 0o600); err != nil {
		t.Fatal(err)
	}
	run("npm", "install", "--silent", "--no-audit", "--no-fund", "@octokit/webhooks-methods@6.0.0", "@octokit/webhooks-examples@7.6.1")
	set := newSet(t, "[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"github\"\nrepository = \"**\"\nbranches = [\"**\"]\ntags = [\"**\"]\nevents = [\"push\", \"release\"]\nprereleases = true\n",
		secretsFor(hostconf.GitHub))
	n, open := 0, map[string]int{}
	for line := range strings.Lines(string(run("node", "sign.mjs", secretText))) {
		var s struct{ Event, Body, Signature string }
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		n++
		h := trigger.Header("X-GitHub-Event", s.Event, "X-Hub-Signature-256", s.Signature)
		v, err := handle(set, "web", h, s.Body)
		if err != nil {
			t.Errorf("%s: %v: %.200s", s.Event, err, s.Body)
			continue
		}
		for _, ev := range v.Events {
			if ev.Closed == "" {
				open[s.Event]++
				if s.Event == "push" && (ev.Commit == "" || ev.Ref == "") {
					t.Errorf("%+v", ev)
				}
			}
		}
		if _, err := handle(set, "web", h, s.Body+" "); status(t, err) != 403 {
			t.Errorf("%s, changed: %v", s.Event, err)
		}
	}
	if n < 100 || open["push"] == 0 || open["release"] == 0 || len(open) != 2 {
		t.Errorf("of %d samples these deploy: %v", n, open)
	}
	t.Logf("%d samples; these deploy: %v", n, open)
}
