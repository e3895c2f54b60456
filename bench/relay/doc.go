// Package relay measures what stands between clients and an app costs: nothing, the
// relay, nginx, haproxy; over kept and over new connections. Nothing is asserted,
// and nothing is installed: a peer that is absent is left out, with a sentence.
package relay
