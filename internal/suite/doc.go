// Package suite is the suite that runs on machines: the real program, driven
// through its command line as a user would, on throwaway machines with a real
// systemd, deploying an app that tells how it was started and that fails when its
// release says so.
//
// It is nothing but tests, and it is about what can be seen from outside: exit
// codes, what is printed, what lies on the disk, which release answers. What a
// single package promises is tested beside that package.
//
// The invariant that most of it is about: whatever happens to a deployment, the
// machine ends in the old state or in the new one, byte for byte.
package suite
