package systemd

import "context"

// UnitOf gives the unit that a process belongs to.
func (b *Bus) UnitOf(ctx context.Context, pid int) (string, error) {
	unit, err := b.conn.GetUnitNameByPID(ctx, uint32(pid)) //nolint:gosec // a process id is never negative
	if err != nil {
		return "", b.failed("find the unit of a process", err)
	}
	return unit, nil
}
