// Command agent runs programs in a machine for its owner outside; see package
// agent. Its argument is the address to listen on.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/landfast/landfast/internal/lab/agent"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func serve() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: agent ADDRESS")
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", os.Args[1])
	if err != nil {
		return err
	}
	return agent.Serve(l)
}
