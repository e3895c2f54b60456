package landfast

import "errors"

// Kind is the kind of an error: what the caller may do about it. Exit codes,
// and later HTTP statuses, come from it in one table each.
type Kind string

// The kinds of error.
const (
	Internal    Kind = "internal"    // anything without a kind of its own
	Invalid     Kind = "invalid"     // the manifest, an argument or an input is wrong
	NotFound    Kind = "not-found"   // no such app, release, deployment
	Conflict    Kind = "conflict"    // something of somebody else is in the way
	Unavailable Kind = "unavailable" // a service that is needed does not answer; trying again may help
	Pending     Kind = "pending"     // there are changes to apply
	RolledBack  Kind = "rolled-back" // the release failed and the former one is back
	Stuck       Kind = "stuck"       // an undo failed; a person is needed
)

// Error is an error for people: one clear sentence and what to do about it.
type Error struct {
	Kind Kind
	Msg  string // what and where, without a full stop
	Hint string // what to do; may be ""
	Err  error  // the cause; may be nil
}

// Error gives the message, the cause and the hint on one line.
func (e *Error) Error() string {
	s := e.Msg
	if e.Err != nil {
		if s != "" {
			s += ": "
		}
		s += e.Err.Error()
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the outermost Error in err's chain, or Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != "" {
		return e.Kind
	}
	return Internal
}
