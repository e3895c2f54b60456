// Package hostconf reads /etc/landfast/listen.toml and the files of
// /etc/landfast/listen.d: who may ask this host for a deployment, and who is told
// what became of it.
//
// The keys are described once, in the tags of the exported types: the decoder,
// the search for the nearest key and the reference page come from there. All
// mistakes of all files are reported in one go, each with its place, as those of
// a manifest are. The package holds no secrets; it says which credential each
// trigger and report needs (Credentials), and ReadSecret reads one.
package hostconf
