// Package landfast is the vocabulary of Landfast: the app a manifest describes,
// the releases of it, the deployments that put them live, the state of systemd
// units as the rest of the program sees it, and the kinds of error that decide
// an exit code.
//
// It holds types and pure transitions only. It reads no file, runs no program
// and imports nothing of this module, so every other package may import it.
package landfast
