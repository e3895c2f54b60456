// Package cutover measures what clients notice of a cutover: the strategies of
// Landfast beside the ways that people use instead, with the same apps, under the
// same load, in one run.
package cutover
