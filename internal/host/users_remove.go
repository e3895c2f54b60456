package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/plan"
)

const (
	// accountsLock is what everything that changes accounts locks, lckpwdf(3).
	accountsLock = "/etc/.pwd.lock"
	// accountsPatience is how long lckpwdf(3) waits, too.
	accountsPatience = 15 * time.Second
	accountsRetry    = 100 * time.Millisecond
)

// removeUsers removes accounts, their own groups, and their membership of other
// groups. It does so itself, as userdel is not on every machine: systemd, which
// made them, has no tool for that. A group of another name than its user may
// have been there before us, and stays.
func (h *Host) removeUsers(ctx context.Context, users []plan.User) error {
	if len(users) == 0 {
		return nil
	}
	unlock, err := h.lockAccounts(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, u := range users {
		names, err := h.accounts()
		if err != nil {
			return err
		}
		// The account goes last, so that whoever finds it still there begins anew.
		gid, ok := names.groups[u.Name]
		drop := ok && u.Group == u.Name && !names.primary(gid, u.Name)
		for _, file := range []struct {
			name    string
			members int // first field that lists members
			drop    bool
		}{{"/etc/gshadow", 2, drop}, {"/etc/group", 3, drop}, {"/etc/shadow", 9, true}, {"/etc/passwd", 7, true}} {
			err := h.editAccounts(file.name, func(fields []string) bool {
				for i := file.members; i < len(fields); i++ {
					fields[i] = without(fields[i], u.Name)
				}
				return !file.drop || fields[0] != u.Name
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// primary reports whether a group is the first one of another account.
func (a *accounts) primary(gid int, but string) bool {
	for name, u := range a.users {
		if u.gid == gid && name != but {
			return true
		}
	}
	return false
}

// without takes a name out of a list with commas.
func without(list, name string) string {
	names := strings.Split(list, ",")
	return strings.Join(slices.DeleteFunc(names, func(n string) bool { return n == name }), ",")
}

// editAccounts writes a file like passwd(5) anew if keep changes a line of it or
// does not keep it. Lines that are no accounts stay as they are.
func (h *Host) editAccounts(name string, keep func(fields []string) bool) error {
	old, err := h.root.ReadFile(rel(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("read", name, err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(old)) {
		text := strings.TrimSuffix(line, "\n")
		end := line[len(text):]
		fields := strings.Split(text, ":")
		if keep(fields) {
			b.WriteString(strings.Join(fields, ":") + end)
		}
	}
	if b.String() == string(old) {
		return nil
	}
	attr, err := atomicfile.Like(h.root, rel(name), atomicfile.Mode(0o600))
	if err != nil {
		return failed("look at", name, err)
	}
	return failed("write", name, atomicfile.WriteFile(h.root, rel(name), []byte(b.String()), attr))
}

// lockAccounts waits until no other program changes accounts.
func (h *Host) lockAccounts(ctx context.Context) (unlock func(), err error) {
	f, err := h.root.OpenFile(rel(accountsLock), os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, failed("open", accountsLock, err)
	}
	patience := time.NewTimer(accountsPatience)
	defer patience.Stop()
	retry := time.NewTicker(accountsRetry)
	defer retry.Stop()
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return nil, errors.Join(failed("lock", accountsLock, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-patience.C:
			return nil, errors.Join(&landfast.Error{
				Kind: landfast.Unavailable,
				Msg:  fmt.Sprintf("another program has been changing accounts for %s", accountsPatience),
				Hint: "wait until it has ended (it holds " + accountsLock + ")",
			}, f.Close())
		case <-retry.C:
		}
	}
}
