package landfast

import "time"

// UnitStatus is what systemd says of one unit (org.freedesktop.systemd1(5)).
type UnitStatus struct {
	Name           string    `json:"name"`
	Load           string    `json:"load"`   // loaded, not-found, masked, bad-setting, ...
	Active         string    `json:"active"` // active, activating, deactivating, inactive, failed, reloading
	Sub            string    `json:"sub"`    // running, dead, exited, auto-restart, listening, ...
	Result         string    `json:"result"` // success, exit-code, signal, timeout, oom-kill, start-limit-hit, ...
	FileState      string    `json:"file_state,omitempty"`
	Invocation     string    `json:"invocation,omitempty"` // changes with each start
	MainPID        int       `json:"main_pid,omitempty"`
	ExitCode       int       `json:"exit_code,omitempty"`      // how the main process ended: CLD_EXITED, CLD_KILLED, ...
	ExitStatus     int       `json:"exit_status,omitempty"`    // its status, or the signal
	FailedCommand  string    `json:"failed_command,omitempty"` // when it was not the main process: ExecStartPre=/bin/false, status 1
	Restarts       int       `json:"restarts,omitempty"`       // automatic ones, since the last start by hand
	Since          time.Time `json:"since,omitzero"`           // of the last change of Active
	NeedReload     bool      `json:"need_reload,omitempty"`    // the file is newer than what systemd has read
	MemoryBytes    uint64    `json:"memory_bytes,omitempty"`
	ControlGroup   string    `json:"control_group,omitempty"`
	FragmentPath   string    `json:"fragment_path,omitempty"`
	DropIns        []string  `json:"drop_ins,omitempty"`
	ListenOnSocket []string  `json:"listen,omitempty"` // socket units
}

// Running reports whether the unit is up, or on its way up.
func (u UnitStatus) Running() bool {
	switch u.Active {
	case "active", "activating", "reloading":
		return true
	}
	return false
}

// Dead reports whether the unit has ended and systemd will not try again by itself.
func (u UnitStatus) Dead() bool { return u.Active == "failed" || u.Active == "inactive" }
