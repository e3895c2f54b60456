// Package agent runs programs inside a machine that has a kernel of its own, for
// a caller outside that can reach it only over a network.
//
// Each connection is one request, and dies with it: a program that is still
// running when its connection ends is killed with everything in its process
// group. There is no authentication: the network the server listens on must have
// nobody but the machine's owner on it.
//
// On the wire are frames: one byte of kind, four bytes of length (big endian) and
// that many bytes. A connection to a socket of the machine carries plain bytes
// after the answer.
package agent
