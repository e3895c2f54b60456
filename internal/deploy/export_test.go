package deploy

import (
	"os"

	"github.com/landfast/landfast"
)

// ErrDied ends a run as kill -9 would.
var ErrDied = errDied

// SetFault makes f decide at each named point: nil goes on, ErrDied dies there,
// any other error is the failure of what was to be done.
func (e *Engine) SetFault(f func(point string) error) { e.fault = f }

// SetTwice makes every do and every undo run twice.
func (e *Engine) SetTwice() { e.twice = true }

// Decode reads the text of a journal.
func Decode(b []byte) error {
	_, err := decode(b)
	return err
}

// MachineStarts checks the root file system of a machine.
func MachineStarts(files *os.Root, current string, s *landfast.Service) error {
	return machineStarts(files, current, s)
}
