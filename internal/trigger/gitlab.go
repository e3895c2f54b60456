package trigger

import (
	"cmp"
	"net/http"

	"github.com/landfast/landfast"
)

// verifyGitLab checks the signing token (the headers of Standard Webhooks) when the
// secret has its form, and X-Gitlab-Token otherwise. A secret for signing is never
// taken as a plain token, so nobody can choose the weaker check; where there is one
// of each, as while changing from one to the other, the headers say which.
func verifyGitLab(t *source, r Request) error {
	var plain, signing []secret
	for _, s := range t.secrets {
		if s.key != nil {
			signing = append(signing, s)
		} else {
			plain = append(plain, s)
		}
	}
	if len(signing) > 0 && (len(plain) == 0 || r.Header.Get("webhook-signature") != "") {
		return verifyStandardWith(signing, r, t.Tolerance.Span, t.set.now())
	}
	token, err := one(r.Header, "X-Gitlab-Token")
	if err != nil {
		return err
	}
	if token == "" {
		return refuse(http.StatusUnauthorized, "the header X-Gitlab-Token is missing")
	}
	if !same(plain, token) {
		return refuse(http.StatusForbidden, "the token is wrong")
	}
	return nil
}

// gitLabBody is what we read of GitLab's payloads.
type gitLabBody struct {
	Kind     string `json:"object_kind"`
	Ref      string `json:"ref"`
	Before   string `json:"before"`
	After    string `json:"after"`
	Checkout string `json:"checkout_sha"`
	User     string `json:"user_username"`
	Total    int    `json:"total_commits_count"`
	Commits  []change
	Project  struct {
		Path string `json:"path_with_namespace"`
	} `json:"project"`
	// of pipelines
	Pipeline struct {
		Ref    string `json:"ref"`
		Tag    bool   `json:"tag"`
		SHA    string `json:"sha"`
		Status string `json:"status"`
		Source string `json:"source"`
	} `json:"object_attributes"`
	By struct {
		Username string `json:"username"`
	} `json:"user"`
	Commit struct {
		ID      string `json:"id"`
		Message string `json:"message"`
	} `json:"commit"`
	// of releases
	Action string `json:"action"`
	Tag    string `json:"tag"`
	Name   string `json:"name"`
}

func readGitLab(t *source, r Request) ([]message, any, error) {
	var b gitLabBody
	if err := unmarshal(r.Body, &b); err != nil {
		return nil, nil, err
	}
	m := message{action: landfast.ActionDeploy, repository: b.Project.Path, actor: b.User}
	if m.actor == "" {
		m.actor = b.By.Username
	}
	// The key of idempotence stays the same when GitLab tries again.
	m.delivery = cmp.Or(r.Header.Get("webhook-id"), r.Header.Get("Idempotency-Key"), r.Header.Get("X-Gitlab-Event-UUID"))
	switch b.Kind {
	case "push", "tag_push":
		b.push(&m)
	case "pipeline":
		b.pipeline(&m)
	case "release":
		m.event, m.ref, m.commit, m.text = "release", tags+b.Tag, b.Commit.ID, b.Name
		if b.Action != "create" {
			m.closed = "the release was not created, but " + clean(b.Action, 40)
		}
	default:
		m.closed = "an event that is not known here: " + clean(b.Kind, 40)
	}
	return []message{m}, nil, nil
}

func (b *gitLabBody) push(m *message) {
	m.event, m.ref = "push", b.Ref
	if zero(b.After) {
		m.closed = "the branch or tag was deleted"
		return
	}
	m.commit = b.After
	if b.Checkout != "" { // of an annotated tag, after is the tag's own id
		m.commit = b.Checkout
	}
	for _, c := range b.Commits {
		if c.ID == m.commit {
			m.text = c.Message
		}
	}
	m.paths = pathsOf(b.Commits)
	// GitLab lists at most 20 commits.
	m.listed = len(b.Commits) > 0 && b.Total == len(b.Commits) && !zero(b.Before)
}

func (b *gitLabBody) pipeline(m *message) {
	p := b.Pipeline
	m.event, m.commit, m.text = "pipeline", p.SHA, b.Commit.Message
	m.ref = heads + p.Ref
	if p.Tag {
		m.ref = tags + p.Ref
	}
	switch {
	case p.Status != "success":
		m.closed = "the pipeline did not succeed"
	case p.Source != "push" && p.Source != "web" && p.Source != "schedule" && p.Source != "api" && p.Source != "trigger":
		// Those of merge requests carry names that others choose.
		m.closed = "the pipeline did not run for a push"
	}
}
