package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// putSet makes the directory in/id with files in it, by one rename.
func putSet(root *os.Root, in, id string, files map[string][]byte, dir, file atomicfile.Attr) error {
	part := in + "/." + id + ".part"
	if err := root.RemoveAll(part); err != nil {
		return err
	}
	if err := atomicfile.Mkdir(root, part, dir); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		above := strings.Split(path.Dir(name), "/")
		for i := range above {
			if above[0] == "." {
				break
			}
			if err := atomicfile.Mkdir(root, path.Join(part, path.Join(above[:i+1]...)), dir); err != nil {
				return err
			}
		}
		if err := atomicfile.WriteFile(root, path.Join(part, name), files[name], file); err != nil {
			return err
		}
	}
	return atomicfile.Rename(root, part, in+"/"+id)
}

// readSet reads the files below a directory; there are none when it is missing.
func readSet(root *os.Root, dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := root.ReadFile(name)
		files[strings.TrimPrefix(name, dir+"/")] = text
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return files, err
}

// discard removes a set, the links of releases to it, and directories that are empty
// then.
func discard(root *os.Root, sets, notes, id string) error {
	if err := root.RemoveAll(sets + "/." + id + ".part"); err != nil {
		return err
	}
	links, err := fs.ReadDir(root.FS(), notes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, l := range links {
		if to, err := readLink(root, notes+"/"+l.Name()); err != nil || to != id {
			continue
		}
		if err := removeLink(root, notes+"/"+l.Name()); err != nil {
			return err
		}
	}
	if err := removeSet(root, sets, id); err != nil {
		return err
	}
	for _, dir := range []string{notes, sets} {
		_ = root.Remove(dir)
	}
	return nil
}

// removeSet takes its name away first, so that half of it is never believed.
func removeSet(root *os.Root, in, id string) error {
	if _, err := root.Lstat(in + "/" + id); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	gone := in + "/." + id + ".part"
	if err := atomicfile.Rename(root, in+"/"+id, gone); err != nil {
		return err
	}
	return root.RemoveAll(gone)
}

// sweep removes the sets in a directory that are not needed, and what was left of
// those that were never complete.
func sweep(root *os.Root, dir string, needed map[string]bool) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case needed[e.Name()]:
		case strings.HasPrefix(e.Name(), "."):
			err = root.RemoveAll(dir + "/" + e.Name())
		default:
			err = removeSet(root, dir, e.Name())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readLink(root *os.Root, name string) (string, error) {
	target, err := root.Readlink(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return path.Base(target), err
}

func removeLink(root *os.Root, name string) error {
	if _, err := root.Lstat(path.Dir(name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return atomicfile.Remove(root, name)
}

// checkNames refuses files of configuration that could not lie in a directory.
func checkNames(location string, files map[string][]byte) error {
	for name := range files {
		bad := name == "" || !fs.ValidPath(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
		for dir := path.Dir(name); dir != "." && dir != "/" && !bad; dir = path.Dir(dir) {
			_, bad = files[dir]
		}
		if bad {
			return &landfast.Error{
				Kind: landfast.Invalid, Msg: fmt.Sprintf("%q below %s cannot be a file in a directory", name, location), Hint: "rename the object",
			}
		}
	}
	return nil
}
