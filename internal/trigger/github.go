package trigger

import (
	"strings"

	"github.com/landfast/landfast"
)

// verifyGitHub checks X-Hub-Signature-256 (docs.github.com: validating webhook
// deliveries). The older X-Hub-Signature with SHA-1 does not count.
func verifyGitHub(t *source, r Request) error {
	return verifyHub(t, r, "X-Hub-Signature-256", "sha256=")
}

// gitHubBody is what we read of GitHub's payloads.
type gitHubBody struct {
	Action     string `json:"action"`
	Ref        string `json:"ref"`
	Before     string `json:"before"`
	After      string `json:"after"`
	Deleted    bool   `json:"deleted"`
	Forced     bool   `json:"forced"`
	Created    bool   `json:"created"`
	Commits    []change
	HeadCommit *change `json:"head_commit"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Sender struct {
		Login string `json:"login"`
	} `json:"sender"`
	Release     gitHubRelease     `json:"release"`
	WorkflowRun gitHubWorkflowRun `json:"workflow_run"`
	Deployment  struct {
		Environment string `json:"environment"`
		Ref         string `json:"ref"`
		SHA         string `json:"sha"`
		Task        string `json:"task"`
		Description string `json:"description"`
	} `json:"deployment"`
}

type gitHubRelease struct {
	TagName    string `json:"tag_name"`
	Name       string `json:"name"`
	Draft      bool   `json:"draft"`
	Prerelease bool   `json:"prerelease"`
	Assets     []struct {
		Name   string `json:"name"`
		URL    string `json:"browser_download_url"`
		Digest string `json:"digest"`
	} `json:"assets"`
}

type gitHubWorkflowRun struct {
	Name           string `json:"name"`
	Event          string `json:"event"`
	Conclusion     string `json:"conclusion"`
	HeadBranch     string `json:"head_branch"`
	HeadSHA        string `json:"head_sha"`
	DisplayTitle   string `json:"display_title"`
	HeadRepository struct {
		FullName string `json:"full_name"`
	} `json:"head_repository"`
}

func readGitHub(t *source, r Request) ([]message, any, error) {
	event, err := one(r.Header, "X-GitHub-Event")
	if err != nil {
		return nil, nil, err
	}
	body, err := payload(r)
	if err != nil {
		return nil, nil, err
	}
	var b gitHubBody
	if err := unmarshal(body, &b); err != nil {
		return nil, nil, err
	}
	if event == "ping" {
		return nil, pong(), nil
	}
	m := message{
		event: event, action: landfast.ActionDeploy, repository: b.Repository.FullName, actor: b.Sender.Login,
		delivery: r.Header.Get("X-GitHub-Delivery"), content: contentOf(r.Body),
	}
	switch event {
	case "push":
		b.push(&m)
	case "release":
		b.release(t, &m)
	case "workflow_run":
		b.workflowRun(t, &m)
	case "deployment":
		b.deployment(t, &m)
	default:
		m.event, m.closed = "", "an event that is not known here: "+clean(event, 40)
	}
	return []message{m}, nil, nil
}

func (b *gitHubBody) push(m *message) {
	m.ref = b.Ref
	if b.Deleted || zero(b.After) {
		m.closed = "the branch or tag was deleted"
		return
	}
	m.commit = b.After
	if b.HeadCommit != nil { // of an annotated tag, after is the tag's own id
		m.commit, m.text = b.HeadCommit.ID, b.HeadCommit.Message
	}
	m.paths = pathsOf(b.Commits)
	// GitHub lists at most 2048 commits, and those of a new branch or a forced push
	// are not all that differs from what is deployed.
	m.listed = !b.Forced && !b.Created && len(b.Commits) > 0 && len(b.Commits) < 2048
}

func (b *gitHubBody) release(t *source, m *message) {
	rel := b.Release
	m.ref, m.text = tags+rel.TagName, rel.Name
	switch {
	case b.Action != "published":
		m.closed = "the release was not published, but " + clean(b.Action, 40)
	case rel.Draft:
		m.closed = "the release is a draft"
	case rel.Prerelease && !t.Prereleases:
		m.closed = "the release is marked as not ready"
	case t.Asset.Text != "":
		b.asset(t, m)
	}
}

// asset finds the one file that is to be deployed.
func (b *gitHubBody) asset(t *source, m *message) {
	found := 0
	for _, a := range b.Release.Assets {
		if t.Asset.Match(a.Name) {
			m.location, m.digest = a.URL, a.Digest
			found++
		}
	}
	switch {
	case found == 0:
		m.closed = "the release has no such file yet"
	case found > 1:
		m.closed = "more than one file of the release matches"
	case m.digest == "":
		m.closed = "the sender gives no digest of the file"
	}
	if m.closed != "" {
		m.location, m.digest = "", ""
	}
}

// workflowRun takes a run that succeeded on a branch of the repository itself. A
// run for a pull request carries the branch name of a fork, which anybody chooses.
func (b *gitHubBody) workflowRun(t *source, m *message) {
	run := b.WorkflowRun
	m.ref, m.commit, m.text = heads+run.HeadBranch, run.HeadSHA, run.DisplayTitle
	switch {
	case b.Action != "completed":
		m.closed = "the workflow has not completed"
	case run.Conclusion != "success":
		m.closed = "the workflow did not succeed"
	case run.Name != t.Workflow:
		m.closed = "it is another workflow"
	case run.Event != "push" && run.Event != "workflow_dispatch" && run.Event != "schedule":
		m.closed = "the workflow did not run for a push"
	case !strings.EqualFold(run.HeadRepository.FullName, b.Repository.FullName):
		m.closed = "the workflow ran for a fork"
	}
	if run.HeadBranch == "" {
		m.ref = ""
	}
}

func (b *gitHubBody) deployment(t *source, m *message) {
	d := b.Deployment
	m.commit, m.text = d.SHA, d.Description
	switch {
	case isRef(d.Ref):
		m.ref = d.Ref
	case !commitForm.MatchString(d.Ref) && isRef(heads+d.Ref):
		m.ref = heads + d.Ref
	}
	switch {
	case d.Environment != t.Environment:
		m.closed = "it is for another environment"
	case d.Task != "" && d.Task != "deploy":
		m.closed = "it is not for the task deploy"
	}
}
