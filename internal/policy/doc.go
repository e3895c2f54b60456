// Package policy says what the worker may have root do: for each app the accounts,
// directories, units, ports and powers that its manifests may ask for. It is the
// host's word (/etc/landfast/policy.toml, root's), against which the manifest of a
// release, which comes from outside, is held.
//
// Two looks, so that nothing slips by. CheckApp looks at what a manifest asks for
// and names the key. CheckPlan looks at what would be put on the host: every file,
// directory, account and unit, and every line of every unit. What CheckPlan does not
// know is refused. CheckUnit does the same for one transient unit.
//
// The package is pure: it reads no file and asks nobody.
package policy
