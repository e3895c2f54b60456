package steer

import (
	"fmt"
	"net/netip"
	"slices"
)

// Entry is one line of the table: new connections of one family to a public address,
// and the socket that gets them.
type Entry struct {
	Public Public `json:"public"`
	Family Family `json:"family"`

	// Private is where the socket listens. It is the zero AddrPort when no socket of
	// this network namespace is the one in the table: connections wait in vain.
	Private netip.AddrPort `json:"private,omitzero"`
	Cookie  uint64         `json:"cookie"`            // the kernel's number of the socket, as `ss -e` shows it
	Inode   uint32         `json:"inode,omitempty"`   // its number in /proc/PID/fd
	Waiting uint32         `json:"waiting,omitempty"` // connections that it has not accepted yet

	Processes []Process `json:"processes"`        // those that have it open, as far as this one may see
	Behind    []Process `json:"behind,omitempty"` // those that would get the connections if the socket were not there
}

// Units are the units of the processes that have the socket.
func (e *Entry) Units() []string {
	var all []string
	for _, p := range e.Processes {
		if p.Unit != "" && !slices.Contains(all, p.Unit) {
			all = append(all, p.Unit)
		}
	}
	return all
}

// Entries lists what the kernel steers, by port. What has ended is not in it: the
// kernel takes a socket out of the table when it closes.
func (t *Table) Entries() ([]Entry, error) {
	all, err := keys(t.table)
	if err != nil {
		return nil, explain(fmt.Errorf("list the table: %w", err))
	}
	sortKeys(all)
	there, err := listeners(0)
	if err != nil {
		return nil, err
	}
	byCookie := map[uint64]socket{}
	for _, s := range there {
		byCookie[s.cookie] = s
	}
	by, err := holders(there)
	if err != nil {
		return nil, err
	}
	entries := []Entry{}
	for _, k := range all {
		c, ok, err := cookie(t.table, k)
		if err != nil {
			return nil, explain(fmt.Errorf("read the table: %w", err))
		}
		if !ok {
			continue // it has closed meanwhile
		}
		e := Entry{Public: k.public(), Family: familyOf(k.family()), Cookie: c, Processes: []Process{}}
		if s, ok := byCookie[c]; ok {
			e.Private, e.Inode, e.Waiting = s.local, s.inode, s.queue
			for _, pid := range by[s.inode] {
				e.Processes = append(e.Processes, processOf(pid))
			}
		}
		e.Behind = by.of(e.Public.ordinary(there))
		entries = append(entries, e)
	}
	return entries, nil
}
