// Package steer makes the kernel hand new connections of a public TCP port to the
// listening socket of a chosen process, which listens on a private port.
//
// One small program (BPF_PROG_TYPE_SK_LOOKUP, Linux 5.9) is attached to the network
// namespace, and looks connections up in one table of sockets. Both are pinned
// below Dir, so nothing has to run: choosing another process is one change of the
// table, for new connections only. Those that are established, under way or in the
// queue of a listener stay where they are. Clients and firewalls see the public port
// alone; the app sees the client's address, and the public one as its own.
//
// What it is not: a proxy, or address translation. It steers to a socket and not to a
// port number, so a process that starts again must be registered again; its entry in
// the table goes when the socket does. It steers within one network namespace, and
// between sockets of one family: what listens on 127.0.0.1 cannot serve IPv6.
//
// Invariant: from the first Load on there is no moment without a program, and each
// Load or Open mends what a killed one left. Who may write the pins takes any port;
// they belong to root.
//
// Sources: bpf(2); the kernel's Documentation/bpf/prog_sk_lookup.rst and map_sockmap.rst;
// pidfd_getfd(2); sock_diag(7).
package steer
