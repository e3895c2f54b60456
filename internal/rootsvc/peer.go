package rootsvc

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Peer is who asks, as the kernel says (SO_PEERCRED, unix(7)).
type Peer struct{ UID, PID int }

// PeerOf tells who is at the other end.
func PeerOf(c *net.UnixConn) (Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) { cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err == nil {
		err = sockErr
	}
	if err != nil {
		return Peer{}, fmt.Errorf("ask who is at the other end: %w", err)
	}
	return Peer{UID: int(cred.Uid), PID: int(cred.Pid)}, nil
}

// WorkerUser is whom the workers run as.
const WorkerUser = "landfast"

// WorkerUnit is the unit of the worker of an app.
func WorkerUnit(app string) string { return "landfast-worker@" + app + ".service" }

// allowed decides whether a peer may have something done for an app: root may, and the
// account of the workers out of the worker of just that app.
func (s *Server) allowed(ctx context.Context, p Peer, app string) error {
	if p.UID == 0 {
		return nil
	}
	refused := func(what string) error {
		return &landfast.Error{Kind: landfast.Invalid, Msg: "the root service refuses: " + what, Hint: "only root and the workers may ask"}
	}
	if p.UID != s.WorkerUID {
		return refused(fmt.Sprintf("user %d may ask for nothing", p.UID))
	}
	unit, err := s.UnitOf(ctx, p.PID)
	if err != nil {
		return refused("it cannot be told which worker asks: " + err.Error())
	}
	if unit != WorkerUnit(app) {
		return refused(fmt.Sprintf("%s may ask for nothing of app %s", unit, app))
	}
	return nil
}
