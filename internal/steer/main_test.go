package steer_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/landfast/landfast/internal/atomicfile/crashtest"
	"github.com/landfast/landfast/internal/leaktest"
)

// envInside is set in the process that has a network and mounts of its own.
const envInside = "LANDFAST_STEER_TEST_INSIDE"

// TestMain runs the tests as root as process 1 of a small container: with a network
// and mounts of their own, so that nothing of the host is changed.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("LANDFAST_CRASHTEST_ACT") != "":
		crashtest.Main(m, acts)
	case os.Geteuid() != 0:
		leaktest.Main(m)
	case os.Getenv(envInside) != "":
		err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("proc", "/proc", "proc", 0, ""))
		if err != nil {
			panic(err)
		}
		leaktest.Main(m)
	default:
		os.Exit(inside())
	}
}

func inside() int {
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(os.Environ(), envInside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the tests in a network of their own:", err)
		return 1
	}
	return 0
}
