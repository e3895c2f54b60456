package systemd_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/systemd"
)

// failures are units that cannot start, and what a person is told about each.
var failures = []struct{ name, text, words string }{
	{"missing command", "[Service]\nType=exec\nExecStart=/no/such/command\n", "the command could not be executed"},
	{"not executable", "[Service]\nType=exec\nExecStart=/etc/hostname\n", "the command could not be executed"},
	{"missing user", "[Service]\nType=exec\nUser=nobody-here\nExecStart=/bin/true\n", "its user does not exist"},
	{"missing group", "[Service]\nType=exec\nGroup=nobody-here\nExecStart=/bin/true\n", "its group does not exist"},
	{"missing directory", "[Service]\nType=exec\nWorkingDirectory=/no/such\nExecStart=/bin/true\n", "its working directory cannot be entered"},
	{"missing path in the sandbox", "[Service]\nType=exec\nReadWritePaths=/no/such\nExecStart=/bin/true\n", "its view of the file system"},
	{"missing credential", "[Service]\nType=exec\nLoadCredential=a:/no/such\nExecStart=/bin/true\n", "its credentials cannot be provided"},
	{"missing environment file", "[Service]\nType=exec\nEnvironmentFile=/no/such\nExecStart=/bin/true\n", "systemd could not get what it needs"},
	{"exit status", "[Service]\nType=oneshot\nExecStart=/bin/sh -c \"exit 7\"\n", "the process exited with status 7"},
	{"command before it", "[Service]\nType=oneshot\nExecStartPre=/bin/false\nExecStart=/bin/true\n", "a command beside the main one failed: ExecStartPre=/bin/false, status 1"},
	{"signal", "[Service]\nType=oneshot\nExecStart=/bin/sh -c \"kill -KILL $$$$\"\n", "the process was killed by SIGKILL"},
	{"crash", "[Service]\nType=oneshot\nLimitCORE=0\nExecStart=/bin/sh -c \"kill -SEGV $$$$\"\n", "SIGSEGV"},
	{"ends before it is ready", "[Service]\nType=notify\nExecStart=/bin/true\n", "before it was ready"},
	{"never ready", "[Service]\nType=notify\nTimeoutStartSec=100ms\nExecStart=/bin/sleep infinity\n", "within its timeout"},
	{"requirement", "[Unit]\nRequires=landfast-required.service\nAfter=landfast-required.service\n[Service]\nExecStart=/bin/true\n", "a unit that it requires did not start"},
	{"assertion", "[Unit]\nAssertPathExists=/no/such\n[Service]\nExecStart=/bin/true\n", "an assertion in its unit file does not hold"},
	{"bad setting", "[Service]\nType=oneshot\n", "systemd cannot load its unit file"},
	{"restarts by itself", "[Service]\nType=exec\nRestart=always\nRestartSec=10\nExecStart=/no/such/command\n", "the command could not be executed"},
}

func TestExplainMachines(t *testing.T) {
	labtest.Require(t)
	for _, name := range labtest.Suites() {
		t.Run(name, func(t *testing.T) {
			m := labtest.Boot(t, lab.Options{Suite: name})
			bus := connect(t, m)
			write(t, m, "landfast-required.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
			for i, f := range failures {
				unit := "landfast-failure-" + string(rune('a'+i)) + ".service"
				t.Run(f.name, func(t *testing.T) {
					write(t, m, unit, f.text)
					explained(t, bus.Start(t.Context(), unit), f.words)
				})
			}
			t.Run("started too often", func(t *testing.T) {
				write(t, m, "landfast-often.service", "[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=1h\n[Service]\nType=oneshot\nExecStart=/bin/false\n")
				explained(t, bus.Start(t.Context(), "landfast-often.service"), "the process exited with status 1")
				explained(t, bus.Start(t.Context(), "landfast-often.service"), "it was started too often")
				if err := bus.ResetFailed(t.Context(), "landfast-often.service"); err != nil {
					t.Fatal(err)
				}
				explained(t, bus.Start(t.Context(), "landfast-often.service"), "the process exited with status 1")
			})
			t.Run("masked", func(t *testing.T) {
				labtest.Run(t, m, "systemctl", "mask", "--runtime", "landfast-masked.service")
				explained(t, bus.Start(t.Context(), "landfast-masked.service"), "masked")
			})
		})
	}
}

// explained fails the test unless err has the words in it.
func explained(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil {
		t.Fatal("it started")
	}
	t.Log(err)
	if !strings.Contains(err.Error(), words) {
		job, _ := errors.AsType[*systemd.JobError](err)
		t.Errorf("want %q in it; job error: %+v", words, job)
	}
}

func connect(t *testing.T, m *lab.Machine) *systemd.Bus {
	t.Helper()
	bus, err := systemd.ConnectAddress(t.Context(), m.Bus())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
	return bus
}

func write(t *testing.T, m *lab.Machine, unit, text string) {
	t.Helper()
	if err := m.WriteFile(filepath.Join("/etc/systemd/system", unit), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
