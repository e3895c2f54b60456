package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// file reads a secret that lies on the host. One that others than root can read is
// refused: it would be no secret. One line end behind it is not part of it, since
// editors and echo add one.
func (g *getter) file(name string) ([]byte, error) {
	text, err := g.private(name)
	if err != nil {
		return nil, err
	}
	return WithoutLineEnd(text), nil
}

// sealed reads a credential that systemd decrypts.
func (g *getter) sealed(name string) ([]byte, error) {
	return g.onHost(name, func(fs.FileInfo) error { return nil })
}

// private reads a file of the host that must be root's alone.
func (g *getter) private(name string) ([]byte, error) { return readPrivate(g.Root, name) }

func readPrivate(root, name string) ([]byte, error) {
	return readOnHost(root, name, func(info fs.FileInfo) error {
		st, ok := info.Sys().(*syscall.Stat_t)
		if perm := info.Mode().Perm(); perm&0o027 != 0 || perm&0o040 != 0 && ok && st.Gid != 0 {
			return &landfast.Error{
				Kind: landfast.Invalid, Msg: fmt.Sprintf("%s can be read or written by others than root (mode %04o)", name, perm),
				Hint: "chmod 600 " + name,
			}
		}
		if ok && int(st.Uid) != os.Geteuid() && st.Uid != 0 {
			return &landfast.Error{Kind: landfast.Invalid, Msg: name + " belongs to somebody else than root", Hint: "chown root: " + name}
		}
		return nil
	})
}

func (g *getter) onHost(name string, check func(fs.FileInfo) error) ([]byte, error) {
	return readOnHost(g.Root, name, check)
}

// readOnHost reads a file of the machine at root, once check has seen what it is.
func readOnHost(root, name string, check func(fs.FileInfo) error) ([]byte, error) {
	f, err := os.OpenFile(filepath.Join(root, name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "there is no file " + name}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: name + " is not a file"}
	}
	if err := check(info); err != nil {
		return nil, err
	}
	return atMost(f)
}

// readAtMost reads a file below root that can be a credential.
func readAtMost(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return atMost(f)
}

func atMost(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxCredential+1))
	if err == nil && len(text) > maxCredential {
		err = &landfast.Error{Kind: landfast.Invalid, Msg: "it is larger than 1 MiB, which is what systemd takes"}
	}
	return text, err
}

// WithoutLineEnd takes one line end off the end of a text.
func WithoutLineEnd(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
		if n > 1 && text[n-2] == '\r' {
			text = text[:n-2]
		}
	}
	return text
}

// Write makes the file of a secret of kind file hold value, in one rename, with
// directories above it that only root may enter.
func (s *Sources) Write(one landfast.Secret, value []byte) error {
	switch {
	case one.Kind != landfast.SecretFile:
		return &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s comes from %s %s", one.Name, one.Kind, one.Location),
			Hint: "change it there, then `landfast secrets refresh`",
		}
	case len(value) == 0:
		return &landfast.Error{Kind: landfast.Invalid, Msg: "the value is empty", Hint: "give it on the standard input"}
	case len(value) > maxCredential:
		return &landfast.Error{Kind: landfast.Invalid, Msg: "the value is larger than 1 MiB, which is what systemd takes"}
	}
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	name := strings.TrimPrefix(path.Clean(one.Location), "/")
	parts := strings.Split(path.Dir(name), "/")
	for i := range parts {
		dir := strings.Join(parts[:i+1], "/")
		if _, err := root.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			mode := fs.FileMode(0o700)
			if dir == "etc" || dir == "etc/landfast" {
				mode = 0o755
			}
			if err := atomicfile.Mkdir(root, dir, atomicfile.Mode(mode)); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(root, name, value, atomicfile.Mode(0o600))
}
