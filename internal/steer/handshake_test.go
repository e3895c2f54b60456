package steer_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/steer"
)

// Flags of TCP (RFC 9293, 3.1).
const (
	flagSYN = 0x02
	flagRST = 0x04
)

// TestHandshakeUnderWayIsWaitedFor: a client that has sent its first packet before the
// switch becomes a connection of the old owner.
func TestHandshakeUnderWayIsWaitedFor(t *testing.T) {
	tab := table(t)
	// What is sent to these addresses is lost, so that a handshake stays half done.
	if out, err := exec.Command("ip", "route", "replace", "10.77.0.0/24", "dev", "lo").CombinedOutput(); err != nil {
		t.Skipf("ip route: %v, %s", err, out)
	}
	old, next := serve(t, "old", "127.0.0.1:0"), serve(t, "next", "127.0.0.1:0")
	set(t, tab, "8080", old)
	segment(t, flagSYN, 1000)
	set(t, tab, "8080", next)
	says(t, "127.0.0.1:8080", "next 127.0.0.1:8080")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	refused(t, steer.Accepted(ctx, self(), old.port(), public(t, "8080")), landfast.Unavailable, "has not accepted 1 connections in time")
	result := make(chan error, 1)
	go func() { result <- steer.Accepted(t.Context(), self(), old.port(), public(t, "8080")) }()
	segment(t, flagRST, 1001)
	if err := <-result; err != nil {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := steer.Accepted(ctx, self(), old.port(), public(t, "8080")); err != nil {
		t.Error(err)
	}
}

// segment sends one packet from 10.77.0.1:5000 to 127.0.0.1:8080.
func segment(t *testing.T, flag byte, sequence uint32) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	from, to := [4]byte{10, 77, 0, 1}, [4]byte{127, 0, 0, 1}
	ip := make([]byte, 20) // RFC 791, 3.1; the kernel fills in length and checksum
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_TCP
	copy(ip[12:], from[:])
	copy(ip[16:], to[:])
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp[0:], 5000)
	binary.BigEndian.PutUint16(tcp[2:], 8080)
	binary.BigEndian.PutUint32(tcp[4:], sequence)
	tcp[12], tcp[13] = 5<<4, flag
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	pseudo := append(append(append([]byte{}, from[:]...), to[:]...), 0, unix.IPPROTO_TCP, 0, byte(len(tcp)))
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	if err := unix.Sendto(fd, append(ip, tcp...), 0, &unix.SockaddrInet4{Addr: to}); err != nil {
		t.Fatal(fmt.Errorf("send a packet: %w", err))
	}
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
