package manifest

import (
	"path"
	"regexp"

	"github.com/landfast/landfast"
)

// remote is [config].
type remote struct {
	on      bool
	at      *node
	s3, dir text
}

const s3Pattern = `^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$`

var (
	s3Names  = regexp.MustCompile(s3Pattern)
	s3Prefix = &form{label: "`s3://BUCKET/PREFIX`", pattern: s3Pattern, check: checkS3}
)

func (r *remote) switchOn(at *node) { r.on, r.at = true, at }

func (r *remote) keys() []key {
	return []key{
		{
			name: "s3", value: r.s3.as(s3Prefix), must: true, example: `"s3://shop-config/production"`,
			doc: "Where the files are. What is in the name behind the prefix is their path. The credentials are those that the AWS SDK finds: the role of the instance, variables, or `/root/.aws`.",
		},
		{
			name: "dir", value: r.dir.as(ownPath), def: `"${configuration_dir}/fetched"`, ref: "fetched_dir", example: `"/etc/shop/s3"`,
			doc: "Where the app finds them, also as `FETCHED_DIR`: a link in the configuration directory, changed by one rename to the next set of files. They belong to root, and the group of the app can read them.",
		},
	}
}

func checkS3(s string) (string, *flaw) {
	if !s3Names.MatchString(s) {
		return "", &flaw{quote(s) + " is not a place in S3", `write "s3://BUCKET/PREFIX"`}
	}
	return s, nil
}

func (r *remote) build(d *decoder, dirs *dirs) *landfast.RemoteConfig {
	if !r.on {
		return nil
	}
	if c := &dirs.configuration; !c.on {
		d.at(r.at, "config", "needs the configuration directory of the app", "write configuration = true in [dirs]")
	} else if home := path.Join(c.base.value, c.name.value); r.dir.ok() && path.Dir(r.dir.value) != home {
		d.flaw(&r.dir, &flaw{quote(r.dir.value) + " does not lie in the configuration directory", "write a path such as " + quote(home+"/fetched")})
	}
	return &landfast.RemoteConfig{Location: r.s3.value, Dir: r.dir.value}
}
