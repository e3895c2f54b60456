package host

import (
	"errors"
	"io/fs"
	"os/user"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// account is one line of passwd(5).
type account struct {
	uid, gid      int
	comment, home string
}

// accounts are the users and groups of the machine. They are read from the
// root's own files, as the names of the running system mean nothing below
// another root.
type accounts struct {
	users  map[string]account
	groups map[string]int
	all    bool // ask the running system, too: it may know users from elsewhere (nsswitch.conf)
}

func (h *Host) accounts() (*accounts, error) {
	a := &accounts{users: map[string]account{}, groups: map[string]int{}, all: !h.staged()}
	err := h.lines("/etc/passwd", 7, func(f []string) {
		uid, errUID := strconv.Atoi(f[2])
		gid, errGID := strconv.Atoi(f[3])
		if errUID == nil && errGID == nil {
			a.users[f[0]] = account{uid: uid, gid: gid, comment: f[4], home: f[5]}
		}
	})
	if err != nil {
		return nil, err
	}
	err = h.lines("/etc/group", 4, func(f []string) {
		if gid, err := strconv.Atoi(f[2]); err == nil {
			a.groups[f[0]] = gid
		}
	})
	if err != nil {
		return nil, err
	}
	// Nothing decides these differently, and an empty tree has no files yet.
	if _, ok := a.users["root"]; !ok {
		a.users["root"] = account{}
	}
	if _, ok := a.groups["root"]; !ok {
		a.groups["root"] = 0
	}
	return a, nil
}

// lines calls use with the fields of each line of a file like passwd(5).
func (h *Host) lines(name string, fields int, use func([]string)) error {
	data, err := h.root.ReadFile(rel(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("read", name, err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) >= fields {
			use(f)
		}
	}
	return nil
}

func (a *accounts) uid(name string) (int, bool) {
	if u, ok := a.users[name]; ok {
		return u.uid, true
	}
	if a.all {
		if u, err := user.Lookup(name); err == nil {
			id, err := strconv.Atoi(u.Uid)
			return id, err == nil
		}
	}
	return 0, false
}

func (a *accounts) gid(name string) (int, bool) {
	if id, ok := a.groups[name]; ok {
		return id, true
	}
	if a.all {
		if g, err := user.LookupGroup(name); err == nil {
			id, err := strconv.Atoi(g.Gid)
			return id, err == nil
		}
	}
	return 0, false
}

// ids are the numbers of an owner; it is an error when one has none.
func (a *accounts) ids(owner, group string) (uid, gid int, err error) {
	uid, ok := a.uid(owner)
	if !ok {
		return 0, 0, noAccount("user", owner)
	}
	gid, ok = a.gid(group)
	if !ok {
		return 0, 0, noAccount("group", group)
	}
	return uid, gid, nil
}

func noAccount(what, name string) error {
	return &landfast.Error{
		Kind: landfast.Invalid,
		Msg:  "there is no " + what + " " + name + " on this host",
		Hint: "create it, or name another one in the manifest",
	}
}

// userName is the name of a uid, or the number.
func (a *accounts) userName(uid int) string {
	best := ""
	for name, u := range a.users {
		if u.uid == uid && (best == "" || name < best) {
			best = name
		}
	}
	if best != "" {
		return best
	}
	if a.all {
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			return u.Username
		}
	}
	return strconv.Itoa(uid)
}

// meant calls the owner of n by the names that are planned, where those stand for
// the same numbers: two names may share one, as root and toor do.
func (a *accounts) meant(n *plan.Node, owner, group string) {
	same := func(number func(string) (int, bool), have, planned string) bool {
		x, ok := number(have)
		y, known := number(planned)
		return ok && known && x == y
	}
	if same(a.uid, n.Owner, owner) {
		n.Owner = owner
	}
	if same(a.gid, n.Group, group) {
		n.Group = group
	}
}

// groupName is the name of a gid, or the number.
func (a *accounts) groupName(gid int) string {
	best := ""
	for name, id := range a.groups {
		if id == gid && (best == "" || name < best) {
			best = name
		}
	}
	if best != "" {
		return best
	}
	if a.all {
		if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
			return g.Name
		}
	}
	return strconv.Itoa(gid)
}
