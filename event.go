package landfast

import "time"

// Event is one wish for a deployment that came from outside: a push, a message,
// a call of the API. Whoever verified it fills it in; the queue gives it its ID.
// It holds nothing secret.
type Event struct {
	// ID is the name of the event in its queue. Ids sort by arrival, also when the
	// clock steps back.
	ID       string `json:"id"`
	App      string `json:"app"`
	Action   Action `json:"action"`
	Provider string `json:"provider"`           // github, gitlab, gitea, bitbucket, generic, sns, api, hand
	Trigger  string `json:"trigger,omitempty"`  // the trigger of the host's configuration that took it
	Delivery string `json:"delivery,omitempty"` // the sender's own id of this message; "": it gives none
	// Content is the SHA-256 of the message, where its signature covers neither an id
	// nor a time: two with the same are one, whatever id they claim to have.
	Content  string    `json:"content,omitempty"`
	Received time.Time `json:"received"`

	// Repository is the sender's name of it, such as "shop/web"; Ref the whole ref,
	// such as refs/heads/main; Commit the full id of what is to be deployed.
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	Commit     string `json:"commit,omitempty"`
	// Location and Digest name an artifact instead of a commit; "": as the manifest says.
	Location string `json:"location,omitempty"`
	Digest   string `json:"digest,omitempty"`
	// Closed says why the event is not to take effect: no trigger wants its branch,
	// the branch was deleted. It is queued all the same, so that there is a record.
	Closed string `json:"closed,omitempty"`
	// Of is the id of the event that ActionCancel takes back while it still waits.
	Of string `json:"of,omitempty"`
	// Release is what ActionRollback returns to; "": the last good one.
	Release string `json:"release,omitempty"`
	Force   bool   `json:"force,omitempty"`

	Actor   string   `json:"actor,omitempty"`   // who is behind it, as the sender says
	Message string   `json:"message,omitempty"` // first line of the commit, for people
	Paths   []string `json:"paths,omitempty"`   // files that changed, as far as the sender lists them
}

// Action is what an event asks for.
type Action string

// The actions of events.
const (
	ActionDeploy   Action = "deploy"
	ActionRollback Action = "rollback"
	ActionCancel   Action = "cancel" // an event that still waits
	ActionUpdate   Action = "update" // of Landfast itself
)
