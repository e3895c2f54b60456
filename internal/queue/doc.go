// Package queue is the durable queue between whoever takes events in and the
// worker that makes deployments of them: one directory per app, one file per
// event, no database. `ls` shows the truth.
//
//	tmp/       events being written by the listener; never believed
//	new/       events that were acknowledged: ID.json, put there by one rename
//	cur/       events the worker has taken in and not ended: ID.jsonl, the journal of each
//	done/      journals that ended well, or were closed, superseded, duplicates, cancelled
//	failed/    journals that ended badly, and what was no event (NAME.damaged) with the reason
//	progress/  the journals by a second name, for those who may only follow
//	seen       what has been applied and what was superseded, one line each
//
// Invariants. An event whose Enqueue returned nil is on the disk, file and
// directory, and stays until it has ended; it is applied at most once more than
// the worker died while it was claimed. Names sort by arrival, also when the
// clock steps back. Of the deployments that wait for one ref, the newest stays;
// behind an event that was applied, no older one is. What a sender sent twice
// under one delivery id is applied once, and failing does not use the id up.
//
// Two accounts work on it. The one that may only enqueue (see Dirs) can create
// names in tmp and new and nothing else, and the worker believes nothing it
// finds there: it reads a regular file of bounded size without following links,
// checks all of it, and works on a copy.
package queue
