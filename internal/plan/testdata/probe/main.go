// Command probe is the app of the machine test: it tells how it was started and
// what it may do.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Report is what the probe tells.
type Report struct {
	Program string // with symbolic links resolved
	Args    []string
	Env     []string
	Refused map[string]string // what it tried, and what it was told; "" when it could
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	report := Report{Program: program, Args: os.Args, Env: os.Environ(), Refused: map[string]string{}}
	if len(os.Args) > 1 && (os.Args[1] == "stop" || os.Args[1] == "prepare") {
		text, err := json.Marshal(report)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(os.Getenv("SHARED"), os.Args[1]+".json"), text, 0o640)
	}
	for _, kind := range []string{"RUNTIME_DIR", "CONFIGURATION_DIR", "LOGS_DIR", "STATE_DIR", "CACHE_DIR", "TMP_DIR", "SHARED"} {
		try(report.Refused, "write "+kind, os.WriteFile(filepath.Join(os.Getenv(kind), "written"), []byte(kind), 0o600))
	}
	for _, dir := range []string{".", "..", "../..", "/etc", "/usr", "/var/lib", "/srv", "/home", "/root"} {
		try(report.Refused, "write "+dir, os.WriteFile(filepath.Join(dir, "written"), nil, 0o600))
	}
	_, err = os.ReadFile(filepath.Join(os.Getenv("CONFIGURATION_DIR"), "app.conf"))
	try(report.Refused, "read configuration", err)
	_, err = net.Interfaces()
	try(report.Refused, "list interfaces", err)
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		return err
	}
	return serve(report)
}

// serve answers on the two sockets that systemd hands over.
func serve(report Report) error {
	ended := make(chan error)
	for fd := range uintptr(2) {
		l, err := net.FileListener(os.NewFile(3+fd, "socket"))
		if err != nil {
			return err
		}
		go func() {
			ended <- http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(report)
			}))
		}()
	}
	return <-ended
}

func try(refused map[string]string, what string, err error) {
	refused[what] = ""
	if err != nil {
		refused[what] = err.Error()[strings.LastIndex(err.Error(), ": ")+1:]
	}
}
