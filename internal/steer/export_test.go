package steer

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// LoadOther is Load of a program that does the same and is another one, as that of
// another version would be.
func LoadOther(ctx context.Context, dir string) (*Table, error) {
	return load(ctx, dir, func(table object) []instruction {
		return append([]instruction{ins(opMoveValue, 8, 0, 0, 0)}, program(table)...)
	})
}

// LoadAnywhere is Load that does not ask whether it is for anything.
func LoadAnywhere(ctx context.Context, dir string) (*Table, error) { return load(ctx, dir, program) }

// Program is the number of the program that the link in dir attaches.
func Program(dir string) (uint32, error) {
	link, err := openLink(dir)
	if err != nil {
		return 0, err
	}
	defer link.close()
	var i linkInfo
	err = info(link, &i)
	return i.program, err
}

// Attached counts the programs in this network namespace.
func Attached() (uint32, error) {
	here, err := os.Open(namespacePath)
	if err != nil {
		return 0, err
	}
	defer here.Close()
	var ids [16]uint32
	attr := struct {
		target, kind, flags, attachFlags uint32
		ids                              pointer
		count, _                         uint32
	}{target: uint32(here.Fd()), kind: unix.BPF_SK_LOOKUP, ids: to(&ids), count: uint32(len(ids))}
	_, err = bpf(unix.BPF_PROG_QUERY, &attr)
	return attr.count, err
}

// ParseGroup reads /proc/PID/cgroup.
var ParseGroup = parseGroup

// PinForeignTable pins a table in the place of ours that is of another kind.
func PinForeignTable(dir string) error {
	attr := struct{ kind, key, value, entries uint32 }{unix.BPF_MAP_TYPE_HASH, 4, 4, 1}
	table, err := create(unix.BPF_MAP_CREATE, &attr)
	if err != nil {
		return err
	}
	defer table.close()
	return publish(table, dir, tableName)
}
