package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Path is the path on the host of a file inside the machine, with the symbolic
// links on the way followed as the machine would follow them, the last one too.
// It need not exist. While the machine is on it sees what a process inside sees,
// /run and /tmp too; while it is off, the disk.
func (m *Machine) Path(p string) string {
	root := m.disk()
	if l := m.Leader(); l != 0 {
		root = fmt.Sprintf("/proc/%d/root", l)
	}
	return resolve(root, p)
}

// resolve follows the links of a path below root. An absolute target starts at
// root again, which is what opening root/p on the host would get wrong.
func resolve(root, p string) string {
	const most = 40 // as the kernel has it
	rest := strings.Split(p, "/")
	at := "/"
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join(at, name) // ".." never leaves "/"
		target, err := os.Readlink(root + next)
		if err != nil || links == most {
			at = next
			continue
		}
		links++
		rest = append(strings.Split(target, "/"), rest...)
		if filepath.IsAbs(target) {
			at = "/"
		}
	}
	return root + at
}

// ReadFile reads a file of the machine.
func (m *Machine) ReadFile(p string) ([]byte, error) { return os.ReadFile(m.Path(p)) }

// WriteFile writes a file of the machine, with exactly that mode, and makes the
// directories above it where they are missing.
func (m *Machine) WriteFile(p string, data []byte, mode os.FileMode) error {
	path := m.Path(p)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s in %s: %w", p, m.Name, err)
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		return fmt.Errorf("write %s in %s: %w", p, m.Name, err)
	}
	// The mode of a new file has the umask taken out, that of an old one is kept.
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("write %s in %s: %w", p, m.Name, err)
	}
	return nil
}
