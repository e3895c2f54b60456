//go:build 386 || arm || mipsle

package steer

import "unsafe"

// pointer is a pointer in an attribute of bpf(2): 8 bytes on every machine.
type pointer struct {
	p unsafe.Pointer
	_ uint32
}
