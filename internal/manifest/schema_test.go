package manifest_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast/internal/manifest"
)

// resolvedSchema is the schema as an editor would read it.
func resolvedSchema(t testing.TB) *jsonschema.Resolved {
	t.Helper()
	text, err := manifest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// document is a TOML text as the JSON value that a schema is about.
func document(text []byte) (any, error) {
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	var doc any
	err = json.NewDecoder(bytes.NewReader(asJSON)).Decode(&doc)
	return doc, err
}

// beyondSchema are the goldens whose mistakes only Parse can see.
func beyondSchema() []string {
	return []string{
		"error-cycle-of-names", "error-cycles", "error-dirs-off", "error-references", "error-references-place",
		"error-name-reserved", "error-name-ours", "error-user", "error-user-root", "error-deploy-user",
		"error-command-prefix", "error-oneshot", "error-socket", "error-socket-mode-without-unix-socket",
		"error-max-size-overflow", "error-health-no-port", "error-health-times", "error-health-unit-off",
		"error-source-archive", "error-health-tcp", "error-stack-name", "error-dynamic-user", "error-cutover-ports",
	}
}

func TestSchemaAgreesWithParse(t *testing.T) {
	t.Parallel()
	schema := resolvedSchema(t)
	for _, file := range goldens(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := document(archive.Files[0].Data)
			if err != nil {
				return // not TOML: nothing for a schema to say
			}
			_, parseErr := manifest.Parse("landfast.toml", archive.Files[0].Data)
			want := parseErr == nil || slices.Contains(beyondSchema(), name)
			if err := schema.Validate(doc); (err == nil) != want {
				t.Errorf("Validate = %v, Parse = %v", err, parseErr)
			}
		})
	}
}

// Every key has an example that stands on the reference page: it must be right,
// and be so for the schema.
func TestExamples(t *testing.T) {
	t.Parallel()
	schema := resolvedSchema(t)
	for _, e := range manifest.KeyExamples() {
		text := []byte(exampleManifest(e))
		if _, err := manifest.Parse("landfast.toml", text); err != nil {
			t.Errorf("%s: %s:\n%v\n%s", e.Section, e.Line, err, text)
		}
		doc, err := document(text)
		if err != nil {
			t.Errorf("%s: %s: %v", e.Section, e.Line, err)
			continue
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %s: %v", e.Section, e.Line, err)
		}
	}
}

// exampleManifest is a manifest around one example, with what it needs beside it.
func exampleManifest(e manifest.KeyExample) string {
	key, _, _ := strings.Cut(e.Line, " ")
	sections := map[string]string{
		"":        `name = "web"`,
		"service": `command = "bin/web"`,
		"env":     `PORT = 80`,
		"dirs":    "configuration = true\nruntime = true",
	}
	switch part, name, _ := strings.Cut(e.Section, "."); {
	case part == "services" && name != "":
		sections["services.x"] = `command = "bin/x"`
		if key == "max_overlap" {
			sections["services.x"] += "\noverlap = true"
		}
		if strings.HasSuffix(name, "Socket") || strings.HasSuffix(name, "socket") {
			sections["services.x.socket"] = "listen = 81"
		}
	case part == "timers" && name != "":
		sections["timers.x"] = "command = \"bin/x\"\ncalendar = \"daily\""
	case part == "machine":
		sections["service"] = `kind = "nspawn"`
		sections["machine"] = `network = "host"`
	case part == "cutover" && key == "strategy", part == "cutover" && key == "rehearse", part == "smoke":
		sections["socket"] = "listen = 80"
	case part == "cutover" && (key == "listen" || key == "proxy"):
		sections["cutover"] = "strategy = \"relay\""
		if key == "proxy" {
			sections["cutover"] += "\nlisten = 80"
		}
		sections["env"] = ""
	case part == "config":
		sections["config"] = `s3 = "s3://shop-config"`
		sections["dirs"] = `configuration = { name = "shop" }`
	case e.Section == "environment.cloud_init": // is the choice that has been made
	case part == "build":
		sections["build"] = `steps = [["make"]]`
	case part == "environment":
		sections["environment"] = `command = "bin/x"`
	}
	beside := map[string]string{
		"source.digest": `archive = "web.zip"`, "source.strip": `archive = "web.zip"`,
		"source.archive":  `digest = "sha256:` + strings.Repeat("0", 64) + `"`,
		"source.revision": `git = "/srv/git/web"`, "source.branch": `git = "/srv/git/web"`,
		"source.tag": `git = "/srv/git/web"`, "source.commit": `git = "/srv/git/web"`,
		"health.port": `http = "/"`, "health.status": `http = "/"`, "health.body": `http = "/"`,
		"source.version": `package = "web"`, "services.x.socket.mode": `listen = "/run/a"`, "services.x.socket.user": `listen = "/run/a"`,
		"services.x.socket.group": `listen = "/run/a"`, "services.x.socket.backlog": `listen = 80`,
		"socket.mode": `listen = "/run/a"`, "socket.user": `listen = "/run/a"`, "socket.group": `listen = "/run/a"`, "socket.backlog": `listen = 80`,
	}
	if e.Section == "systemd.Socket" {
		sections["socket"] = "listen = 80"
	}
	if strings.HasPrefix(e.Section, "dirs") {
		sections["dirs"] = ""
	}
	lines := []string{}
	for line := range strings.Lines(sections[e.Section]) {
		again := strings.HasPrefix(line, "listen ") && strings.Contains(beside[e.Section+"."+key], "listen")
		if !again && !strings.HasPrefix(line, key+" ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	sections[e.Section] = strings.Join(append(lines, e.Line, beside[e.Section+"."+key]), "\n")
	text := sections[""] + "\n"
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if name != "" {
			text += "[" + name + "]\n" + sections[name] + "\n"
		}
	}
	return text
}

func TestReferencePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/reference/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff("docs/reference/manifest.md", page, "manifest.Reference()", manifest.Reference()); d != nil {
		t.Errorf("run go run ./internal/gen:\n%s", d)
	}
}
