package tree_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/release/tree"
)

// The digest names root file systems on disk, so its listing must never change.
func TestTheDigestOfARootFileSystemIsThatOfTheListing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to others")
	}
	root := newRoot(t)
	w := tree.NewRootFS(root, tree.Limits{}, nil)
	defer w.Close()
	err := errors.Join(
		w.SymlinkAs("sbin/sh", "/bin/su", tree.Attr{UID: 1, GID: 2}),
		w.FileAs(t.Context(), "bin/su", tree.Attr{GID: 5, Mode: 0o4750}, 2, strings.NewReader("#!")),
		w.Hardlink(t.Context(), "bin/sudo", "bin/su"),
		w.FileAs(t.Context(), "note", tree.Attr{UID: 65535, Mode: 0o600}, 4, strings.NewReader("text")),
		w.DirAs("tmp", tree.Attr{Mode: 0o1777}),
		w.DirAs("./", tree.Attr{Mode: 0o711}),
	)
	if err != nil {
		t.Fatal(err)
	}
	listing := "landfast root file system 1\n" +
		"d 0 - 0 0 0711 - .\n" +
		"d 0 - 0 0 0755 - bin\n" +
		"x 2 " + sum("#!") + " 0 5 4750 - bin/su\n" +
		"x 2 " + sum("#!") + " 0 5 4750 - bin/sudo\n" +
		"f 4 " + sum("text") + " 65535 0 0600 - note\n" +
		"d 0 - 0 0 0755 - sbin\n" +
		"l 0 " + sum("/bin/su") + " 1 2 0000 - sbin/sh\n" +
		"d 0 - 0 0 1777 - tmp\n"
	want := tree.Summary{Content: "sha256:" + sum(listing), Bytes: 6, Files: 3}
	if got, err := w.Finish(); got != want || err != nil {
		t.Errorf("Finish() = %+v, %v, want %+v", got, err, want)
	}
	if got, err := tree.DigestRootFS(t.Context(), root, tree.Limits{Bytes: 6}); got != want || err != nil {
		t.Errorf("DigestRootFS() = %+v, %v, want %+v", got, err, want)
	}
}
