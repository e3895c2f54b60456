// Package hostile builds the archives that somebody would make to get out of a
// release: the same list for the tests of the unpackers and for the suite that
// runs the real program on a machine. It is test data; nothing of it belongs
// into the program.
//
// Every archive either must be refused, or is allowed and must unpack to
// exactly what it says. None may change anything outside of the directory it is
// unpacked into.
package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Canary is a name that hostile entries try to write outside of the release. A
// test puts a file of this name beside the directory it unpacks into.
const Canary = "canary"

// Case is one archive.
type Case struct {
	Name    string // also its file name, with a suffix
	Archive []byte
	// Entry is in the message of the refusal; "" when the archive as a whole is
	// at fault.
	Entry string
	// Allowed says that the archive is unpacked.
	Allowed bool
}

// Limits are those under which the cases that are too large are refused. Every
// other case is far below them.
const (
	MaxBytes = 8 << 20
	MaxFiles = 1000
)

// Cases are all archives.
func Cases() []Case {
	var all []Case
	for _, e := range tars() {
		all = append(all, Case{Name: e.name + ".tar", Archive: Tar(e.entries...), Entry: e.entry, Allowed: e.allowed})
	}
	for _, e := range zips() {
		all = append(all, Case{Name: e.name + ".zip", Archive: Zip(e.entries...), Entry: e.entry, Allowed: e.allowed})
	}
	return append(all, raw()...)
}

// Write writes every archive into dir and gives the paths by the names of the
// cases.
func Write(dir string) (map[string]string, error) {
	paths := map[string]string{}
	for _, c := range Cases() {
		path := filepath.Join(dir, c.Name)
		if err := os.WriteFile(path, c.Archive, 0o644); err != nil {
			return nil, err
		}
		paths[c.Name] = path
	}
	return paths, nil
}

// Entry is one entry of an archive. The zero Mode is 0644.
type Entry struct {
	Name   string
	Type   byte // as in tar; 0 is a file
	Link   string
	Mode   int64
	UID    int // tar
	GID    int
	Body   string
	PAX    map[string]string
	System byte // zip: who made the entry; 0 is Unix
}

// Tar is an archive of entries. It fails only when this package is wrong.
func Tar(entries ...Entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.Name, Typeflag: e.Type, Linkname: e.Link, Mode: e.mode(), Uid: e.UID, Gid: e.GID, PAXRecords: e.PAX,
			ModTime: time.Unix(1_700_000_000, 0),
		}
		switch e.Type {
		case 0:
			h.Typeflag = tar.TypeReg
		case tar.TypeXGlobalHeader:
			h = &tar.Header{Typeflag: e.Type, PAXRecords: e.PAX}
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(e.Body))
		}
		must(w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(e.Body))
			must(err)
		}
	}
	must(w.Close())
	return b.Bytes()
}

// Zip is an archive of entries; of the types it knows files, directories,
// symbolic links, devices and pipes.
func Zip(entries ...Entry) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.Name, Method: zip.Deflate}
		mode := fs.FileMode(e.mode() & 0o777)
		body := e.Body
		for bit, set := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
			if e.Mode&bit != 0 {
				mode |= set
			}
		}
		switch e.Type {
		case tar.TypeSymlink:
			mode |= fs.ModeSymlink
			body = e.Link
		case tar.TypeDir:
			mode |= fs.ModeDir
		case tar.TypeChar:
			mode |= fs.ModeDevice | fs.ModeCharDevice
		case tar.TypeBlock:
			mode |= fs.ModeDevice
		case tar.TypeFifo:
			mode |= fs.ModeNamedPipe
		}
		h.SetMode(mode)
		if e.System != 0 {
			h.CreatorVersion = uint16(e.System)<<8 | 20
		}
		f, err := w.CreateHeader(h)
		must(err)
		if !strings.HasSuffix(e.Name, "/") {
			_, err = f.Write([]byte(body))
			must(err)
		}
	}
	must(w.Close())
	return b.Bytes()
}

// Gzip compresses data.
func Gzip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func (e Entry) mode() int64 {
	switch {
	case e.Mode != 0:
		return e.Mode
	case e.Type == tar.TypeDir:
		return 0o755
	}
	return 0o644
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("hostile: %v", err))
	}
}
