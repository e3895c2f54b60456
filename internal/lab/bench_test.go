package lab_test

import (
	"net"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// BenchmarkDial is what reaching into a machine costs a load test, beside a
// plain dial on the host.
func BenchmarkDial(b *testing.B) {
	m := labtest.Boot(b, lab.Options{Suite: labtest.Suites()[0]})
	if _, err := m.Start(b.Context(), lab.Cmd{Argv: []string{"python3", "-c", `
import socket
s = socket.create_server(("127.0.0.1", 8080), backlog=4096)
open("/run/listening", "w").close()
while True: s.accept()[0].close()`}}); err != nil {
		b.Fatal(err)
	}
	labtest.Run(b, m, "timeout", "20", "sh", "-c", "until test -e /run/listening; do :; done")
	b.Run("inside", func(b *testing.B) {
		for b.Loop() {
			c, err := m.Dial(b.Context(), "tcp", "127.0.0.1:8080")
			if err != nil {
				b.Fatal(err)
			}
			_ = c.Close()
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			_ = c.Close()
		}
	})
}
