package tree

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// MachineIDs is how many users, and as many groups, a machine has: systemd-nspawn
// gives so many to each (systemd-nspawn(1), --private-users=).
const MachineIDs = 1 << 16

// Attr is what an entry of a root file system has beside its content.
type Attr struct {
	UID, GID int
	Mode     uint32 // permission bits with setuid, setgid and sticky; links have none
	// Capability is the security.capability attribute of a file, as
	// capabilities(7) lays it out; nil: none.
	Capability []byte
}

// plainDir is what a directory is that no entry describes.
func plainDir() *Attr { return &Attr{Mode: 0o755} }

// capabilityV2 is VFS_CAP_REVISION_2 and the size of what follows it
// (linux/capability.h). Later revisions name users of the host.
const (
	capabilityV2   = 0x02000000
	capabilityMask = 0xff000000
	capabilitySize = 20
)

// check refuses what a machine could not have.
func (a Attr) check(name string) error {
	for _, id := range []int{a.UID, a.GID} {
		if id < 0 || id >= MachineIDs {
			return refuse(name, "it belongs to %d:%d, and a machine has users and groups 0 to %d", a.UID, a.GID, MachineIDs-1)
		}
	}
	if a.Capability == nil {
		return nil
	}
	if len(a.Capability) != capabilitySize || binary.LittleEndian.Uint32(a.Capability)&capabilityMask != capabilityV2 {
		return refuse(name, "its capabilities are of a form that is not known")
	}
	return nil
}

// NewRootFS is a Writer for the root file system of a machine. Entries keep
// their numeric owners, their modes with setuid, setgid and sticky, and hard
// links; links may lead anywhere, because they are followed inside the machine
// only. Nothing is written through a link here either. Directories that no
// entry describes are root's with mode 0755; times, and attributes other than
// security.capability, are not kept.
//
// Only root may give files away. What is written can be setuid, so root must
// be the tree's own directory and nobody else may enter what it lies in.
func NewRootFS(root *os.Root, limits Limits, progress func(total int64)) *Writer {
	w := NewWriter(root, limits, progress)
	w.top = &node{kind: Dir, attr: plainDir()}
	return w
}

// RootFS reports whether the writer came from NewRootFS. Its entries are given
// by DirAs, FileAs, SymlinkAs and Hardlink.
func (w *Writer) RootFS() bool { return w.top != nil }

// DirAs is Dir with an owner and a mode. The last entry of a directory counts,
// also for the top. They are set when the whole tree is there.
func (w *Writer) DirAs(name string, attr Attr) error {
	attr.Mode, attr.Capability = attr.Mode&0o7777, nil
	if err := attr.check(name); err != nil {
		return err
	}
	if err := w.Dir(name); err != nil {
		return err
	}
	parts, err := Clean(name)
	if err != nil {
		return err
	}
	n := w.top
	if len(parts) > 0 {
		n = w.nodes[strings.Join(parts, "/")]
	}
	n.attr = &attr
	return nil
}

// FileAs is File with an owner and a mode.
func (w *Writer) FileAs(ctx context.Context, name string, attr Attr, size int64, r io.Reader) error {
	attr.Mode &= 0o7777
	if err := attr.check(name); err != nil {
		return err
	}
	return w.file(ctx, name, &attr, attr.Mode&0o111 != 0, size, r)
}

// SymlinkAs is Symlink with an owner. The target may be any path: it is one
// inside the machine.
func (w *Writer) SymlinkAs(name, target string, attr Attr) error {
	attr.Mode, attr.Capability = 0, nil
	if err := errors.Join(attr.check(name), checkText(name, target)); err != nil {
		return err
	}
	name, n, err := w.place(name, Link)
	if err != nil {
		return err
	}
	n.target, n.attr = target, &attr
	if err := w.root.Symlink(target, name); err != nil {
		return err
	}
	return mayNot(name, w.root.Lchown(name, attr.UID, attr.GID))
}

// link makes another name of an entry that is no directory.
func (w *Writer) link(name, existing string, from *node) error {
	name, n, err := w.place(name, from.kind)
	if err != nil {
		return err
	}
	if err := w.pool.wait(); err != nil { // until the file has its content
		return err
	}
	*n = *from
	n.again = true
	return w.root.Link(existing, name)
}

// settle gives a file that has its content the owner and mode it is to have.
// The order matters: a change of the owner takes setuid and capabilities away.
func (n *node) settle(name string, f *os.File) error {
	if n.attr == nil {
		return nil
	}
	if err := f.Chown(n.attr.UID, n.attr.GID); err != nil {
		return mayNot(name, err)
	}
	if err := unix.Fchmod(int(f.Fd()), n.attr.Mode); err != nil {
		return &os.PathError{Op: "chmod", Path: name, Err: err}
	}
	if n.attr.Capability == nil {
		return nil
	}
	if err := unix.Fsetxattr(int(f.Fd()), capabilityName, n.attr.Capability, 0); err != nil {
		return mayNot(name, &os.PathError{Op: "set the capabilities of", Path: name, Err: err})
	}
	return nil
}

// settleDirs gives directories their owners and modes, the deepest first.
func (w *Writer) settleDirs() error {
	var names []string
	for name, n := range w.nodes {
		if n.kind == Dir {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		if err := w.settleDir(name, w.nodes[name]); err != nil {
			return err
		}
	}
	return w.settleDir(".", w.top)
}

func (w *Writer) settleDir(name string, n *node) error {
	d, err := w.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(n.settle(name, d), d.Close())
}

// mayNot explains that only root can keep owners.
func mayNot(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &landfast.Error{
		Kind: landfast.Invalid, Msg: fmt.Sprintf("%s in the root file system cannot be given its owner", name),
		Hint: "run this as root: only root may give files to others", Err: err,
	}
}

// capabilityName is the extended attribute that holds a file's capabilities.
const capabilityName = "security.capability"

// attrOf reads back what an entry has beside its content.
func (e *Entry) attrOf() (*Attr, error) {
	a := &Attr{UID: int(e.Stat.Uid), GID: int(e.Stat.Gid)}
	if e.IsLink() {
		return a, nil
	}
	a.Mode = e.Stat.Mode & 0o7777
	if e.IsDir() {
		return a, nil
	}
	// There is no fgetxattrat in all kernels; /proc names the directory we hold.
	buf := make([]byte, 64)
	n, err := unix.Lgetxattr(path.Join("/proc/self/fd", fmt.Sprint(e.Dir), e.Base), capabilityName, buf)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
	case err != nil:
		return nil, &os.PathError{Op: "read the capabilities of", Path: e.Name, Err: err}
	default:
		a.Capability = buf[:n]
	}
	return a, nil
}

// line is how the canonical listing writes a: owner, group, mode, capabilities.
func (a *Attr) line() string {
	if a == nil {
		return ""
	}
	capability := "-"
	if a.Capability != nil {
		capability = hex.EncodeToString(a.Capability)
	}
	return fmt.Sprintf("%d %d %04o %s ", a.UID, a.GID, a.Mode, capability)
}
