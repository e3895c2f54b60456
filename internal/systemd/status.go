package systemd

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/landfast/landfast"
)

// Status tells how a unit is.
func (b *Bus) Status(ctx context.Context, unit string) (landfast.UnitStatus, error) {
	props, err := b.conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return landfast.UnitStatus{}, b.failed("ask for the state of "+unit, err)
	}
	st := statusOf(unit, props)
	// The property UnitFileState is what systemd knew when it last looked; the
	// method looks at the links.
	var state string
	err = b.direct.Object(busName, busPath).CallWithContext(ctx, managerFace+".GetUnitFileState", 0, unit).Store(&state)
	if err == nil {
		st.FileState = state
	} else if !unknown(err) && st.Load != "masked" {
		return landfast.UnitStatus{}, b.failed("ask whether "+unit+" is enabled", err)
	}
	return st, nil
}

// statusOf reads the properties of a unit object, of all its interfaces.
func statusOf(unit string, p map[string]any) landfast.UnitStatus {
	st := landfast.UnitStatus{
		Name:         unit,
		Load:         text(p, "LoadState"),
		Active:       text(p, "ActiveState"),
		Sub:          text(p, "SubState"),
		Result:       text(p, "Result"),
		MainPID:      int(property[uint32](p, "MainPID")),
		ExitCode:     int(property[int32](p, "ExecMainCode")),
		ExitStatus:   int(property[int32](p, "ExecMainStatus")),
		Restarts:     int(property[uint32](p, "NRestarts")),
		NeedReload:   property[bool](p, "NeedDaemonReload"),
		ControlGroup: text(p, "ControlGroup"),
		FragmentPath: text(p, "FragmentPath"),
		DropIns:      property[[]string](p, "DropInPaths"),
	}
	if st.Result != "" && st.Result != "success" {
		st.FailedCommand = failedCommand(p)
	}
	if id := property[[]byte](p, "InvocationID"); len(id) > 0 {
		st.Invocation = hex.EncodeToString(id)
	}
	if at := property[uint64](p, entered(st.Active)); at != 0 && at < math.MaxInt64 {
		st.Since = time.UnixMicro(int64(at))
	}
	// The largest number means that nothing accounts for memory.
	if m := property[uint64](p, "MemoryCurrent"); m != math.MaxUint64 {
		st.MemoryBytes = m
	}
	if listen, ok := p["Listen"].([][]any); ok {
		for _, l := range listen {
			if len(l) == 2 {
				address, _ := l[1].(string)
				st.ListenOnSocket = append(st.ListenOnSocket, address)
			}
		}
	}
	return st
}

// failedCommand is the command of a service, other than its main one, that
// failed in the last run: "ExecStartPre=/bin/false, status 1".
func failedCommand(p map[string]any) string {
	for _, name := range []string{"ExecCondition", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"} {
		for _, c := range property[[][]any](p, name) {
			// a(sasbttttuii): path, arguments, failure ignored, four times, pid, code, status
			if len(c) != 10 {
				continue
			}
			argv, _ := c[1].([]string)
			ignored, _ := c[2].(bool)
			pid, _ := c[7].(uint32)
			code, _ := c[8].(int32)
			status, _ := c[9].(int32)
			if ignored || pid == 0 || code == 0 || status == 0 {
				continue
			}
			how := fmt.Sprintf("status %d", status)
			if code != cldExited {
				how = signalName(landfast.UnitStatus{ExitCode: int(code), ExitStatus: int(status)}, "a signal")
			}
			return fmt.Sprintf("%s=%s, %s", name, strings.Join(argv, " "), how)
		}
	}
	return ""
}

// entered names the property that tells when a unit entered an active state.
func entered(active string) string {
	switch active {
	case "active", "reloading":
		return "ActiveEnterTimestamp"
	case "activating":
		return "InactiveExitTimestamp"
	case "deactivating":
		return "ActiveExitTimestamp"
	}
	return "InactiveEnterTimestamp"
}

func text(p map[string]any, name string) string { return property[string](p, name) }

// property is property name as a T, or the zero T when it is absent or of another type.
func property[T any](p map[string]any, name string) T {
	v, _ := p[name].(T)
	return v
}
