package lab

import (
	"os"
	"os/exec"
	"strings"

	"github.com/landfast/landfast"
)

// Check says what this host lacks to boot machines; nil when it lacks nothing.
func Check() error {
	if os.Geteuid() != 0 {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot boot a machine without being root", Hint: "run it with sudo"}
	}
	var missing []string
	for _, need := range []struct{ program, pkg string }{
		{"systemd-nspawn", "systemd-container"},
		{"mmdebstrap", "mmdebstrap"},
	} {
		if _, err := exec.LookPath(need.program); err != nil {
			missing = append(missing, need.pkg)
		}
	}
	if len(missing) > 0 {
		return &landfast.Error{
			Kind: landfast.Unavailable,
			Msg:  "cannot boot a machine: systemd-nspawn and mmdebstrap are needed",
			Hint: "apt-get install " + strings.Join(missing, " "),
		}
	}
	_, err := hierarchies(false)
	return err
}
