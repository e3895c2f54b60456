package landfast

import "time"

// DeploymentStatus is where a deployment stands.
//
//	running ──▶ committed ──▶ succeeded
//	   │
//	   ├──▶ failed                     nothing live had been touched
//	   └──▶ undoing ──▶ rolled-back
//	           └─────▶ stuck           an undo failed: held for a person
//
// A deployment whose process died is found as running or undoing, and is ended
// by the next one that holds the lock: undone before the point of no return,
// finished behind it.
type DeploymentStatus string

// The states of a deployment.
const (
	StatusRunning    DeploymentStatus = "running"
	StatusCommitted  DeploymentStatus = "committed"
	StatusSucceeded  DeploymentStatus = "succeeded"
	StatusFailed     DeploymentStatus = "failed"
	StatusUndoing    DeploymentStatus = "undoing"
	StatusRolledBack DeploymentStatus = "rolled-back"
	StatusStuck      DeploymentStatus = "stuck"
)

// Ended reports whether nothing is left to do for the engine.
func (s DeploymentStatus) Ended() bool {
	return s == StatusSucceeded || s == StatusFailed || s == StatusRolledBack
}

// CanBecome reports whether a deployment in state s may go to next. The
// transitions are drawn at DeploymentStatus.
func (s DeploymentStatus) CanBecome(next DeploymentStatus) bool {
	switch s {
	case StatusRunning:
		return next == StatusCommitted || next == StatusFailed || next == StatusUndoing
	case StatusCommitted:
		return next == StatusSucceeded
	case StatusUndoing:
		return next == StatusRolledBack || next == StatusStuck || next == StatusFailed
	case StatusStuck:
		return next == StatusUndoing
	}
	return false
}

// Verb is what a deployment was asked to do.
type Verb string

// The verbs of a deployment.
const (
	VerbDeploy   Verb = "deploy"   // a new release from a source
	VerbRollback Verb = "rollback" // a release that is on the host already
)

// Deployment is one attempt to make a release live.
type Deployment struct {
	ID      string           `json:"id"`
	App     string           `json:"app"`
	Verb    Verb             `json:"verb"`
	From    string           `json:"from,omitempty"`   // the release that was current; "": none
	To      string           `json:"to"`               // the release it makes live
	Actor   string           `json:"actor"`            // who asked: a user name
	Reason  string           `json:"reason,omitempty"` // of a rollback: what made it necessary, as far as was said
	Status  DeploymentStatus `json:"status"`
	Started time.Time        `json:"started"`
	Ended   time.Time        `json:"ended,omitzero"`
	Steps   []StepRecord     `json:"steps"`
	Failure *Failure         `json:"failure,omitempty"`
}

// StepStatus is where one step of a deployment stands.
type StepStatus string

// The states of a step.
const (
	StepDoing   StepStatus = "doing"
	StepDone    StepStatus = "done"
	StepFailed  StepStatus = "failed"
	StepUndoing StepStatus = "undoing"
	StepUndone  StepStatus = "undone"
	StepStuck   StepStatus = "stuck"
)

// StepRecord is the last known state of one step.
type StepRecord struct {
	Name    string        `json:"name"`
	Summary string        `json:"summary"`
	Status  StepStatus    `json:"status"`
	Took    time.Duration `json:"took_ns,omitempty"`
	Undo    time.Duration `json:"undo_ns,omitempty"` // how long taking it back took
	Error   string        `json:"error,omitempty"`
}

// Failure is why a deployment failed, with what a person needs to see.
type Failure struct {
	Step   string      `json:"step"`
	Error  string      `json:"error"`
	Unit   *UnitStatus `json:"unit,omitempty"`   // the main unit when it failed
	Health string      `json:"health,omitempty"` // the last answer of the health check
	Log    []string    `json:"log,omitempty"`    // the last lines the app wrote
	Undone []string    `json:"undone,omitempty"` // what was taken back, in order
	Next   string      `json:"next,omitempty"`   // what to do now
}
