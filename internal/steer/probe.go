package steer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Probe finds out whether this process could load the program here and steer with it,
// by doing each of it in a way that ends with the call: nil, or why not. Pins would
// go to dir. Its error has Kind Unavailable, and is fs.ErrPermission (errors.Is) when
// others on this host may well be able to.
func Probe(dir string) error {
	raiseMemlock()
	table, err := newMap()
	if err != nil {
		return explain(fmt.Errorf("make a table: %w", err))
	}
	defer table.close()
	prog, err := loadProgram(program(table))
	if err != nil {
		return explain(fmt.Errorf("load a program: %w", err))
	}
	defer prog.close()
	here, err := os.Open(namespacePath)
	if err != nil {
		return err
	}
	defer here.Close()
	// The table is empty, so this changes nothing for anybody.
	link, err := attach(prog, int(here.Fd()))
	if err != nil {
		return explain(fmt.Errorf("attach a program: %w", err))
	}
	link.close()
	if err := probeTaking(table); err != nil {
		return explain(err)
	}
	if _, err := listeners(1); err != nil {
		return err
	}
	if is, err := isBPF(filepath.Dir(dir)); is || err != nil {
		return err
	}
	if !capable(unix.CAP_SYS_ADMIN) {
		return &landfast.Error{
			Kind: landfast.Unavailable, Msg: "the BPF file system is not mounted at " + filepath.Dir(dir),
			Err: unix.EPERM, Hint: "run as root",
		}
	}
	return nil
}

// probeTaking takes a file descriptor from this process itself.
func probeTaking(o object) error {
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer func() { _ = unix.Close(self) }()
	fd, err := unix.PidfdGetfd(self, int(o), 0)
	if err != nil {
		return fmt.Errorf("pidfd_getfd: %w", err)
	}
	return unix.Close(fd)
}

// explain says what an error of the kernel means. An error that has been explained
// stays as it is.
func explain(err error) error {
	if _, ok := errors.AsType[*landfast.Error](err); ok || err == nil {
		return err
	}
	e := &landfast.Error{Kind: landfast.Unavailable, Msg: "the kernel cannot steer here", Err: err}
	switch {
	case errors.Is(err, os.ErrPermission) && os.Geteuid() != 0:
		e.Msg, e.Hint = "steering takes rights that this process does not have", "run as root"
	case errors.Is(err, os.ErrPermission):
		e.Msg = "the kernel cannot steer here, although this is root: a container, a sandbox or a lockdown refuses it"
		e.Hint = "it takes the system calls bpf and pidfd_getfd (systemd-nspawn --system-call-filter=), and to load also CAP_BPF and CAP_NET_ADMIN"
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		e.Hint = fmt.Sprintf("it takes Linux 5.9 with CONFIG_BPF_SYSCALL, and this is %s", kernel())
	default:
		e.Kind = landfast.Internal
	}
	return e
}

// kernel is the release of the running kernel.
func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// capable reports whether this process has a capability.
func capable(c uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[c/32].Effective&(1<<(c%32)) != 0
}
