// Command witness is an app of the machine tests: it says on its standard output
// how it was started, what it sees and what it may do, as one line of JSON, and
// stays until it is stopped.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// Report is what the witness says.
type Report struct {
	Args, Env     []string
	UID, GID      int
	Groups        []int
	Umask         string
	Files, Core   uint64 // soft limits
	Dir, Program  string
	Dirs          map[string]string // by variable: mode and owner
	Seen, Refused map[string]string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 && os.Args[1] == "print" {
		fmt.Println(strings.Join(os.Args[2:], "\n"))
		return nil
	}
	// Before the system is asked anything: a stop may come at once.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	r, err := look()
	if err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	if path := os.Getenv("NOTIFY_SOCKET"); path != "" {
		conn, err := net.Dial("unixgram", path)
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte("READY=1")); err != nil {
			return err
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "once" {
		return nil
	}
	<-stop
	return nil
}

func look() (*Report, error) {
	r := &Report{
		Args: os.Args, Env: os.Environ(), UID: os.Getuid(), GID: os.Getgid(),
		Dirs: map[string]string{}, Seen: map[string]string{}, Refused: map[string]string{},
	}
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	r.Umask = fmt.Sprintf("%04o", mask)
	var err error
	if r.Groups, err = os.Getgroups(); err != nil {
		return nil, err
	}
	if r.Dir, err = os.Getwd(); err != nil {
		return nil, err
	}
	if r.Program, err = os.Executable(); err != nil {
		return nil, err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	r.Files = limit.Cur
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		return nil, err
	}
	r.Core = limit.Cur
	for _, v := range os.Environ() {
		name, path, _ := strings.Cut(v, "=")
		if strings.HasSuffix(name, "_DIR") {
			r.dir(name, path)
		}
	}
	for _, path := range []string{r.Dir, filepath.Dir(r.Program), "/usr", "/etc"} {
		r.write("write "+path, path)
	}
	for _, path := range []string{"/home", "/var/lib/landfast", "/usr/share/doc", "/proc/self", "/dev/null", "/run/systemd/journal/socket", "/etc/shadow"} {
		r.Seen[path] = "yes"
		if _, err := os.Stat(path); err != nil {
			r.Seen[path] = last(err)
		}
	}
	if conn, err := net.Dial("unixgram", "/run/systemd/journal/socket"); err == nil {
		_, err = conn.Write([]byte("MESSAGE=heard from " + strings.Join(os.Args[1:], " ") + "\n"))
		r.Refused["journal"] = last(err)
	} else {
		r.Refused["journal"] = last(err)
	}
	return r, nil
}

// dir tells of a directory, and tries to write there.
func (r *Report) dir(name, path string) {
	info, err := os.Stat(path)
	if err != nil {
		r.Dirs[name] = last(err)
		return
	}
	st, _ := info.Sys().(*syscall.Stat_t)
	r.Dirs[name] = fmt.Sprintf("%04o %d:%d", info.Mode().Perm(), st.Uid, st.Gid)
	r.write("write "+name, path)
}

func (r *Report) write(what, dir string) {
	r.Refused[what] = last(os.WriteFile(filepath.Join(dir, "written"), nil, 0o666))
}

// last is the last part of what an error says; "" for none.
func last(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()[strings.LastIndex(err.Error(), ": ")+1:]
}
