package plan

import (
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// deployHome is the home of the deploy user; git wants one that exists.
const deployHome = "/var/lib/landfast"

// users adds the accounts and the sysusers.d file that makes them. The deploy
// user is in no group of the app: it gives its releases to the app's group when
// it makes them, as root, and needs no right of the app's for that.
func (b *builder) users() {
	a := b.app
	lines := []string{}
	line := func(key string) func(string, error) {
		return func(text string, err error) {
			if err != nil {
				b.fail(key, err)
			}
			lines = append(lines, text)
		}
	}
	switch {
	case a.DynamicUser:
		// Only the group: systemd makes the account up.
		if a.Group != a.DeployUser {
			b.plan.Users = append(b.plan.Users, User{Name: a.Group, Group: a.Group, GroupOnly: true})
			line("group")(unit.SysusersGroup(a.Group))
		}
	case a.User != "root":
		b.plan.Users = append(b.plan.Users, User{Name: a.User, Group: a.Group, Description: a.Name, Home: "/"})
		if a.Group != a.User {
			line("group")(unit.SysusersGroup(a.Group))
		}
		line("user")(unit.SysusersUser(a.User, a.Name, "/"))
		if a.Group != a.User {
			line("group")(unit.SysusersMember(a.User, a.Group))
		}
	default:
		b.notef("the app runs as root: the sandbox is all that holds it")
		if a.Group != "root" {
			line("group")(unit.SysusersGroup(a.Group))
		}
	}
	if a.DeployUser != "root" {
		b.plan.Users = append(b.plan.Users, User{Name: a.DeployUser, Group: a.DeployUser, Description: "landfast deployments", Home: deployHome})
		line("deploy_user")(unit.SysusersUser(a.DeployUser, "landfast deployments", deployHome))
	}
	if len(lines) > 0 {
		b.file(sysusersDir+"/landfast-"+a.Name+".conf", Mark(a.Name)+strings.Join(lines, "\n")+"\n")
	}
}
