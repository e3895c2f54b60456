// Package adopt turns a service that a host has already into a manifest: unit
// file, drop-ins and the socket in front of it go in, landfast.toml comes out,
// together with what the manifest cannot say.
//
// The package reads units through an fs.FS and changes nothing. It knows which
// directives the keys of a manifest stand for (keys.go), and what a plan adds to
// every unit and how the manifest keeps that away (neutral.go).
//
// Invariant: whatever the unit that is rendered from the manifest sets otherwise
// than the original is in Result.CannotExpress. Adopt does not trust its own
// tables for that: it builds the plan and compares (verify.go).
package adopt
