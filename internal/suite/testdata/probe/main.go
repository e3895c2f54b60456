// Command probe is the app that the suite deploys: it tells how it was started,
// and behaves as the file release.json of its release says.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Release is the content of release.json.
type Release struct {
	Version string
	Behave  string // "": well
}

// Report is what the probe tells of itself.
type Report struct {
	Version string
	Release string // the directory that the process runs in
	PID     int
	Args    []string
	Env     []string
	UID     int
	GID     int
	Groups  []int
	Umask   string
	Files   uint64 // RLIMIT_NOFILE
	Written map[string]string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func run() error {
	rel, err := readRelease()
	if err != nil {
		return err
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "dump": // into the state directory, under a name
			return dump(rel, os.Args[2])
		case "check", "migrate", "after":
			return command(rel, os.Args[1])
		}
	}
	return serve(rel)
}

func readRelease() (Release, error) {
	var rel Release
	text, err := os.ReadFile("release.json")
	if err != nil {
		return rel, err
	}
	return rel, json.Unmarshal(text, &rel)
}

func dump(rel Release, name string) error {
	text, err := json.Marshal(report(rel))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(os.Getenv("STATE_DIR"), name+".json"), text, 0o600)
}

func command(rel Release, name string) error {
	fmt.Println("this is", name, "of version", rel.Version)
	if rel.Behave == "fail "+name {
		return fmt.Errorf("%s: the table guests has no column size", name)
	}
	return nil
}

func serve(rel Release) error {
	fmt.Println("this is version", rel.Version)
	if rel.Behave == "exit" {
		return fmt.Errorf("cannot open the database: no such table")
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if rel.Behave == "mute" {
		fmt.Println("warming up, for ever")
		<-term
		return nil
	}
	l, err := listen()
	if err != nil {
		return err
	}
	if rel.Behave == "deaf" {
		_ = l.Close()
	} else {
		go accept(l, rel)
	}
	if err := tell("READY=1"); err != nil {
		return err
	}
	if rel.Behave == "die" {
		<-time.After(300 * time.Millisecond)
		return fmt.Errorf("out of ideas")
	}
	<-term
	if rel.Behave == "stubborn" {
		<-time.After(time.Hour)
	}
	return nil
}

// listen takes the socket that systemd hands over, or opens $PORT.
func listen() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		return net.FileListener(os.NewFile(3, "socket"))
	}
	return net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
}

func accept(l net.Listener, rel Release) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go answer(c, rel)
	}
}

// answer speaks as much HTTP as a health check needs.
func answer(c net.Conn, rel Release) {
	defer c.Close()
	head := make([]byte, 4096)
	n, err := c.Read(head)
	if err != nil {
		return
	}
	status, body := "200 OK", []byte("well\n")
	switch line := string(head[:n]); {
	case !strings.HasPrefix(line, "GET /healthz "):
		if body, err = json.Marshal(report(rel)); err != nil {
			return
		}
	case rel.Behave == "hang":
		<-time.After(time.Hour)
	case rel.Behave == "sick", rel.Behave == "sickens" && there("/run/sick"):
		fmt.Println("asked for my health: the disk of the guests is gone")
		status, body = "503 Service Unavailable", []byte("no guests\n")
	}
	fmt.Fprintf(c, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func there(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func tell(state string) error {
	addr := os.Getenv("NOTIFY_SOCKET")
	if addr == "" {
		return nil
	}
	c, err := net.Dial("unixgram", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}

func report(rel Release) Report {
	r := Report{
		Version: rel.Version, PID: os.Getpid(), Args: os.Args, Env: os.Environ(),
		UID: os.Getuid(), GID: os.Getgid(), Written: map[string]string{},
	}
	r.Release, _ = os.Getwd()
	r.Release, _ = filepath.EvalSymlinks(r.Release)
	r.Groups, _ = os.Getgroups()
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	r.Umask = fmt.Sprintf("%04o", mask)
	var limit syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	r.Files = limit.Max
	r.tryToWrite()
	return r
}

// tryToWrite notes what it could write that belongs to the releases, and to the
// system.
func (r *Report) tryToWrite() {
	top := filepath.Dir(filepath.Dir(r.Release))
	for _, dir := range []string{r.Release, filepath.Dir(r.Release), top, "/etc", "/usr"} {
		r.note(dir, os.WriteFile(filepath.Join(dir, "written"), nil, 0o600))
	}
	r.note("release.json", os.WriteFile(filepath.Join(r.Release, "release.json"), nil, 0o600))
	r.note("chmod release.json", os.Chmod(filepath.Join(r.Release, "release.json"), 0o777))
	r.note("remove release.json", os.Remove(filepath.Join(r.Release, "release.json")))
	r.note("current", os.Rename(filepath.Join(top, "current"), filepath.Join(top, "gone")))
}

func (r *Report) note(what string, err error) {
	r.Written[what] = ""
	if err != nil {
		r.Written[what] = err.Error()
	}
}
