package source

import (
	"archive/tar"
	"context"
	"fmt"
	"io"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// notRootFS is the error for a source that does not keep owners reliably.
func notRootFS(what string) error {
	return &landfast.Error{
		Kind: landfast.Invalid, Msg: what + " cannot be the root file system of a machine: it does not keep owners",
		Hint: "pack it as root: tar --numeric-owner -C ROOT -czf rootfs.tar.gz .",
	}
}

// paxCapability is the PAX record in which tar --xattrs keeps the capabilities
// of a file.
const paxCapability = "SCHILY.xattr.security.capability"

// unpackRootEntry gives an entry of a tar stream to w, which writes a root file
// system, with its owner and mode. Owners are the numbers of the archive; its
// names of users are those of the machine that packed it.
func unpackRootEntry(ctx context.Context, r io.Reader, h *tar.Header, strip int, w *tree.Writer) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeChar, tar.TypeBlock:
		return tree.Refuse(h.Name, "it is a device; leave it out, a machine has a /dev of its own")
	case tar.TypeFifo:
		return tree.Refuse(h.Name, "it is a named pipe")
	}
	name, ok, err := stripName(h.Name, strip)
	if err != nil {
		return err
	}
	attr := tree.Attr{UID: h.Uid, GID: h.Gid, Mode: uint32(h.Mode & 0o7777)}
	if !ok {
		if parts, err := tree.Clean(h.Name); h.Typeflag != tar.TypeDir || err != nil || len(parts) < strip {
			return err
		}
		name = "." // the root directory itself
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return w.DirAs(name, attr)
	case tar.TypeReg, tar.TypeGNUSparse:
		return unpackRootFile(ctx, r, h, name, attr, w)
	case tar.TypeSymlink:
		return w.SymlinkAs(name, h.Linkname, attr)
	case tar.TypeLink:
		existing, ok, err := stripName(h.Linkname, strip)
		if err != nil || !ok {
			return tree.Refuse(h.Name, fmt.Sprintf("it is a hard link that leads out of the release, to %s", h.Linkname))
		}
		return w.Hardlink(ctx, name, existing)
	}
	return tree.Refuse(h.Name, fmt.Sprintf("it is of the unknown type %q", h.Typeflag))
}

func unpackRootFile(ctx context.Context, r io.Reader, h *tar.Header, name string, attr tree.Attr, w *tree.Writer) error {
	if h.Size > w.Remaining() {
		return w.TooLarge()
	}
	if text, ok := h.PAXRecords[paxCapability]; ok {
		attr.Capability = []byte(text)
	}
	return w.FileAs(ctx, name, attr, h.Size, r)
}
