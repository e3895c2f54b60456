package systemd

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// How a process ended, as waitid(2) says and ExecMainCode repeats.
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// Explain says in words why a job ended as it did, for people: a clause without
// a capital letter and without a full stop. result is the result of the job, or
// "" when only the state of the unit is of interest.
func Explain(result string, st landfast.UnitStatus) string {
	switch st.Load {
	case "not-found":
		return "systemd knows no such unit"
	case "masked":
		return "the unit is masked, so nothing can start it; `systemctl unmask` takes that back"
	case "bad-setting", "error":
		return "systemd cannot load its unit file; `systemctl status` shows the line"
	}
	switch result {
	case "", "failed", "done", "timeout":
		if st.Result != "" && st.Result != "success" {
			return explainUnit(st)
		}
	}
	return explainJob(result, st)
}

// explainJob explains the results of jobs; systemd, enum JobResult, and
// org.freedesktop.systemd1(5), signal JobRemoved.
func explainJob(result string, st landfast.UnitStatus) string {
	switch result {
	case "", "done":
		return fmt.Sprintf("it is %s (%s)", st.Active, st.Sub)
	case "failed":
		return "it did not come up"
	case "timeout":
		return "the job waited longer than it may (JobTimeoutSec=)"
	case "dependency":
		return "a unit that it requires did not start"
	case "canceled":
		return "another request for the same unit took the place of this one"
	case "skipped":
		return "it is not in a state in which this can be done"
	case "invalid":
		return "it cannot be done with a unit of this kind"
	case "assert":
		return "an assertion in its unit file does not hold (Assert...=)"
	case "unsupported":
		return "this system does not support units of this kind"
	case "collected":
		return "systemd dropped the unit before its turn came"
	case "once":
		return "it can be started only once until the next boot"
	}
	return fmt.Sprintf("systemd ended the job with the result %q", result)
}

// explainUnit explains the results of services and sockets; systemd, enums
// ServiceResult and SocketResult.
func explainUnit(st landfast.UnitStatus) string {
	switch st.Result {
	case "exit-code":
		return explainExit(st)
	case "signal":
		return fmt.Sprintf("the process was killed by %s", signalName(st, "a signal"))
	case "core-dump":
		return fmt.Sprintf("the process crashed with %s", signalName(st, "a core dump"))
	case "timeout":
		return "it did not become ready, or did not stop, within its timeout, and systemd ended it (TimeoutStartSec=, TimeoutStopSec=)"
	case "oom-kill":
		return "the kernel killed it because memory ran out, on the machine or within its own limit (MemoryMax=)"
	case "watchdog":
		return "it stopped answering systemd's watchdog (WatchdogSec=)"
	case "start-limit-hit", "service-start-limit-hit", "trigger-limit-hit":
		return "it was started too often in a short time, so systemd refuses to start it again for now (StartLimitBurst=); " +
			"`systemctl reset-failed` forgets that"
	case "protocol":
		return "it ended or did something else than its type promises before it was ready: " +
			"with Type=notify it must say READY=1, with Type=forking it must leave a main process"
	case "resources":
		return "systemd could not get what it needs to start it: a PID file, an address that is taken, or memory"
	case "exec-condition":
		return "its ExecCondition= said that it is not to run"
	}
	return fmt.Sprintf("systemd says %q", st.Result)
}

// explainExit explains the exit status of the main process. When that did not
// fail itself, it was another command of the unit.
func explainExit(st landfast.UnitStatus) string {
	if st.ExitCode == cldKilled || st.ExitCode == cldDumped {
		return fmt.Sprintf("the process was killed by %s", signalName(st, "a signal"))
	}
	if st.ExitCode != cldExited || st.ExitStatus == 0 {
		if st.FailedCommand != "" {
			return "a command beside the main one failed: " + st.FailedCommand
		}
		return "a command that runs before or after the main process failed"
	}
	if words, ok := setupFailures()[st.ExitStatus]; ok {
		return words
	}
	return fmt.Sprintf("the process exited with status %d", st.ExitStatus)
}

func signalName(st landfast.UnitStatus, unknown string) string {
	if st.ExitCode != cldKilled && st.ExitCode != cldDumped {
		return unknown
	}
	if name := unix.SignalName(syscall.Signal(st.ExitStatus)); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", st.ExitStatus)
}

// setupFailures are the exit statuses with which systemd itself ends a process
// that it could not set up; systemd.exec(5), "Process exit codes".
func setupFailures() map[int]string {
	return map[int]string{
		200: "its working directory cannot be entered (status 200)",
		201: "its niceness cannot be set (Nice=, status 201)",
		202: "its file descriptors cannot be set up (status 202)",
		203: "the command could not be executed: there is no such file, it is not executable, or its interpreter is missing (status 203)",
		204: "there was not enough memory to start it (status 204)",
		205: "its resource limits cannot be set (Limit...=, status 205)",
		206: "its OOMScoreAdjust= cannot be set (status 206)",
		207: "its signals cannot be set up (status 207)",
		208: "its standard input cannot be set up (status 208)",
		209: "its standard output cannot be set up (status 209)",
		210: "its root directory cannot be entered (RootDirectory=, status 210)",
		211: "its I/O priority cannot be set (status 211)",
		212: "its timer slack cannot be set (status 212)",
		213: "its secure bits cannot be set (status 213)",
		214: "its CPU scheduling cannot be set (status 214)",
		215: "its CPU affinity cannot be set (status 215)",
		216: "its group does not exist or cannot be taken (Group=, status 216)",
		217: "its user does not exist or cannot be taken (User=, status 217)",
		218: "its capabilities cannot be set (status 218)",
		219: "its control group cannot be set up (status 219)",
		220: "no new session can be made for it (status 220)",
		221: "its start was not confirmed (status 221)",
		222: "its standard error cannot be set up (status 222)",
		224: "its PAM session cannot be opened (PAMName=, status 224)",
		225: "its network namespace cannot be set up (status 225)",
		226: "its view of the file system cannot be set up: a path named in the sandbox does not exist or cannot be mounted (status 226)",
		227: "NoNewPrivileges= cannot be set (status 227)",
		228: "its system call filter cannot be set (status 228)",
		229: "its SELinux context cannot be set (status 229)",
		230: "its personality cannot be set (status 230)",
		231: "its AppArmor profile cannot be set (status 231)",
		232: "its address families cannot be restricted (status 232)",
		233: "its runtime directory cannot be made (status 233)",
		235: "the owner of its directories or streams cannot be changed (status 235)",
		236: "its SMACK label cannot be set (status 236)",
		237: "its kernel keyring cannot be set up (status 237)",
		238: "its state directory cannot be made (status 238)",
		239: "its cache directory cannot be made (status 239)",
		240: "its logs directory cannot be made (status 240)",
		241: "its configuration directory cannot be made (status 241)",
		242: "its NUMA policy cannot be set (status 242)",
		243: "its credentials cannot be provided: a file is missing or cannot be decrypted (status 243)",
		245: "its BPF restrictions cannot be set (status 245)",
	}
}
