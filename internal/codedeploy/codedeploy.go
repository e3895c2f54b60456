// Package codedeploy writes what AWS CodeDeploy needs to deploy an app with our
// verbs: an appspec.yml and the scripts that its hooks run. It is pure.
//
// The agent copies the bundle to a directory of its own and runs the hooks as root.
// Stopping, starting, checking and coming back are not left to it: one hook runs
// `landfast deploy`, which does all of that and fails when the release is bad, so
// that CodeDeploy reports the failure while the former release is live again.
package codedeploy

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// ReleaseDir is where the bundle holds the release: the build puts it there.
const ReleaseDir = "release"

// overhead is what a deployment takes besides the app's own waits.
const overhead = 5 * time.Minute

// longest is the longest time that CodeDeploy lets a hook run (AWS CodeDeploy User
// Guide, "AppSpec 'hooks' section").
const longest = time.Hour

// Bundle gives the files to put at the top of a bundle, with paths below it.
func Bundle(app *landfast.App) []plan.File {
	dest := path.Join("/opt/landfast-bundles", app.Name)
	timeout := app.Health.Timeout + app.Health.Grace + app.Main().StartTimeout + app.Main().StopTimeout + overhead
	if len(app.Hooks.Migrate) > 0 || timeout > longest {
		timeout = longest
	}
	file := func(name string, mode fs.FileMode, text string) plan.File {
		return plan.File{Path: name, Mode: 0o644 | mode, Owner: "root", Group: "root", Content: text}
	}
	return []plan.File{
		file("appspec.yml", 0, appspec(app.Name, dest, timeout)),
		file("landfast/deploy", 0o111, script(
			"The release is in the bundle; the manifest beside it decides the rest.",
			fmt.Sprintf("exec landfast deploy %s/landfast.toml --from %s/%s", dest, dest, ReleaseDir))),
		file("landfast/validate", 0o111, script(
			"Fails when the app is not healthy.",
			"exec landfast status "+app.Name)),
		file("landfast.toml", 0, app.Manifest),
	}
}

func appspec(name, dest string, timeout time.Duration) string {
	seconds := int(timeout.Round(time.Second) / time.Second)
	return strings.Join([]string{
		"# Made by `landfast render codedeploy` for the app " + name + ". The bundle holds this",
		"# file, landfast.toml, the directory landfast, and the release in the directory " + ReleaseDir + ".",
		"version: 0.0",
		"os: linux",
		"file_exists_behavior: OVERWRITE",
		"files:",
		"  - source: /",
		"    destination: " + dest,
		"hooks:",
		"  AfterInstall:",
		"    - location: landfast/deploy",
		fmt.Sprintf("      timeout: %d", seconds),
		"      runas: root",
		"  ValidateService:",
		"    - location: landfast/validate",
		"      timeout: 60",
		"      runas: root",
		"",
	}, "\n")
}

func script(comment, command string) string {
	return "#!/bin/sh\n# " + comment + "\nset -eu\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" + command + "\n"
}
