// Package labtest gives tests machines of package lab.
//
// It is the place that decides when such a test runs at all: with LANDFAST_LAB=1
// in the environment, as "make test" has it, and then a host that cannot boot
// machines fails the test. Without it the test is skipped, never passed.
package labtest

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/lab"
)

// Require skips the test unless LANDFAST_LAB is 1, and fails it when it is and
// this host cannot boot machines.
func Require(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots machines: left out with -short")
	}
	if os.Getenv("LANDFAST_LAB") != "1" {
		t.Skip("boots machines: set LANDFAST_LAB=1 (make test does)")
	}
	if err := lab.Check(); err != nil {
		t.Fatal(err)
	}
}

// Suites lists the suites to test on: LANDFAST_LAB_SUITES, or Debian 12 and 13.
func Suites() []string {
	if s := strings.Fields(os.Getenv("LANDFAST_LAB_SUITES")); len(s) > 0 {
		return s
	}
	return []string{"bookworm", "trixie"}
}

// Boot boots a machine that is closed when the test ends. When the test failed,
// the end of the machine's journal is in its log.
func Boot(t testing.TB, o lab.Options) *lab.Machine {
	t.Helper()
	Require(t)
	m, err := lab.Boot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the journal of %s (%s):\n%s", m.Name, m.Suite.Name, journalEnd(m))
		}
		if err := m.Close(); err != nil {
			t.Errorf("close the machine: %v", err)
		}
	})
	return m
}

// Machine is Boot of a machine that has landfast, as built from this tree, at
// /usr/local/bin/landfast.
func Machine(t testing.TB, suite string) *lab.Machine {
	t.Helper()
	Require(t)
	return Boot(t, lab.Options{Suite: suite, Binds: []lab.Bind{Landfast(t)}})
}

// Landfast is the program as built from this tree, to be added to the binds of
// a machine.
func Landfast(t testing.TB) lab.Bind {
	t.Helper()
	path, err := landfast()
	if err != nil {
		t.Fatal(err)
	}
	return lab.Bind{Host: path, Inside: "/usr/local/bin/landfast"}
}

// landfast builds the program once in a test process.
var landfast = sync.OnceValues(func() (string, error) {
	return lab.Build(context.Background(), "github.com/landfast/landfast/cmd/landfast")
})

// Each runs a test on a fresh machine of each suite, with landfast in it.
func Each(t *testing.T, f func(t *testing.T, m *lab.Machine)) {
	t.Helper()
	Require(t)
	for _, suite := range Suites() {
		t.Run(suite, func(t *testing.T) { f(t, Machine(t, suite)) })
	}
}

// Run runs a program in the machine, which must succeed, and gives its output
// without the last newline.
func Run(t testing.TB, m *lab.Machine, argv ...string) string {
	t.Helper()
	r, err := m.Exec(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", strings.Join(argv, " "), r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSuffix(r.Stdout, "\n")
}

// journalEnd is the last part of a machine's journal. The test's context is
// over by then.
func journalEnd(m interface {
	Journal(ctx context.Context, unit string) (string, error)
	Console() string
},
) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text, err := m.Journal(ctx, "")
	if err != nil {
		return err.Error() + "\n" + m.Console()
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}
