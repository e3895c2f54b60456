package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/landfast/landfast"
)

// customize is run by mmdebstrap with the new root as $1. The host's name must
// not leak into the machines; the journal is kept on disk, so that it is there
// after a restart; an empty machine-id means "not the first boot", and each
// machine gets its own. What a freshly installed system does once (ldconfig, the
// journal's catalog) would be done at every boot, and the timers' work (apt,
// backups) would run in the middle of somebody's test.
const customize = `set -e
rm -f "$1/etc/hostname" "$1/etc/resolv.conf"
mkdir -p "$1/var/log/journal"
: >"$1/etc/machine-id"
rm -rf "$1/var/cache/apt/archives" "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale"
mkdir -p "$1/var/cache/apt/archives/partial"
for t in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
	ln -sf /dev/null "$1/etc/systemd/system/$t.timer"
done
chroot "$1" journalctl --update-catalog
touch -r "$1/usr" "$1/etc/.updated" "$1/var/.updated"`

// imageDone is the last file written into the directory of an image, beside its
// root: a directory without it was never finished.
const imageDone = "complete"

// CacheDir is where images are kept: $XDG_CACHE_HOME/landfast-lab.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(base, "landfast-lab"), nil
}

// Image gives the root file system of a suite with some packages besides those
// every image has. It must not be changed. It is built with mmdebstrap when
// absent, which takes about 20 s (longer by what the packages weigh) and needs
// root and a Debian mirror, and kept in CacheDir: one image per suite and list of
// packages, in whatever order they are named. A build that was cut short leaves
// nothing that is believed, and two processes build one image once.
func Image(ctx context.Context, suite string, packages ...string) (string, error) {
	s, err := SuiteNamed(suite)
	if err != nil {
		return "", err
	}
	s = s.with(packages)
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	images := filepath.Join(cache, "images")
	dir := filepath.Join(images, s.key())
	root := filepath.Join(dir, "root")
	if complete(dir) {
		return root, nil
	}
	if err := os.MkdirAll(images, 0o755); err != nil {
		return "", fmt.Errorf("make the image cache: %w", err)
	}
	// Images of former package lists, which no tree in use asks for any more.
	if err := removeUnused(images); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(images, s.key()+".lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return "", fmt.Errorf("wait for the image of %s: %w", suite, err)
	}
	defer func() { _ = lock.Close() }()
	if complete(dir) { // another process built it meanwhile
		return root, nil
	}
	if err := buildImage(ctx, s, dir); err != nil {
		return "", fmt.Errorf("build the image of %s: %w", suite, err)
	}
	return root, nil
}

// complete tells whether an image is finished, and marks it as used.
func complete(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, imageDone)); err != nil {
		return false
	}
	now := time.Now()
	// Not marking it costs no more than building it again some day.
	_ = os.Chtimes(dir, now, now)
	return true
}

// buildImage builds beside dir and renames. It runs under the image's lock.
func buildImage(ctx context.Context, s Suite, dir string) error {
	part := dir + ".part"
	for _, old := range []string{part, dir} {
		if err := removeTree(old); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(part, 0o755); err != nil {
		return err
	}
	if err := debootstrap(ctx, s, filepath.Join(part, "root")); err != nil {
		return errors.Join(err, removeTree(part))
	}
	if err := os.WriteFile(filepath.Join(part, imageDone), []byte(s.key()+"\n"), 0o644); err != nil {
		return err
	}
	// The marker must not be on disk before what it vouches for.
	if out, err := exec.CommandContext(ctx, "sync", "-f", part).CombinedOutput(); err != nil {
		return fmt.Errorf("sync %s: %w: %s", part, err, bytes.TrimSpace(out))
	}
	return os.Rename(part, dir)
}

func debootstrap(ctx context.Context, s Suite, root string) error {
	args := []string{
		"--variant=apt", "--format=directory", "--quiet",
		"--include=" + strings.Join(s.packages(), ","),
		"--customize-hook=" + customize,
	}
	mirror, options, err := aptFacts(ctx)
	if err != nil {
		return err
	}
	for _, o := range options {
		args = append(args, "--aptopt="+o)
	}
	args = append(args, s.Name, root)
	if mirror != "" {
		args = append(args, mirror)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// mmdebstrap takes its mounts and its temporary files away when asked to
	// stop, and leaves them when killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return &landfast.Error{
			Kind: landfast.Unavailable,
			Msg:  fmt.Sprintf("mmdebstrap %s %s failed\n%s", s.Name, mirror, tail(out.Bytes(), 20)),
			Hint: "check that this machine reaches its Debian mirror, or name one in LANDFAST_LAB_MIRROR",
			Err:  errors.Join(ctx.Err(), err),
		}
	}
	return nil
}

// aptFacts reads from the host's own apt configuration which mirror serves it,
// and the options a build needs to use that mirror: proxies, and whether an
// expired index (of a mirror frozen in time) is taken. The mirror is "" when the
// host is no Debian; mmdebstrap then takes its own.
func aptFacts(ctx context.Context) (mirror string, options []string, err error) {
	dump, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return "", nil, fmt.Errorf("read the apt configuration: %w", err)
	}
	for line := range strings.Lines(string(dump)) {
		line = strings.TrimSpace(line)
		key, _, _ := strings.Cut(line, " ")
		switch strings.ToLower(key) {
		case "acquire::check-valid-until", "acquire::check-date", "acquire::http::proxy", "acquire::https::proxy":
			options = append(options, strings.TrimSuffix(line, ";"))
		}
	}
	if mirror = os.Getenv("LANDFAST_LAB_MIRROR"); mirror != "" {
		return mirror, options, nil
	}
	release, err := osRelease("/etc/os-release")
	if err != nil || release["ID"] != "debian" {
		return "", options, nil //nolint:nilerr // a host that does not say what it is gives no mirror
	}
	targets, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", nil, fmt.Errorf("read the apt sources: %w", err)
	}
	for line := range strings.Lines(string(targets)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[2] == "main" && (f[1] == release["VERSION_CODENAME"] || f[1] == "stable") {
			return f[0], options, nil
		}
	}
	return "", options, nil
}

// osRelease reads the NAME=value lines of os-release(5).
func osRelease(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = strings.Trim(value, `"'`)
		}
	}
	return values, nil
}

// removeTree removes a directory, and whatever is still mounted below it first,
// since removing through a mount would empty what is mounted.
func removeTree(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := unmountBelow(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// tail is the last n lines of text.
func tail(text []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
