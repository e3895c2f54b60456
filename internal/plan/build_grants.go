package plan

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// The ways to grant, as Grants names them.
const (
	grantSudoers = "sudoers"
	grantPolkit  = "polkit"
)

// aliases are words that sudoers(5) takes for an alias, ALL among them.
var aliases = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// grants adds what lets the deploy user start and stop the units without being
// root: exact units, exact verbs.
func (b *builder) grants() {
	a := b.app
	if len(a.Grants) > 0 && a.DeployUser == "root" {
		b.notef("grants are left out: the deploy user is root")
		return
	}
	for _, g := range a.Grants {
		switch g {
		case grantSudoers:
			b.sudoers()
		case grantPolkit:
			b.polkit()
		default:
			b.failf("grants", "%q is no way to grant; there are %s and %s", g, grantSudoers, grantPolkit)
		}
	}
}

// granted are the verbs for each unit that may be asked for, in the plan's order.
func (b *builder) granted(read bool) (units []string, verbs map[string][]string) {
	verbs = map[string][]string{}
	for i := range b.app.Services {
		s := &b.app.Services[i]
		allowed := []string{"start", "stop", "restart"}
		if s.Reload != nil {
			allowed = append(allowed, "reload")
		}
		if read {
			allowed = append(allowed, "status")
		}
		for _, u := range unitsOf(s) {
			units, verbs[u] = append(units, u), allowed
		}
	}
	return units, verbs
}

// sudoers adds a file for sudo(8). Its name has no dot, or sudo would not read
// it; there is no alias, whose name could be another app's, and no wildcard.
// --no-pager is part of each command: a pager that runs as root gives a shell.
func (b *builder) sudoers() {
	if aliases.MatchString(b.app.DeployUser) {
		b.failf("deploy_user", "sudo takes %s for an alias", b.app.DeployUser)
		return
	}
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`, `=`, `\=`)
	units, verbs := b.granted(true)
	var text strings.Builder
	text.WriteString(Mark(b.app.Name))
	// Old Red Hats want a terminal otherwise.
	text.WriteString("Defaults:" + b.app.DeployUser + " !requiretty\n")
	for _, u := range units {
		for _, v := range verbs[u] {
			// /bin is /usr/bin on most systems, and sudo compares the words.
			for _, systemctl := range []string{"/bin/systemctl", "/usr/bin/systemctl"} {
				text.WriteString(b.app.DeployUser + " ALL=(root) NOPASSWD: " + systemctl + " --no-pager " + v + " " + escape.Replace(u) + "\n")
			}
		}
	}
	b.plan.Files = append(b.plan.Files, File{
		Path: "/etc/sudoers.d/landfast-" + b.app.Name, Mode: 0o440, Owner: "root", Group: "root", Content: text.String(),
	})
}

// polkit adds a rule for polkit(8). To look at a unit needs no right.
func (b *builder) polkit() {
	if !b.has(226) {
		b.notef("systemd %d does not tell polkit which unit is meant (since 226): the grant is left out", b.version)
		return
	}
	if !b.has(250) {
		b.notef("polkit reads rules since its version 106; systems as old as this one may have 105, which ignores the grant")
	}
	units, verbs := b.granted(false)
	var allowed []string
	for _, u := range units {
		for _, v := range verbs[u] {
			allowed = append(allowed, v+" "+u)
		}
	}
	lines := []string{
		strings.TrimSuffix(markAs("// ", b.app.Name), "\n"),
		"polkit.addRule(function(action, subject) {",
		"    if (action.id != \"org.freedesktop.systemd1.manage-units\" || subject.user != " + quoteJS(b.app.DeployUser) + ") {",
		"        return polkit.Result.NOT_HANDLED;",
		"    }",
		"    var allowed = [",
	}
	for _, a := range allowed {
		lines = append(lines, "        "+quoteJS(a)+",")
	}
	lines = append(
		lines,
		"    ];",
		"    if (allowed.indexOf(action.lookup(\"verb\") + \" \" + action.lookup(\"unit\")) >= 0) {",
		"        return polkit.Result.YES;",
		"    }",
		"    return polkit.Result.NOT_HANDLED;",
		"});",
	)
	b.file("/etc/polkit-1/rules.d/50-landfast-"+b.app.Name+".rules", strings.Join(lines, "\n")+"\n")
}

// quoteJS writes a string of JavaScript.
func quoteJS(s string) string {
	text, _ := json.Marshal(s) // a string cannot fail
	return string(text)
}

// checkUnique refuses two units of one name.
func (b *builder) checkUnique() {
	var names []string
	for _, u := range b.plan.Units {
		if slices.Contains(names, u.Name) {
			b.failf("service", "two units are called %s", u.Name)
		}
		names = append(names, u.Name)
	}
}
