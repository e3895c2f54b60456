package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/landfast/landfast"
)

// What systemd-nspawn starts and asks for, as its source has it: the programs
// that --boot tries, the path that a bare name is looked for on, and the files by
// which it knows an operating system.
func initPaths() []string {
	return []string{"usr/lib/systemd/systemd", "lib/systemd/systemd", "sbin/init"}
}

func programPaths() []string {
	return []string{"usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"}
}

func osReleases() []string { return []string{"etc/os-release", "usr/lib/os-release"} }

// machineStarts looks for what would make the start of a machine fail for
// certain: files is its root file system.
func machineStarts(files *os.Root, current string, s *landfast.Service) error {
	if s.Machine != nil && s.Machine.Boot {
		if err := firstInside(files, osReleases(), isFile); err != nil {
			return noMachine(err, "no etc/os-release, without which systemd-nspawn boots nothing", "pack the whole root file system of a distribution, or set boot = false and a command")
		}
		if s.Machine.PrivateUsers {
			if err := firstInside(files, []string{"var"}, fs.FileInfo.IsDir); err != nil {
				return noMachine(err, "no directory var, which is in memory while the machine runs", "pack the directory, if empty")
			}
		}
		err := firstInside(files, initPaths(), isProgram)
		return noMachine(err, "no init that can be run: none of "+strings.Join(initPaths(), ", "), "install systemd or another init in it, or set boot = false and a command")
	}
	if err := firstInside(files, []string{"usr"}, fs.FileInfo.IsDir); err != nil {
		return noMachine(err, "no directory usr, without which systemd-nspawn starts nothing", "pack the root directory itself: tar -C ROOT -cf rootfs.tar .")
	}
	program := s.Command.Argv[0]
	if rel, ok := strings.CutPrefix(program, current+"/"); ok {
		program = "/" + rel
	}
	tried := []string{program}
	if !strings.Contains(program, "/") {
		tried = tried[:0]
		for _, dir := range programPaths() {
			tried = append(tried, dir+"/"+program)
		}
	}
	err := firstInside(files, tried, isProgram)
	return noMachine(err, fmt.Sprintf("no program %s that can be run", program), "correct [service] command, or what the root file system contains; links in it are followed as inside")
}

// noMachine says what a root file system lacks, when err is that it is not there.
func noMachine(err error, lacks, hint string) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &landfast.Error{Kind: landfast.Invalid, Msg: "the root file system has " + lacks, Hint: hint}
}

func isFile(info fs.FileInfo) bool    { return info.Mode().IsRegular() }
func isProgram(info fs.FileInfo) bool { return info.Mode().IsRegular() && info.Mode()&0o111 != 0 }

// firstInside looks for the first of several paths that is what it should be.
// None is fs.ErrNotExist.
func firstInside(files *os.Root, paths []string, is func(fs.FileInfo) bool) error {
	for _, p := range paths {
		info, err := inside(files, p)
		switch {
		case err == nil && is(info):
			return nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return fs.ErrNotExist
}

// maxLinks is how many links one path may lead through (path_resolution(7)).
const maxLinks = 40

// inside resolves a path as a process whose root directory is files would:
// absolute links start there, and ".." does not lead out. A circle of links, and
// a file in place of a directory, are fs.ErrNotExist as well.
func inside(files *os.Root, name string) (fs.FileInfo, error) {
	at, todo := ".", strings.Split(name, "/")
	info, err := files.Lstat(at)
	for links := 0; err == nil && len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			info, err = files.Lstat(at)
			continue
		}
		if !info.IsDir() {
			return nil, fs.ErrNotExist
		}
		next := path.Join(at, part)
		var found fs.FileInfo
		if found, err = files.Lstat(next); err != nil {
			break
		}
		if found.Mode()&fs.ModeSymlink == 0 {
			at, info = next, found
			continue
		}
		if links++; links > maxLinks {
			return nil, fs.ErrNotExist
		}
		var target string
		if target, err = files.Readlink(next); err != nil {
			break
		}
		if strings.HasPrefix(target, "/") {
			at = "."
			info, err = files.Lstat(at)
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return info, err
}
