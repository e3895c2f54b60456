package trigger

import (
	"net/http"

	"github.com/landfast/landfast"
)

// verifyGitea checks the HMAC that Gitea and Forgejo send under several names: the
// first that is there counts.
func verifyGitea(t *source, r Request) error {
	for _, h := range []struct{ header, prefix string }{
		{"X-Forgejo-Signature", ""}, {"X-Gitea-Signature", ""}, {"X-Hub-Signature-256", "sha256="},
	} {
		if r.Header.Get(h.header) != "" {
			return verifyHub(t, r, h.header, h.prefix)
		}
	}
	return refuse(http.StatusUnauthorized, "the header X-Gitea-Signature is missing")
}

// giteaBody is what we read of the payloads.
type giteaBody struct {
	Action     string `json:"action"`
	Ref        string `json:"ref"`
	Before     string `json:"before"`
	After      string `json:"after"`
	Total      int    `json:"total_commits"`
	Commits    []change
	HeadCommit *change `json:"head_commit"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Sender struct {
		Login string `json:"login"`
	} `json:"sender"`
	Release struct {
		TagName    string `json:"tag_name"`
		Name       string `json:"name"`
		Draft      bool   `json:"draft"`
		Prerelease bool   `json:"prerelease"`
	} `json:"release"`
}

func readGitea(t *source, r Request) ([]message, any, error) {
	header := func(names ...string) string {
		for _, n := range names {
			if v := r.Header.Get(n); v != "" {
				return v
			}
		}
		return ""
	}
	body, err := payload(r)
	if err != nil {
		return nil, nil, err
	}
	var b giteaBody
	if err := unmarshal(body, &b); err != nil {
		return nil, nil, err
	}
	event := header("X-Forgejo-Event", "X-Gitea-Event")
	m := message{
		event: event, action: landfast.ActionDeploy, repository: b.Repository.FullName, actor: b.Sender.Login,
		delivery: header("X-Forgejo-Delivery", "X-Gitea-Delivery"), content: contentOf(r.Body),
	}
	switch event {
	case "push":
		b.push(&m)
	case "release":
		m.ref, m.text = tags+b.Release.TagName, b.Release.Name
		switch {
		case b.Action != "published":
			m.closed = "the release was not published, but " + clean(b.Action, 40)
		case b.Release.Draft:
			m.closed = "the release is a draft"
		case b.Release.Prerelease && !t.Prereleases:
			m.closed = "the release is marked as not ready"
		}
	default:
		m.event, m.closed = "", "an event that is not known here: "+clean(event, 40)
	}
	return []message{m}, nil, nil
}

func (b *giteaBody) push(m *message) {
	m.ref = b.Ref
	if zero(b.After) {
		m.closed = "the branch or tag was deleted"
		return
	}
	m.commit = b.After
	if b.HeadCommit != nil {
		m.commit, m.text = b.HeadCommit.ID, b.HeadCommit.Message
	}
	m.paths = pathsOf(b.Commits)
	m.listed = len(b.Commits) > 0 && b.Total == len(b.Commits) && !zero(b.Before)
}
