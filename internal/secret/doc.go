// Package secret gets the settings of an app, which are its secrets, the
// parameters that become its variables and the configuration that comes from
// elsewhere, and keeps them on the host as sets.
//
// Sources gets them: each kind of source has a file of its own here. Store keeps
// them: a set is a directory that is complete or not there, a link says by one
// rename which set counts, and the former set stays for the way back. So a host
// starts its apps without Vault, S3 or a network, and a deployment that is taken
// back takes its settings back with it.
//
// No error and no description of this package holds a value.
package secret
