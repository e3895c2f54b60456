package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// idLayout is how an id is written: a time of arrival in UTC to the microsecond,
// which sorts as text. Two events never have the same.
const idLayout = "20060102T150405.000000Z"

// lastYear is the last one that ids may be of: behind it they would no longer
// sort as text.
const lastYear = 9000

// IsID tells whether a text can be the id of an event.
func IsID(id string) bool {
	_, ok := idTime(id)
	return ok
}

func idTime(id string) (time.Time, bool) {
	t, err := time.Parse(idLayout, id)
	ok := err == nil && len(id) == len(idLayout) && t.Year() <= lastYear && t.Format(idLayout) == id
	return t, ok
}

// order gives out ids. It is the file orderName, whose lock makes writers of
// several processes wait for one another.
type order struct {
	f   *os.File
	dev uint64
}

func openOrder(path string) (*order, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o660)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &order{f, st.Dev}, nil
}

// hold locks out other writers until release. It blocks while they write.
func (o *order) hold() error { return flock(o.f, unix.LOCK_EX) }

func (o *order) release() error { return flock(o.f, unix.LOCK_UN) }

// next gives n new ids that sort behind every one given out before, and notes
// the last. The caller holds the lock, and flushes the file before it tells
// anybody an id.
func (o *order) next(now time.Time, n int) ([]string, error) {
	buf := make([]byte, len(idLayout))
	last := time.Time{}
	if _, err := o.f.ReadAt(buf, 0); err == nil {
		last, _ = idTime(string(buf))
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	at := now.UTC().Truncate(time.Microsecond)
	if !at.After(last) {
		at = last.Add(time.Microsecond)
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = at.Add(time.Duration(i) * time.Microsecond).Format(idLayout)
	}
	if n > 0 && !IsID(ids[n-1]) {
		return nil, fmt.Errorf("the clock says %s: no id can be made of that", now)
	}
	_, err := o.f.WriteAt([]byte(ids[n-1]), 0)
	return ids, err
}

func (o *order) close() error { return o.f.Close() }

// flock is flock(2), again when a signal came in between.
func flock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lerr error
	err = raw.Control(func(fd uintptr) {
		for {
			if lerr = unix.Flock(int(fd), how); !errors.Is(lerr, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, lerr)
}

// take gives one id, durable.
func (o *order) take(now time.Time) (string, error) {
	if err := o.hold(); err != nil {
		return "", err
	}
	ids, err := o.next(now, 1)
	if err = errors.Join(err, o.f.Sync(), o.release()); err != nil {
		return "", err
	}
	return ids[0], nil
}
