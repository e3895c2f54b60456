package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/landfast/landfast"
)

const (
	systemBus   = "unix:path=/run/dbus/system_bus_socket"
	busName     = "org.freedesktop.systemd1"
	busPath     = "/org/freedesktop/systemd1"
	managerFace = busName + ".Manager"
	// dialTimeout bounds the connection, not the work: a bus that is there
	// answers within milliseconds.
	dialTimeout = 10 * time.Second
	// lookEvery is how often a waiting call makes sure that its job still exists.
	lookEvery = time.Second
)

// Bus is the Manager of a running machine, over D-Bus
// (org.freedesktop.systemd1(5)). It is safe for concurrent use.
type Bus struct {
	conn    *sd.Conn
	direct  *dbus.Conn // for the methods sd.Conn lacks
	address string

	// reloading keeps daemon-reloads of this process apart: systemd has lost
	// jobs when they overlapped.
	reloading sync.Mutex
}

var (
	_ Manager = (*Bus)(nil)
	_ Watcher = (*Bus)(nil)
)

// Connect connects to the systemd this program runs under. Without one, the
// error is of kind Unavailable. The connection outlives ctx, so that an
// interrupted deployment can still be undone through it; Close ends it.
func Connect(ctx context.Context) (*Bus, error) {
	// sd_booted(3)
	if _, err := os.Lstat("/run/systemd/system"); errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{
			Kind: landfast.Unavailable,
			Msg:  "systemd is not running here",
			Hint: "use --root DIR to prepare a directory tree, or `landfast render` to look at the files",
		}
	}
	address := systemBus
	if a := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); a != "" {
		address = a
	}
	return ConnectAddress(ctx, address)
}

// ConnectAddress connects to the systemd on the bus at a D-Bus address, such as
// "unix:path=/run/dbus/system_bus_socket". It is otherwise like Connect.
func ConnectAddress(ctx context.Context, address string) (*Bus, error) {
	b := &Bus{address: address}
	fail := func(err error) (*Bus, error) {
		b.close()
		return nil, &landfast.Error{
			Kind: landfast.Unavailable,
			Msg:  "cannot reach systemd over D-Bus",
			Hint: "is the package dbus installed, and dbus.socket running?",
			Err:  err,
		}
	}
	var err error
	if b.direct, err = dial(ctx, address); err != nil {
		return fail(err)
	}
	b.conn, err = sd.NewConnection(func() (*dbus.Conn, error) { return dial(ctx, address) })
	if err != nil {
		return fail(err)
	}
	// Without a subscriber systemd sends no JobRemoved to the bus.
	if err := b.conn.Subscribe(); err != nil {
		return fail(err)
	}
	return b, nil
}

// dial opens one authenticated connection. ctx bounds the dialling only: godbus
// would close a connection made with it as soon as it ends.
func dial(ctx context.Context, address string) (*dbus.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type dialled struct {
		conn *dbus.Conn
		err  error
	}
	c := make(chan dialled, 1)
	go func() {
		conn, err := dialNow(address)
		c <- dialled{conn, err}
	}()
	limit := time.NewTimer(dialTimeout)
	defer limit.Stop()
	var err error
	select {
	case d := <-c:
		return d.conn, d.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-limit.C:
		err = fmt.Errorf("no answer within %s", dialTimeout)
	}
	go func() {
		if d := <-c; d.conn != nil {
			_ = d.conn.Close()
		}
	}()
	return nil, err
}

func dialNow(address string) (*dbus.Conn, error) {
	conn, err := dbus.Dial(address)
	if err != nil {
		return nil, err
	}
	// The number, as a name would need the host's user database.
	err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	if err == nil {
		err = conn.Hello()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// Close ends the connection. Calls that wait return an error.
func (b *Bus) Close() error {
	b.close()
	return nil
}

func (b *Bus) close() {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.direct != nil {
		_ = b.direct.Close()
	}
}

// Version is systemd's version number.
func (b *Bus) Version(context.Context) (int, error) {
	text, err := b.conn.GetManagerProperty("Version")
	if err != nil {
		return 0, b.failed("ask systemd for its version", err)
	}
	return parseVersion(text)
}

// parseVersion reads `"252.39-1~deb12u2"`, as the bus gives it; "v252" too.
func parseVersion(text string) (int, error) {
	digits := strings.TrimLeft(text, `"v`)
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("read systemd's version from %s: no number", text)
	}
	return n, nil
}

// Reload makes systemd read changed unit files, one reload at a time.
func (b *Bus) Reload(ctx context.Context) error {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	if err := b.conn.ReloadContext(ctx); err != nil {
		return b.failed("make systemd read the unit files", err)
	}
	return nil
}

// Enable makes units start at boot.
func (b *Bus) Enable(ctx context.Context, units ...string) error {
	if len(units) == 0 {
		return nil
	}
	if _, _, err := b.conn.EnableUnitFilesContext(ctx, units, false, false); err != nil {
		return b.failed("enable "+strings.Join(units, ", "), err)
	}
	return nil
}

// Disable takes that back.
func (b *Bus) Disable(ctx context.Context, units ...string) error {
	for _, u := range units {
		_, err := b.conn.DisableUnitFilesContext(ctx, []string{u}, false)
		if err != nil && !unknown(err) {
			return b.failed("disable "+u, err)
		}
	}
	return nil
}

// ResetFailed forgets a failure and the start limit's count.
func (b *Bus) ResetFailed(ctx context.Context, unit string) error {
	if err := b.conn.ResetFailedUnitContext(ctx, unit); err != nil && !unknown(err) {
		return b.failed("reset "+unit, err)
	}
	return nil
}

// failed names what could not be done. Errors that mean that systemd cannot be
// asked at all, or not by this user, say so.
func (b *Bus) failed(what string, err error) error {
	switch {
	case denied(err):
		return &landfast.Error{Msg: "cannot " + what, Err: err, Hint: "run as root"}
	case errors.Is(err, dbus.ErrClosed), errors.Is(err, net.ErrClosed), !b.direct.Connected():
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot " + what, Err: errLost}
	}
	return fmt.Errorf("%s: %w", what, err)
}

var errLost = errors.New("the connection to systemd was lost")

// unknown reports whether err says that there is no such unit or unit file.
func unknown(err error) bool {
	switch errorName(err) {
	case busName + ".NoSuchUnit", "org.freedesktop.DBus.Error.FileNotFound":
		return true
	}
	return false
}

func denied(err error) bool {
	switch errorName(err) {
	case "org.freedesktop.DBus.Error.AccessDenied",
		"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
		return true
	}
	return false
}

// errorName is the D-Bus name of err, or "".
func errorName(err error) string {
	if e, ok := errors.AsType[dbus.Error](err); ok {
		return e.Name
	}
	if e, ok := errors.AsType[*dbus.Error](err); ok {
		return e.Name
	}
	return ""
}

func unitPath(unit string) dbus.ObjectPath {
	return dbus.ObjectPath(path.Join(busPath, "unit", sd.PathBusEscape(unit)))
}
