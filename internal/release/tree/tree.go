// Package tree writes and reads the files of one release.
//
// A Writer takes entries from an unpacker or a copier, in any order and from
// anybody, and puts them below an *os.Root. It knows every entry it has made,
// so it can say no before the file system is asked: nothing absolute, no "..",
// nothing through a link, no second entry of one name, no link that leads out
// however many links it goes through, no more entries and bytes than the
// limits say. The *os.Root is the second wall behind that. What an entry says
// of its own size is never believed.
//
// Walk and Digest read a tree back. Digest, and the Summary a Writer ends
// with, name the content of a tree: the same files give the same digest
// whether they came as a directory, a tar or a zip archive or a git commit.
//
// The package knows no archive format and no release id.
package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// The modes everything in a release has.
const (
	DirMode  = 0o750
	FileMode = 0o640
	ExecMode = 0o750
)

// The limits where a manifest sets none.
const (
	DefaultBytes = 2 << 30
	DefaultFiles = 200_000
)

// The longest names that can be used as absolute paths later, and a depth that
// no real release reaches.
const (
	maxName  = 255
	maxPath  = 3840
	maxDepth = 128
)

// Limits say how large a tree may become.
type Limits struct {
	Bytes int64 // content of all files together; 0: DefaultBytes
	Files int   // entries of every kind, directories too; 0: DefaultFiles
}

// OrDefault is l with its zeros filled in.
func (l Limits) OrDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Files <= 0 {
		l.Files = DefaultFiles
	}
	return l
}

// Summary is what a whole tree comes to.
type Summary struct {
	Content string // "sha256:HEX" over the canonical listing, see Digest
	Bytes   int64  // content of all files
	Files   int    // regular files
}

// Kind is the kind of an entry, as the canonical listing writes it.
type Kind byte

// The kinds of entry a release can hold.
const (
	Dir  Kind = 'd'
	File Kind = 'f'
	Exec Kind = 'x' // a file that somebody may execute
	Link Kind = 'l' // a symbolic link
)

// node is one entry that is known.
type node struct {
	kind   Kind
	target string // of a link
	size   int64
	sum    [sha256.Size]byte
	attr   *Attr // nil but in a root file system
	again  bool  // it is another name of a file that is counted already
}

// nodes are the entries of a tree by their clean names.
type nodes map[string]*node

// summary computes the digest over the canonical listing: a first line
// "landfast tree 1", then one line for every entry, sorted by the bytes of its
// name, of kind, size, sha256 of the content or of the link's target, and name.
// Directories have size 0 and no sum. Names hold no newline, so every line can
// be read in one way only.
//
// The listing of a root file system has a first line of its own and, before each
// name, owner, group, mode and capabilities; its top is the entry "." in it.
// Which names share a file does not count.
func (ns nodes) summary(top *node) Summary {
	names := make([]string, 0, len(ns))
	for name := range ns {
		names = append(names, name)
	}
	slices.Sort(names)
	var s Summary
	h := sha256.New()
	line := []byte("landfast tree 1\n")
	if top != nil {
		line = fmt.Appendf(nil, "landfast root file system 1\nd 0 - %s.\n", top.attr.line())
	}
	for _, name := range names {
		n := ns[name]
		sum := "-"
		switch n.kind {
		case File, Exec:
			sum = hex.EncodeToString(n.sum[:])
			s.Files++
			if !n.again {
				s.Bytes += n.size
			}
		case Link:
			target := sha256.Sum256([]byte(n.target))
			sum = hex.EncodeToString(target[:])
		}
		line = fmt.Appendf(line, "%c %d %s %s%s\n", n.kind, n.size, sum, n.attr.line(), name)
		h.Write(line)
		line = line[:0]
	}
	h.Write(line)
	s.Content = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return s
}

// Clean splits the name of an entry into its components and refuses one that
// no release may hold. "./" and doubled or trailing slashes are dropped; the
// top itself has no components.
func Clean(name string) ([]string, error) {
	switch {
	case strings.ContainsAny(name, "\x00\n"):
		return nil, refuse(name, "its name holds a NUL or a newline")
	case strings.HasPrefix(name, "/"):
		return nil, refuse(name, "its name is an absolute path")
	case len(name) > maxPath:
		return nil, refuse(name[:64]+"...", "its name is %d bytes long, %d are allowed", len(name), maxPath)
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return nil, refuse(name, `its name goes up with ".."`)
		case len(part) > maxName:
			return nil, refuse(name, "a part of its name is %d bytes long, %d are allowed", len(part), maxName)
		}
		parts = append(parts, part)
	}
	if len(parts) > maxDepth {
		return nil, refuse(name, "it lies %d directories deep, %d are allowed", len(parts), maxDepth)
	}
	return parts, nil
}

// refuse is the error for an entry that no release may hold.
func refuse(name, why string, args ...any) error {
	return &landfast.Error{
		Kind: landfast.Invalid,
		Msg:  fmt.Sprintf("the release may not hold %q: %s", name, fmt.Sprintf(why, args...)),
	}
}

// Refuse is the error for an entry of a kind that no release may hold, for
// unpackers that see more of an entry than a Writer does.
func Refuse(name, why string) error { return refuse(name, "%s", why) }
