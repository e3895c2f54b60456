package steer

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/landfast/landfast"
)

// How long handshakes that were under way at a switch are waited for: a round trip
// and a packet that was lost. One that takes longer belongs to a client that is gone.
const handshakes = 1500 * time.Millisecond

// Accepted waits until the owner has accepted every connection that the kernel holds
// for it on a private port: those in the queues of its listeners, and those whose
// handshake with public was under way when this was called. It is for the time
// between a switch to another owner and the end of this one, who must still listen.
// It returns at once when the owner has ended or does not listen any more, and with an error of
// kind Unavailable when ctx ends first.
func Accepted(ctx context.Context, o Owner, private uint16, public Public) error {
	inodes, err := o.inodes()
	if landfast.KindOf(err) == landfast.NotFound {
		return nil // it has ended, and nothing waits for it
	}
	if err != nil {
		return err
	}
	under, err := sockets(maskSynRecv, public.Port)
	if err != nil {
		return err
	}
	// Not of ctx: when that ends, handshakes have not.
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakes)
	defer cancel()
	for {
		// In this order: what is not under way any more is in the queue by now.
		if len(under) > 0 && patience.Err() == nil {
			if under, err = stillUnder(under, public.Port); err != nil {
				return err
			}
		}
		queued, listening, err := queue(private, inodes)
		if err != nil || !listening {
			return err
		}
		if queued == 0 && (len(under) == 0 || patience.Err() != nil) {
			return nil
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return &landfast.Error{
				Kind: landfast.Unavailable, Msg: fmt.Sprintf("%s has not accepted %d connections in time", o, int(queued)+len(under)),
				Err: err, Hint: "it may hang",
			}
		}
	}
}

// inodes are the sockets that the owner has open.
func (o Owner) inodes() (map[uint32]bool, error) {
	members, err := o.members()
	if err != nil {
		return nil, err
	}
	inodes := map[uint32]bool{}
	for _, pid := range members {
		open, err := inodesOf(pid)
		if err != nil && !gone(err) {
			return nil, explainTaking(err)
		}
		for inode := range open {
			inodes[inode] = true
		}
	}
	return inodes, nil
}

// queue counts the connections that wait to be accepted, by listeners with some
// inodes.
func queue(port uint16, inodes map[uint32]bool) (queued uint32, listening bool, err error) {
	all, err := listeners(port)
	if err != nil {
		return 0, false, err
	}
	all = withInode(all, inodes)
	for _, s := range all {
		queued += s.queue
	}
	return queued, len(all) > 0, nil
}

// stillUnder leaves those handshakes that are still under way.
func stillUnder(before []socket, port uint16) ([]socket, error) {
	now, err := sockets(maskSynRecv, port)
	if err != nil {
		return nil, err
	}
	is := map[[2]netip.AddrPort]bool{}
	for _, s := range now {
		is[[2]netip.AddrPort{s.local, s.peer}] = true
	}
	return slices.DeleteFunc(before, func(s socket) bool { return !is[[2]netip.AddrPort{s.local, s.peer}] }), nil
}
