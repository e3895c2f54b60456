package rootsvc

import (
	"context"
	"fmt"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/policy"
	"github.com/landfast/landfast/internal/systemd"
	sdunit "github.com/landfast/landfast/internal/unit"
)

// Reload runs the test that the policy declares, and only when it succeeds has the unit
// reload, both in one unit of their own.
func (d *Direct) Reload(ctx context.Context, r Request, w Watch) error {
	r.Verb = VerbReload
	_, p, err := d.rules(r)
	if err != nil {
		return err
	}
	reload, err := p.Reload(r.App, r.Reload)
	if err != nil {
		return err
	}
	version, err := d.Systemd(ctx)
	if err != nil {
		return err
	}
	out := &lines{tell: w.log}
	directives, done, err := d.Attach(out)
	if err != nil {
		return err
	}
	text, err := reloadText(r.Reload, reload, version, directives)
	if err != nil {
		done()
		return err
	}
	st, err := d.Engine.Host.RunOnce(ctx, "landfast-"+r.App+"-reload.service", text)
	done()
	out.end()
	if err != nil || st.Result == "success" {
		return err
	}
	return &landfast.Error{
		Kind: landfast.Invalid, Msg: fmt.Sprintf("%s was not reloaded: %s", reload.Unit, systemd.Explain("failed", st)),
		Hint: fmt.Sprintf("the test is %q", strings.Join(reload.Test, " ")),
	}
}

func reloadText(name string, r policy.Reload, version int, directives []landfast.Directive) (string, error) {
	f := &sdunit.File{Comments: []string{"A reload that the policy of this host declares, removed when it has ended."}}
	f.Section("Unit").Add("Description", "Reload "+name)
	s := f.Section("Service")
	s.Add("Type", "oneshot")
	for _, argv := range [][]string{r.Test, {"/bin/systemctl", "--no-pager", "reload", r.Unit}} {
		text, err := sdunit.Command("", argv)
		if err != nil {
			return "", err
		}
		s.Add("ExecStart", text)
	}
	s.Add("TimeoutStartSec", "120s")
	lines, err := sdunit.Profile("baseline")
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		if now, ok := l.For(version); ok {
			s.Add(now.Directive, now.Value)
		}
	}
	for _, x := range directives {
		f.Section(x.Section).Add(x.Name, x.Value)
	}
	return f.Render()
}
