package adopt_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
)

// packages are those whose services are adopted: the ones that ship the units of
// nginx, redis, postgresql, haproxy and openssh-server.
var packages = []string{"nginx-common", "redis-server", "redis-sentinel", "postgresql-common", "haproxy", "openssh-server"}

// download fetches packages ($3...) of the suite whose image is at $1 into $2/debs
// and unpacks their files to $2/root. It uses the host's apt with the image's
// sources and keys, and changes neither.
const download = `set -e
image=$1 dir=$2
shift 2
mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/debs" "$dir/root"
set -- -q -o APT::Sandbox::User=root -o Dir::Etc="$image/etc/apt" -o Dir::Etc::trustedparts="$image/etc/apt/trusted.gpg.d" \
	-o Dir::State="$dir/state" -o Dir::Cache="$dir/cache" -o Dir::State::status="$image/var/lib/dpkg/status" -- "$@"
options() { while [ "$1" != -- ]; do printf '%s\n' "$1"; shift; done; }
names() { while [ "$1" != -- ]; do shift; done; shift; printf '%s\n' "$@"; }
apt-get $(options "$@") update
cd "$dir/debs"
apt-get $(options "$@") download $(names "$@")
for d in *.deb; do dpkg-deb -x "$d" "$dir/root"; done
rm -rf "$dir/state" "$dir/cache" "$dir/debs"`

// unpacked is a directory with the files of the packages. It is fetched once and
// kept with the images.
func unpacked(t *testing.T, suite string) string {
	t.Helper()
	image, err := lab.Image(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := lab.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	// An image that is built anew brings new packages with it.
	dir := filepath.Join(cache, "units", filepath.Base(filepath.Dir(image)))
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "root")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "part-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(part) })
	out, err := exec.CommandContext(t.Context(), "sh", append([]string{"-c", download, "sh", image, part}, packages...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("fetch %s of %s: %v\n%s", strings.Join(packages, ", "), suite, err, out)
	}
	if err := os.Rename(part, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	return filepath.Join(dir, "root")
}

// unitFiles are the unit files below a directory, by name.
func unitFiles(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, at := range []string{"lib/systemd/system", "usr/lib/systemd/system"} {
		found, err := filepath.Glob(filepath.Join(root, at, "*.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			text, err := os.ReadFile(f)
			if err != nil {
				continue // a directory with drop-ins
			}
			files[filepath.Base(f)] = string(text)
		}
	}
	return files
}
