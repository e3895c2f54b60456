package hostconf

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func quote(s string) string { return strconv.Quote(s) }

// nameForm is what a name may be: part of a path, a URL and a unit.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

var (
	headerForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	jsonForm   = regexp.MustCompile(`^[^.\s]{1,64}(\.[^.\s]{1,64}){0,7}$`)
)

// IsName reports whether s may be the name of a trigger, a token or a report.
func IsName(s string) bool { return nameForm.MatchString(s) }

// textForms are the checks of texts, by what the tag form says.
func textForms() map[string]func(string) (msg, hint string) {
	name := func(s string) (msg, hint string) {
		if IsName(s) {
			return "", ""
		}
		return quote(s) + " is not a name", "small letters, digits, - and _, as in web-staging"
	}
	return map[string]func(string) (msg, hint string){
		"":     func(string) (msg, hint string) { return "", "" },
		"name": name,
		"apps": func(s string) (msg, hint string) {
			if s == "*" {
				return "", ""
			}
			return name(s)
		},
		"header": func(s string) (msg, hint string) {
			if headerForm.MatchString(s) {
				return "", ""
			}
			return quote(s) + " is not the name of a header", "write X-Signature"
		},
		"json": func(s string) (msg, hint string) {
			if jsonForm.MatchString(s) {
				return "", ""
			}
			return quote(s) + " is not a place in JSON", "write names and numbers with dots between them, as commits.0.id"
		},
	}
}

// number checks one number.
func (d *document) number(path string, n int64, tag reflect.StructTag) {
	if _, given := d.at[path]; !given {
		return
	}
	low, _ := strconv.ParseInt(tag.Get("min"), 10, 64) // "": 0
	high, err := strconv.ParseInt(tag.Get("max"), 10, 64)
	if n < low || err == nil && n > high {
		d.add(path, fmt.Sprintf("%d is not between %d and %d", n, low, high), "")
	}
}

// check looks at what depends on more than one key.
func (d *document) check() {
	c := &d.config
	if l := &c.Listen; (l.Certificate.Value == "") != (l.Key.Value == "") {
		d.add("listen", "TLS needs both a certificate and a key", "write certificate and key")
	}
	for i := range c.Triggers {
		d.trigger(index("trigger", i), &c.Triggers[i])
	}
	for i := range c.OIDC {
		d.oidc(index("oidc", i), &c.OIDC[i])
	}
	for i := range c.Reports {
		d.report(index("report", i), &c.Reports[i])
	}
}

// forges are the providers that send pushes to a repository.
func forges() []Provider { return []Provider{GitHub, GitLab, Gitea, Forgejo, Bitbucket} }

// eventsOf are the events that each provider sends.
func eventsOf(p Provider) []string {
	switch p {
	case GitHub:
		return []string{"push", "release", "workflow_run", "deployment"}
	case GitLab:
		return []string{"push", "release", "pipeline"}
	case Gitea, Forgejo:
		return []string{"push", "release"}
	}
	return []string{"push"}
}

func (d *document) trigger(path string, t *Trigger) {
	switch {
	case t.App != "" && len(t.Apps) > 0:
		d.add(path+".apps", "cannot stand beside app", "keep one of the two")
	case t.App == "" && len(t.Apps) == 0:
		d.add(path, "needs an app", `write app = "web"`)
	}
	if _, ok := NewPattern(t.Repository); t.Repository != "" && (!ok || strings.HasPrefix(t.Repository, "!")) {
		d.add(path+".repository", quote(t.Repository)+" is not a repository", `write "shop/web"`)
	}
	if slices.Contains(forges(), t.Provider) {
		d.triggerForge(path, t)
	}
	d.triggerEvents(path, t)
	d.triggerPatterns(path, t)
	d.triggerSources(path, t)
	d.triggerSNS(path, t)
	d.triggerShape(path, t)
}

// triggerForge asks for what keeps a forge from deploying everything.
func (d *document) triggerForge(path string, t *Trigger) {
	if t.Repository == "" {
		d.add(path, "needs a repository", `write repository = "shop/web"; the secret of a hook of a whole organisation would let each of its repositories deploy`)
	}
	by := len(t.Events) == 0 || slices.ContainsFunc(t.Events, func(e string) bool { return e == "push" || e == "workflow_run" || e == "pipeline" })
	if by && len(t.Branches)+len(t.Tags) == 0 {
		d.add(path, "needs branches or tags", `write branches = ["main"]`)
	}
}

func (d *document) triggerEvents(path string, t *Trigger) {
	for i, e := range t.Events {
		if known := eventsOf(t.Provider); t.Provider != "" && !slices.Contains(known, e) {
			d.add(index(path+".events", i), fmt.Sprintf("%s sends no %s", t.Provider, e), "it sends "+strings.Join(known, ", "))
		}
	}
	if slices.Contains(t.Events, "workflow_run") && t.Workflow == "" {
		d.add(path, "needs a workflow for workflow_run", "write the name of the workflow that must succeed")
	}
	if slices.Contains(t.Events, "deployment") && t.Environment == "" {
		d.add(path, "needs an environment for deployment", `write environment = "production"`)
	}
}

func (d *document) triggerPatterns(path string, t *Trigger) {
	for key, list := range map[string][]Pattern{"branches": t.Branches, "tags": t.Tags, "paths": t.Paths} {
		if len(list) > 0 && !slices.ContainsFunc(list, func(p Pattern) bool { return !p.Not }) {
			d.add(path+"."+key, "only excludes, so nothing is left", `begin with "**"`)
		}
	}
	if len(t.Paths) > 0 && t.Provider == Bitbucket {
		d.add(path+".paths", "bitbucket does not tell which files a push changes", "leave paths out")
	}
}

// triggerShape checks where things are in the bodies of what we do not know.
func (d *document) triggerShape(path string, t *Trigger) {
	if (t.Provider == Generic || t.Provider == Standard) && t.Generic.Ref+t.Generic.Branch == "" && len(t.Branches)+len(t.Tags) > 0 {
		d.add(path+".generic", "needs ref or branch, since the trigger asks for branches or tags", `write ref = "ref"`)
	}
	if t.Generic.Location != "" && t.Generic.Digest == "" {
		d.add(path+".generic.location", "needs digest as well", "an address does not say what is there")
	}
}

func (d *document) triggerSources(path string, t *Trigger) {
	for i, s := range t.Sources {
		if s == string(GitHub) {
			if t.Provider != GitHub {
				d.add(index(path+".sources", i), "github's addresses are those of the provider github", "")
			}
			continue
		}
		if _, err := ParseRange(s); err != nil {
			d.add(index(path+".sources", i), quote(s)+" is not an address or a range of addresses", "write 192.0.2.1, 2001:db8::/32 or github")
		}
	}
}

// topicForm is the name of a topic in full.
var topicForm = regexp.MustCompile(`^arn:aws(-cn|-us-gov)?:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)

func (d *document) triggerSNS(path string, t *Trigger) {
	if t.Provider != SNS {
		if len(t.Topics) > 0 {
			d.add(path+".topics", "only sns has topics", "")
		}
		return
	}
	if len(t.Topics) == 0 {
		d.add(path, "needs topics", `write topics = ["arn:aws:sns:REGION:ACCOUNT:NAME"]`)
	}
	for i, s := range t.Topics {
		if !topicForm.MatchString(s) {
			d.add(index(path+".topics", i), quote(s)+" is not the ARN of a topic", "write arn:aws:sns:REGION:ACCOUNT:NAME")
		}
	}
}

// telling are the claims that tell one repository from all the others of an
// issuer.
var telling = []string{"sub", "repository", "repository_id", "project_path", "project_id"}

func (d *document) oidc(path string, o *OIDC) {
	if o.Issuer.URL != nil && o.Issuer.URL.Scheme != "https" {
		d.add(path+".issuer", "must be an https address", "")
	}
	tells := false
	for name, p := range o.Claims {
		if p.Not {
			d.add(path+".claims."+name, "a claim cannot be excluded", "say what it must be")
		}
		open := strings.Trim(p.Text, "*/") == ""
		tells = tells || slices.Contains(telling, name) && !open
	}
	if len(o.Claims) > 0 && !tells {
		d.add(path+".claims", "tells no repository, so that every repository of the issuer could deploy", `write repository = "shop/web"; of GitLab project_path`)
	}
}

func (d *document) report(path string, r *Report) {
	need := func(key string, missing bool, hint string) {
		if missing {
			d.add(path, "needs "+key, hint)
		}
	}
	switch r.Provider {
	case "gitea", "forgejo":
		need("api", r.API.Text == "", `write api = "https://git.example.org/api/v1"`)
	case "webhook":
		need("url", r.URL.Text == "", `write url = "https://example.org/hook"`)
	case "command":
		need("command", len(r.Command) == 0, `write command = ["/usr/local/bin/announce"]`)
		if len(r.Command) > 0 && !strings.HasPrefix(r.Command[0], "/") {
			d.add(path+".command[0]", "must be the whole path of a program", "")
		}
	}
	for key, u := range map[string]URL{"api": r.API, "url": r.URL} {
		if u.URL != nil && u.URL.Scheme == "http" && !r.Insecure {
			d.add(path+"."+key, "would be spoken to without TLS", "use https; on this host or a network of your own, insecure_http = true allows it")
		}
	}
}
