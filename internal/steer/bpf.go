package steer

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// to is the address of what the kernel is to read or write.
func to[T any](v *T) pointer { return pointer{p: unsafe.Pointer(v)} }

// text is a string as C has it.
func text(s string) pointer { return to(&append([]byte(s), 0)[0]) }

// bpf is bpf(2): attr is the part of its union for cmd.
func bpf[T any](cmd int, attr *T) (int, error) {
	for range 20 {
		r, _, e := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
		switch {
		case e == 0:
			return int(r), nil
		case e != unix.EAGAIN && e != unix.EINTR: // the verifier gives up on any signal
			return -1, e
		}
	}
	return -1, unix.EAGAIN
}

// object is a map, program or link of the kernel that this process holds.
type object int

func (o object) close() { _ = unix.Close(int(o)) }

// create makes a kernel object.
func create[T any](cmd int, attr *T) (object, error) {
	fd, err := bpf(cmd, attr)
	return object(fd), err
}

// The shape of the table.
const (
	keySize    = int(unsafe.Sizeof(key{}))
	valueSize  = 8 // a file descriptor when written, a socket's cookie when read
	maxEntries = 4096
	kernelName = "landfast_steer" // what bpftool shows
)

func newMap() (object, error) {
	attr := struct {
		kind, key, value, entries, flags, inner, node uint32
		name                                          [16]byte
	}{kind: unix.BPF_MAP_TYPE_SOCKHASH, key: uint32(keySize), value: valueSize, entries: maxEntries}
	copy(attr.name[:15], kernelName)
	return create(unix.BPF_MAP_CREATE, &attr)
}

// loadProgram has the kernel verify a program.
func loadProgram(code []instruction) (object, error) {
	attr := struct {
		kind, count       uint32
		code, license     pointer
		logLevel, logSize uint32
		log               pointer
		version, flags    uint32
		name              [16]byte
		device, attach    uint32
	}{
		kind: unix.BPF_PROG_TYPE_SK_LOOKUP, count: uint32(len(code)), code: to(&code[0]), license: text("MIT"),
		attach: unix.BPF_SK_LOOKUP,
	}
	copy(attr.name[:15], kernelName)
	o, err := create(unix.BPF_PROG_LOAD, &attr)
	if err == nil || errors.Is(err, unix.EPERM) {
		return o, err
	}
	log := make([]byte, 1<<16) // only asked for now: it costs time
	attr.logLevel, attr.logSize, attr.log = 1, uint32(len(log)), to(&log[0])
	if o, err = create(unix.BPF_PROG_LOAD, &attr); err == nil {
		return o, nil
	}
	if said := bytes.TrimSpace(bytes.TrimRight(log, "\x00")); len(said) > 0 {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return -1, err
}

// attach attaches a program to a network namespace, for as long as the link is held
// or pinned.
func attach(program object, namespace int) (object, error) {
	attr := struct{ program, target, kind, flags uint32 }{uint32(program), uint32(namespace), unix.BPF_SK_LOOKUP, 0}
	return create(unix.BPF_LINK_CREATE, &attr)
}

// replace puts a program in the place of a link's present one, at once.
func replace(link, program object) error {
	attr := struct{ link, program, flags, old uint32 }{link: uint32(link), program: uint32(program)}
	_, err := bpf(unix.BPF_LINK_UPDATE, &attr)
	return err
}

type pinAttr struct {
	path  pointer
	fd, _ uint32
}

func pin(o object, path string) error {
	_, err := bpf(unix.BPF_OBJ_PIN, &pinAttr{path: text(path), fd: uint32(o)})
	return err
}

func pinned(path string) (object, error) { return create(unix.BPF_OBJ_GET, &pinAttr{path: text(path)}) }

// info reads what the kernel tells of an object into v; what is pinned under a name
// may be anything, so the first field must be checked.
func info[T any](o object, v *T) error {
	attr := struct {
		fd, size uint32
		info     pointer
	}{uint32(o), uint32(unsafe.Sizeof(*v)), to(v)}
	_, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, &attr)
	return err
}

// mapInfo begins as struct bpf_map_info does.
type mapInfo struct{ kind, _, key, value, _, _ uint32 }

// linkInfo begins as struct bpf_link_info does, for a network namespace.
type linkInfo struct{ kind, _, program, _, namespace, attach uint32 }

// linkOfNamespace is BPF_LINK_TYPE_NETNS.
const linkOfNamespace = 5

type entryAttr struct {
	table, _   uint32
	key, value pointer // for BPF_MAP_GET_NEXT_KEY, value is the next key
	_          uint64
}

// put makes the kernel steer k to the socket with the file descriptor fd.
func put(table object, k key, fd int) error {
	value := uint64(fd)
	_, err := bpf(unix.BPF_MAP_UPDATE_ELEM, &entryAttr{table: uint32(table), key: to(&k), value: to(&value)})
	return err
}

// drop forgets k, and reports whether there was anything to forget.
func drop(table object, k key) (bool, error) {
	_, err := bpf(unix.BPF_MAP_DELETE_ELEM, &entryAttr{table: uint32(table), key: to(&k)})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// cookie is that of the socket behind k; ok is false when there is none.
func cookie(table object, k key) (value uint64, ok bool, err error) {
	_, err = bpf(unix.BPF_MAP_LOOKUP_ELEM, &entryAttr{table: uint32(table), key: to(&k), value: to(&value)})
	if errors.Is(err, unix.ENOENT) {
		return 0, false, nil
	}
	return value, err == nil, err
}

// keys lists the keys of the table. One that goes meanwhile makes the kernel start
// over, so each is listed once, and a round has an end.
func keys(table object) ([]key, error) {
	var all []key
	seen := map[key]bool{}
	attr := entryAttr{table: uint32(table)}
	for range maxEntries {
		var next key
		attr.value = to(&next)
		_, err := bpf(unix.BPF_MAP_GET_NEXT_KEY, &attr)
		if errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return nil, err
		}
		if !seen[next] {
			seen[next] = true
			all = append(all, next)
		}
		attr.key = to(&next)
	}
	return all, nil
}
