// Package lab boots throwaway machines with a real systemd, for the tests, the
// benchmarks and the demo, and for rehearsing a deployment before it touches a
// host.
//
// A machine is a systemd-nspawn container over a root file system that Image
// builds once and nobody changes afterwards: what a machine writes lands in an
// overlay of its own. It has its own network, with only the loopback up, and
// its own control groups. It is no security boundary, and no virtual machine:
// the kernel and the page cache are the host's, so Kill is a crash of the
// machine and not a loss of what the kernel had yet to write.
//
// Invariant: nothing outlives its owner. Close leaves no process, mount,
// control group or directory of the machine; when the owner was killed first,
// its machines die with it and the next Boot of anybody removes the rest.
package lab
