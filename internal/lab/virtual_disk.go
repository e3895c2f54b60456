package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	hostDir     = "/host" // where the machine sees what it is given of the host
	agentInside = "/usr/local/sbin/landfast-lab-agent"
	guestAddr   = "198.18.7.1" // of the range for benchmarks (RFC 2544)
	hostAddr    = "198.18.7.254"
	agentPort   = "7"
	diskSize    = 2 << 30 // bytes; a hole until written
)

// virtualInit is the first process, before it becomes systemd: what systemd shall
// find mounted is mounted already.
const virtualInit = `#!/bin/sh
mount -t hostfs -o ro none ` + hostDir + ` && . ` + hostDir + `/setup && exec /lib/systemd/systemd "$@"
echo "landfast-lab: the machine could not be set up" >/dev/console
exec sleep infinity
`

// virtualSetup is sourced by it; the directives are the machine's id and name. It
// writes only what differs: after a power cut the files may be empty.
const virtualSetup = `set -e
have() { [ "$(cat "$1" 2>/dev/null)" = "$2" ] || printf '%%s\n' "$2" >"$1"; }
show() {
	[ -e "$2" ] || { mkdir -p "$(dirname "$2")"; : >"$2"; }
	mount --bind ` + hostDir + `/$1 "$2"
}
have /etc/machine-id %[1]s
have /etc/hostname %[2]s
have /etc/hosts "127.0.0.1 localhost %[2]s"
ip addr add ` + guestAddr + `/24 dev vec0
ip link set vec0 up
`

// virtualAgent is early, so that it can be asked what the boot is waiting for.
const virtualAgent = `[Unit]
DefaultDependencies=no
After=sysinit.target
Conflicts=shutdown.target

[Service]
Environment=PATH=` + searchPath + `
ExecStart=` + agentInside + " " + guestAddr + ":" + agentPort + `
OOMPolicy=continue
OOMScoreAdjust=-1000
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`

// virtualMasked are units that do nothing on this kernel but take their time.
var virtualMasked = []string{
	"modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
	"modprobe@fuse.service", "modprobe@loop.service", "systemd-modules-load.service", "proc-sys-fs-binfmt_misc.automount",
	"getty@tty1.service", "console-getty.service",
}

// virtualDisk gives the disk that virtual machines of a suite begin with: the
// image of the suite and the agent, as a file system. It is made when absent, in a
// second or two, and kept in CacheDir like the images.
func virtualDisk(ctx context.Context, suite string, packages []string) (string, error) {
	root, err := Image(ctx, suite, packages...)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Append(nil, virtualInit, virtualAgent, virtualMasked, diskSize))
	disks := filepath.Join(cache, "disks")
	dir := filepath.Join(disks, filepath.Base(filepath.Dir(root))+"-"+hex.EncodeToString(sum[:6]))
	disk := filepath.Join(dir, "disk")
	if complete(dir) {
		return disk, nil
	}
	if err := os.MkdirAll(disks, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of disks: %w", err)
	}
	if err := removeUnused(disks); err != nil {
		return "", err
	}
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return "", fmt.Errorf("wait for the disk of %s: %w", suite, err)
	}
	defer func() { _ = lock.Close() }()
	if complete(dir) { // another process made it meanwhile
		return disk, nil
	}
	if err := makeDisk(ctx, root, dir); err != nil {
		return "", fmt.Errorf("make the disk of %s: %w", suite, err)
	}
	return disk, nil
}

// makeDisk builds beside dir and renames. It runs under the disk's lock.
func makeDisk(ctx context.Context, root, dir string) error {
	part := dir + ".part"
	for _, old := range []string{part, dir} {
		if err := removeTree(old); err != nil {
			return err
		}
	}
	upper, tree := filepath.Join(part, "upper"), filepath.Join(part, "tree")
	for _, d := range []string{upper, filepath.Join(part, "work"), tree} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := writeVirtualFiles(upper); err != nil {
		return err
	}
	if err := mountOverlay(root, upper, filepath.Join(part, "work"), tree); err != nil {
		return err
	}
	err := makeFileSystem(ctx, tree, filepath.Join(part, "disk"))
	for _, d := range []string{tree, upper, filepath.Join(part, "work")} {
		err = errors.Join(err, removeTree(d))
	}
	if err != nil {
		return errors.Join(err, removeTree(part))
	}
	if err := os.WriteFile(filepath.Join(part, imageDone), nil, 0o644); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "sync", "-f", part).CombinedOutput(); err != nil {
		return fmt.Errorf("sync %s: %w: %s", part, err, bytes.TrimSpace(out))
	}
	return os.Rename(part, dir)
}

func makeFileSystem(ctx context.Context, tree, disk string) error {
	f, err := os.Create(disk)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", tree, disk).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// writeVirtualFiles writes what the disk has beyond the image.
func writeVirtualFiles(top string) error {
	const units = "/etc/systemd/system"
	for _, d := range []string{hostDir, "/usr/local/sbin", units + "/multi-user.target.wants"} {
		if err := os.MkdirAll(top+d, 0o755); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		path, text string
		mode       os.FileMode
	}{
		{"/etc/fstab", "", 0o644},
		{initPath, virtualInit, 0o755},
		{agentInside, "", 0o755},
		{units + "/landfast-lab-agent.service", virtualAgent, 0o644},
	} {
		if err := os.WriteFile(top+f.path, []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	if err := os.Symlink("../landfast-lab-agent.service", top+units+"/multi-user.target.wants/landfast-lab-agent.service"); err != nil {
		return err
	}
	for _, u := range virtualMasked {
		if err := os.Symlink("/dev/null", top+units+"/"+u); err != nil {
			return err
		}
	}
	return nil
}
