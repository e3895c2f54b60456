package manifest

import (
	"strconv"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// paths is [paths].
type paths struct {
	base, deploy, releases, current, bin, flags, shared, working text
}

func (p *paths) keys() []key {
	return []key{
		{
			name: "base", value: p.base.as(absPath), def: `"/srv"`, ref: "base_dir", example: `"/opt"`,
			doc: "Below which the directories of all apps lie.",
		},
		{
			name: "deploy", value: p.deploy.as(ownPath), def: `"${base_dir}/${external_name}"`, ref: "deploy_dir", example: `"/srv/shop"`,
			doc: "The directory of this app.",
		},
		{
			name: "releases", value: p.releases.as(ownPath), def: `"${deploy_dir}/releases"`, ref: "releases_dir", example: `"/data/releases/shop"`,
			doc: "Where each release has its directory.",
		},
		{
			name: "current", value: p.current.as(ownPath), def: `"${deploy_dir}/current"`, ref: "current_dir", example: `"/srv/shop/live"`,
			doc: "The symbolic link to the release that is live.",
		},
		{
			name: "bin", value: p.bin.as(ownPath), def: `"${deploy_dir}/bin"`, ref: "bin_dir", example: `"/srv/shop/scripts"`,
			doc: "Scripts that belong to the host rather than to a release.",
		},
		{
			name: "flags", value: p.flags.as(ownPath), def: `"${deploy_dir}/flags"`, ref: "flags_dir", example: `"/srv/shop/flags"`,
			doc: "Where flag files lie.",
		},
		{
			name: "shared", value: p.shared.as(ownPath), def: `"${deploy_dir}/shared"`, ref: "shared_dir", example: `"/data/shop"`,
			doc: "Data that all releases share.",
		},
		{
			name: "working", directive: "WorkingDirectory", value: p.working.as(absPath), def: `"${current_dir}"`, ref: "working_dir", example: `"${shared_dir}"`,
			doc: "The working directory of the app.",
		},
	}
}

func (p *paths) build(d *decoder) landfast.Paths {
	own := []*text{&p.deploy, &p.releases, &p.current, &p.bin, &p.flags, &p.shared}
	for i, a := range own {
		for _, b := range own[:i] {
			if a.ok() && b.ok() && a.value == b.value {
				d.flaw(a, &flaw{quote(a.value) + " is " + b.key + " as well", "each needs a path of its own"})
			}
		}
	}
	return landfast.Paths{
		Base: p.base.value, Deploy: p.deploy.value, Releases: p.releases.value, Current: p.current.value,
		Bin: p.bin.value, Flags: p.flags.value, Shared: p.shared.value, Working: p.working.value,
	}
}

// hooks is [hooks].
type hooks struct {
	migrate, after commands
	irreversible   boolean
}

func (h *hooks) keys() []key {
	return []key{
		{
			name: "migrate", value: &h.migrate, example: `[["bin/web", "migrate"]]`,
			doc: "Run from the new release before it takes over. A failure ends the deployment, and the old release goes on.",
		},
		{
			name: "irreversible", value: &h.irreversible, def: `false`, example: `true`,
			doc: "What `migrate` does cannot be taken back. A rollback to a release from before it is refused then, until --force.",
		},
		{
			name: "after", value: &h.after, example: `["bin/web warm-cache"]`,
			doc: "Run once the new release is healthy and kept. A failure is reported and changes nothing.",
		},
	}
}

// releases is [releases].
type releases struct {
	keep, maxFiles integer
	maxSize        text
}

func (r *releases) keys() []key {
	return []key{
		{
			name: "keep", value: r.keep.between(0, 1000), def: `5`, example: `10`,
			doc: "How many of the newest good releases are kept. The current one and the one before it stay in any case; bad ones do not count.",
		},
		{
			name: "max_size", value: r.maxSize.as(size), def: `"2GiB"`, example: `"200MiB"`,
			doc: "How large an unpacked release may be.",
		},
		{
			name: "max_files", value: r.maxFiles.between(1, 100_000_000), def: `200000`, example: `50000`,
			doc: "How many files and directories an unpacked release may have.",
		},
	}
}

func (r *releases) build() landfast.Retention {
	limit, _ := strconv.ParseInt(r.maxSize.value, 10, 64) // 0 only when reported already
	return landfast.Retention{Keep: r.keep.n, MaxBytes: limit, MaxFiles: r.maxFiles.n}
}

// sandbox is [sandbox].
type sandbox struct {
	profile text
	allow   texts
}

func (s *sandbox) keys() []key {
	return []key{
		{
			name: "profile", value: s.profile.as(words("none", "baseline", "strict")), def: `"strict"`, example: `"baseline"`,
			doc: "`strict` leaves what a web app needs and takes the rest; `baseline` takes what hardly any app needs; `none` takes nothing.",
		},
		{
			name: "allow", value: s.allow.as(words(unit.AllowNames()...)), note: "nothing more", example: `["jit"]`,
			doc: "Lines of the profile that are left out, by name. `jit` lets the app make code at run time. A list here replaces that of the stack.",
		},
	}
}
