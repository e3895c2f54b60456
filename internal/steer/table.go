package steer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Dir is where the program and the table of this host are pinned: in the place that
// hosts have for it, or, in containers that do not show that, in one of our own.
func Dir() string {
	const usual, own = "/sys/fs/bpf", "/run/landfast/bpf"
	if _, err := os.Stat(usual); err != nil {
		return own + "/landfast"
	}
	return usual + "/landfast"
}

// Names in a directory of pins. The kernel allows no dots in them.
const (
	tableName = "table"
	linkName  = "link"
	newSuffix = "-new" // of what is not believed yet
)

// Table is what the kernel steers in this network namespace. Its methods may be
// called from many goroutines and processes at once.
type Table struct {
	dir   string
	table object
}

// Open opens what is pinned in dir, and loads it first when it is not all there. It
// needs no rights but to the pins unless something has to be loaded; see Load.
func Open(ctx context.Context, dir string) (*Table, error) {
	if table, err := present(dir); table >= 0 || err != nil {
		return opened(dir, table, err)
	}
	return Load(ctx, dir)
}

// Look opens what is pinned in dir as Open does, but loads nothing: nil when there is
// nothing.
func Look(dir string) (*Table, error) {
	table, err := present(dir)
	if table < 0 && err == nil {
		return nil, nil
	}
	return opened(dir, table, err)
}

// Load is Open that puts the program of this version in the place of the one that is
// attached, at once and for good, until the next boot. It mounts the BPF file system
// where there is none. It needs CAP_BPF and CAP_NET_ADMIN, CAP_SYS_ADMIN to mount, and
// is idempotent; concurrent calls wait for each other.
func Load(ctx context.Context, dir string) (*Table, error) {
	if err := lasting(dir); err != nil {
		return nil, err
	}
	return load(ctx, dir, program)
}

func load(ctx context.Context, dir string, program func(object) []instruction) (*Table, error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	table, err := ensure(dir, program)
	return opened(dir, table, err)
}

func opened(dir string, table object, err error) (*Table, error) {
	if err != nil {
		return nil, explain(err)
	}
	return &Table{dir: dir, table: table}, nil
}

// Close closes the table; what is pinned goes on.
func (t *Table) Close() { t.table.close() }

// present opens the table when it and the link are pinned and good; -1 otherwise. An
// error is of something that loading cannot mend.
func present(dir string) (object, error) {
	link, err := openLink(dir)
	if link < 0 || err != nil {
		return -1, err
	}
	link.close()
	return openTable(dir)
}

// openTable opens the table; -1 when there is none.
func openTable(dir string) (object, error) {
	path := filepath.Join(dir, tableName)
	table, err := pinned(path)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	var i mapInfo
	err = info(table, &i)
	if err == nil && (i.kind != unix.BPF_MAP_TYPE_SOCKHASH || int(i.key) != keySize || i.value != valueSize) {
		err = &landfast.Error{
			Kind: landfast.Conflict, Msg: path + " is of another version of landfast, or not of landfast at all",
			Hint: fmt.Sprintf("`rm -r %s` ends its steering; then restart the apps that are steered", dir),
		}
	}
	if err != nil {
		table.close()
		return -1, err
	}
	return table, nil
}

// openLink opens the link; -1 when there is none, or its network namespace is gone.
func openLink(dir string) (object, error) {
	path := filepath.Join(dir, linkName)
	link, err := pinned(path)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	var i linkInfo
	here, err := ownNamespace()
	if err == nil {
		err = info(link, &i)
	}
	switch {
	case err != nil:
	case i.kind != linkOfNamespace || i.attach != unix.BPF_SK_LOOKUP:
		err = &landfast.Error{
			Kind: landfast.Conflict, Msg: path + " is not of landfast",
			Hint: fmt.Sprintf("remove what is in %s", dir),
		}
	case i.namespace == 0:
		link.close()
		return -1, nil
	case uint64(i.namespace) != here:
		err = &landfast.Error{
			Kind: landfast.Conflict, Msg: fmt.Sprintf("what is pinned in %s steers in another network than that of this process", dir),
			Hint: hintNetwork,
		}
	}
	if err != nil {
		link.close()
		return -1, err
	}
	return link, nil
}

// ensure makes the pins whole and the program present; the lock is held. The order
// matters: the link is changed last, so a process that is killed leaves what steers
// as it was, or done.
func ensure(dir string, program func(object) []instruction) (_ object, err error) {
	raiseMemlock()
	for _, name := range []string{tableName, linkName} {
		if err := os.Remove(filepath.Join(dir, name+newSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return -1, err
		}
	}
	table, err := openTable(dir)
	if err != nil {
		return -1, err
	}
	if table < 0 {
		if table, err = newMap(); err != nil {
			return -1, fmt.Errorf("make the table: %w", err)
		}
		if err := publish(table, dir, tableName); err != nil {
			table.close()
			return -1, err
		}
	}
	if err := ensureLink(dir, program(table)); err != nil {
		table.close()
		return -1, err
	}
	return table, nil
}

// ensureLink makes the link attach this code.
func ensureLink(dir string, code []instruction) error {
	prog, err := loadProgram(code)
	if err != nil {
		return fmt.Errorf("load the program: %w", err)
	}
	defer prog.close()
	link, err := openLink(dir)
	if err != nil {
		return err
	}
	if link >= 0 {
		defer link.close()
		return named("replace the program", replace(link, prog))
	}
	here, err := os.Open(namespacePath)
	if err != nil {
		return err
	}
	defer here.Close()
	if link, err = attach(prog, int(here.Fd())); err != nil {
		return fmt.Errorf("attach the program: %w", err)
	}
	defer link.close()
	return publish(link, dir, linkName)
}

// publish pins an object under a name, in the place of what has it. The kernel makes
// pins 0600.
func publish(o object, dir, name string) error {
	path := filepath.Join(dir, name)
	if err := pin(o, path+newSuffix); err != nil {
		return fmt.Errorf("pin %s: %w", path, err)
	}
	return os.Rename(path+newSuffix, path)
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// namespacePath is the network namespace of this thread; no thread of the program is
// in another one.
const namespacePath = "/proc/self/ns/net"

func ownNamespace() (uint64, error) { return namespaceOf(namespacePath) }

// lasting refuses to load where it would be for nothing: in a network of its own, as a
// unit with PrivateNetwork= has; and where the BPF file system would have to be mounted
// by a process that has mounts of its own, for its pins would end with it. Commands of
// a sandboxed unit have both, with + in front or not. What counts is process 1, of the
// host or of the container.
func lasting(dir string) error {
	if differs("net") {
		return &landfast.Error{
			Kind: landfast.Invalid, Msg: "this process has a network of its own, and connections cannot be steered from one network to another",
			Hint: hintNetwork,
		}
	}
	is, err := isBPF(filepath.Dir(dir))
	if err == nil && !is && differs("mnt") {
		return &landfast.Error{
			Kind: landfast.Unavailable, Msg: fmt.Sprintf("the BPF file system is not mounted at %s, and this process cannot mount it for the host", filepath.Dir(dir)),
			Hint: "run `landfast steer load` first, as landfast-steer.service does at boot",
		}
	}
	return err
}

// differs reports whether this process is in another namespace than process 1; false
// when that is not for us to see.
func differs(namespace string) bool {
	here, err := namespaceOf("/proc/self/ns/" + namespace)
	first, err1 := namespaceOf("/proc/1/ns/" + namespace)
	return err == nil && err1 == nil && here != first
}

const hintNetwork = "leave out PrivateNetwork=, or use the cutover strategy relay"

// namespaceOf is the number of a namespace.
func namespaceOf(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// raiseMemlock makes room for the table on kernels before 5.11, which count it as
// locked memory. Where it is not allowed, making the table says so.
func raiseMemlock() {
	most := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &most)
}

// prepare makes the directory of the pins, and mounts the file system it belongs to.
func prepare(dir string) error {
	parent := filepath.Dir(dir)
	if err := mount(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// mount mounts the BPF file system at root, once, however many try.
func mount(root string) error {
	is, err := isBPF(root)
	if is || err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	below, err := os.Open(root)
	if err != nil {
		return err
	}
	defer below.Close()
	// Whoever waits here has the directory below, and then finds the mount on it.
	if err := unix.Flock(int(below.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", root, err)
	}
	if is, err := isBPF(root); is || err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("bpf", root, "bpf", flags, "mode=0700"); err != nil {
		return &landfast.Error{
			Kind: landfast.Unavailable, Msg: "cannot mount the BPF file system at " + root, Err: err,
			Hint: "it takes root, and in a container often the leave of the host: `mount -t bpf bpf " + root + "` there",
		}
	}
	return nil
}

// isBPF reports whether root is there and of a BPF file system.
func isBPF(root string) (bool, error) {
	var st unix.Statfs_t
	err := unix.Statfs(root, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && uint32(st.Type) == unix.BPF_FS_MAGIC, named("look at "+root, err)
}

// lock waits until this process is the only one that changes what is in dir. The
// kernel takes the lock from a process that dies.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("wait for another process that changes %s: %w", dir, err)
		}
	}
}

// pause waits, for as long as ctx allows.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
