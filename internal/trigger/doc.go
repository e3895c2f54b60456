// Package trigger decides whether a message from outside is what it claims to be,
// and which events it means: one file per provider.
//
// A message is verified over its raw bytes, in constant time, with the secret of
// its trigger alone, before anything in it is read. What is verified but not wanted
// (another branch, a deleted one, an unknown event, a trigger that is switched off)
// becomes a closed event with the reason; what is not verified becomes a Refusal
// and leaves nothing behind.
//
// Nothing here opens a connection while a message is handled. What has to be
// fetched (certificates of SNS, keys of OIDC issuers, address ranges) is read from a
// Cache on disk, which Refresh fills in another process that may use the network. A
// message of SNS whose certificate is not there yet, and every confirmation of a
// subscription, is told to be stored as it came (Verdict.Later); Settle, in that
// other process, verifies it then, and nothing acts upon it before. The caller of
// an API with a token whose keys are not there is told to try again.
package trigger
