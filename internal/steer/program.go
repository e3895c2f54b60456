package steer

import "unsafe"

// instruction is one of the kernel's virtual machine, as struct bpf_insn has it on
// machines that put the low byte first.
type instruction struct {
	op        uint8
	registers uint8 // the target below, the source above
	offset    int16
	value     int32
}

// Operations, of the kernel's Documentation/bpf/standardization/instruction-set.rst.
const (
	opMove       = 0xbf // target = source
	opMoveValue  = 0xb7
	opAddValue   = 0x07
	opShiftLeft  = 0x67
	opOr         = 0x4f
	opLoad32     = 0x61 // target = *(u32 *)(source + offset)
	opStore32    = 0x63 // *(u32 *)(target + offset) = source
	opStore64    = 0x7b
	opLoadMap    = 0x18 // two instructions long
	opCall       = 0x85
	opJumpIfZero = 0x15 // compared with value, which is 0 here
	opJumpIfNot  = 0x55
	opExit       = 0x95
)

// Functions of the kernel, by number of enum bpf_func_id.
const (
	callLookup  = 1
	callRelease = 86
	callAssign  = 124
)

// Registers and fields: the stack's end, and struct bpf_sk_lookup.
const (
	frame = 10

	ctxFamily   = 8
	ctxProtocol = 12
	ctxIP4      = 40 // 0 when it is IPv6
	ctxIP6      = 44 // four words, 0 when it is IPv4
	ctxPort     = 60 // in the order of the host

	mapByDescriptor = 1 // the source of opLoadMap
	passVerdict     = 1 // SK_PASS
)

func ins(op uint8, target, source uint8, offset int16, value int32) instruction {
	return instruction{op, target | source<<4, offset, value}
}

// program looks a new connection up in the table: first by the address that it is
// for, then by the port alone. What is found gets it. In every other case, and when
// the socket is of the wrong family, the kernel goes on as if there were no program.
func program(table object) []instruction {
	word, ip4, ip6 := fieldAt(unsafe.Offsetof(key{}.word)), fieldAt(unsafe.Offsetof(key{}.ip4)), fieldAt(unsafe.Offsetof(key{}.ip6))
	find := []instruction{
		ins(opLoadMap, 1, mapByDescriptor, 0, int32(table)),
		{},
		ins(opMove, 2, frame, 0, 0),
		ins(opAddValue, 2, 0, 0, -int32(keySize)),
		ins(opCall, 0, 0, 0, callLookup), // a reference to a socket, or 0
	}
	code := []instruction{
		ins(opMove, 6, 1, 0, 0),
		ins(opLoad32, 2, 6, ctxFamily, 0),
		ins(opShiftLeft, 2, 0, 0, 24),
		ins(opLoad32, 3, 6, ctxProtocol, 0),
		ins(opShiftLeft, 3, 0, 0, 16),
		ins(opOr, 2, 3, 0, 0),
		ins(opLoad32, 3, 6, ctxPort, 0),
		ins(opOr, 2, 3, 0, 0),
		ins(opStore32, frame, 2, word, 0),
		ins(opLoad32, 2, 6, ctxIP4, 0),
		ins(opStore32, frame, 2, ip4, 0),
	}
	for i := range int16(4) {
		code = append(code, ins(opLoad32, 2, 6, ctxIP6+4*i, 0), ins(opStore32, frame, 2, ip6+4*i, 0))
	}
	code = append(code, find...)
	any := append([]instruction{
		ins(opMoveValue, 2, 0, 0, 0),
		ins(opStore32, frame, 2, ip4, 0),
		ins(opStore64, frame, 2, ip6, 0),
		ins(opStore64, frame, 2, ip6+8, 0),
	}, find...)
	assign := []instruction{
		ins(opMove, 7, 0, 0, 0),
		ins(opMove, 1, 6, 0, 0),
		ins(opMove, 2, 7, 0, 0),
		ins(opMoveValue, 3, 0, 0, 0),
		ins(opCall, 0, 0, 0, callAssign),
		ins(opMove, 1, 7, 0, 0),
		ins(opCall, 0, 0, 0, callRelease),
	}
	code = append(code, ins(opJumpIfNot, 0, 0, int16(len(any)+1), 0))
	code = append(code, any...)
	code = append(code, ins(opJumpIfZero, 0, 0, int16(len(assign)), 0))
	code = append(code, assign...)
	return append(code, ins(opMoveValue, 0, 0, 0, passVerdict), ins(opExit, 0, 0, 0, 0))
}

// fieldAt is where a field of the key lies below the end of the stack.
func fieldAt(offset uintptr) int16 { return int16(offset) - int16(keySize) }
