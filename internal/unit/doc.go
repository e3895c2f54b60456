// Package unit is systemd's unit file text as a value: ordered sections and
// options that render to the same bytes every time and parse back to the same
// value; the quoting of every class of value, so that a process receives
// exactly what was meant; systemd's directives, with the version each came with;
// and the sandbox profiles, as data.
//
// It decides nothing about apps and touches no file: package plan says which
// options a unit has, package host writes them. Its invariant: a value that
// systemd would change, split or drop on the way to the process is an error
// here, never a different value there. What systemd really does was taken from
// systemd.syntax(7), systemd.service(5), systemd.exec(5) and from the parser
// itself (`systemd-analyze verify` prints what it understood); a test in this
// package asks it again.
package unit
