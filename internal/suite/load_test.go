package suite_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/landfast/landfast/internal/lab/load"
)

// goWeb packs releases of the example in examples/go-web, as its maker would.
func goWeb(t *testing.T) map[string][]byte {
	t.Helper()
	out := t.TempDir()
	archives := map[string][]byte{}
	for _, r := range []struct{ version, config string }{
		{"1", "config.json"}, {"2", "config.json"}, {"3", "broken/start.json"},
	} {
		cmd := exec.CommandContext(t.Context(), "make", "--silent", "--no-print-directory", "-C", "../../examples/go-web",
			"VERSION="+r.version, "CONFIG="+r.config, "OUT="+out)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		name := "web-" + r.version + ".tar.gz"
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		archives[name] = text
	}
	return archives
}

// TestNoRequestIsLost is about the example, which drains: under load it goes to the
// next release, does not go to one that cannot start, and goes back.
func TestNoRequestIsLost(t *testing.T) {
	eachHost(t, func(h *host) {
		manifest, err := os.ReadFile("../../examples/go-web/landfast.toml")
		if err != nil {
			h.t.Fatal(err)
		}
		a := h.app("web", 8080)
		h.write(a.dir+"/landfast.toml", string(manifest))
		for name, text := range goWeb(h.t) {
			h.write(a.dir+"/"+name, string(text))
		}
		a.deploy("web-1.tar.gz").code0()
		clients, err := load.Start(h.t.Context(), load.Options{URL: fmt.Sprintf("http://localhost:%d/", a.port), Dial: h.Dial, Workers: 2})
		if err != nil {
			h.t.Fatal(err)
		}
		defer clients.Stop()
		laps := []struct {
			name, last string
			do         func()
		}{
			{"to the next release", "2", func() { a.deploy("web-2.tar.gz").code0() }},
			{"not to one that cannot start", "2", func() { a.deploy("web-3.tar.gz").exits(4) }},
			{"back by hand", "1", func() { a.landfast("rollback").code0() }},
			{"forth again", "2", func() { a.deploy("web-2.tar.gz", "--force").code0() }},
			{"restart", "2", func() { a.landfast("restart").code0() }},
		}
		for _, l := range laps {
			clients.Lap()
			l.do()
			h.eventually("version "+l.last+" answers clients", func() (bool, string) {
				status, body, err := h.get("http://localhost:8080/")
				return status == 200 && err == nil, body
			})
			lap := clients.Lap()
			h.t.Logf("%s: %s", l.name, lap)
			if lap.Failed > 0 || lap.OK == 0 {
				h.t.Errorf("%s: requests failed: %s; the first: %s", l.name, lap, lap.Example)
			}
			if lap.Versions[l.last] == 0 {
				h.t.Errorf("%s: version %s answered nobody: %s", l.name, l.last, lap)
			}
		}
		a.isWell()
	})
}
