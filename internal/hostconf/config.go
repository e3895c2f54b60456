package hostconf

import "time"

// Config is all of a host's listen.toml and listen.d.
type Config struct {
	Listen   Listen    `toml:"listen" doc:"How the listener listens."`
	Triggers []Trigger `toml:"trigger" doc:"One sender of events and what it may deploy. Its hooks go to /hooks/NAME."`
	Tokens   []Token   `toml:"token" doc:"A token for the API. landfast token add writes one."`
	OIDC     []OIDC    `toml:"oidc" doc:"Identity tokens that a CI issues to its own runs are taken for the API."`
	Reports  []Report  `toml:"report" doc:"Somebody who is told what becomes of deployments. Reporting never decides one."`
}

// Listen is how the listener listens.
type Listen struct {
	Address        []string `toml:"address" doc:"Addresses and ports of the socket." def:"[\"[::]:8420\"]" example:"[\"[::]:8420\"]"`
	Certificate    Path     `toml:"certificate" doc:"Certificate chain for TLS, PEM. Without it the listener speaks plain HTTP and belongs behind a proxy." example:"\"/etc/landfast/tls/cert.pem\""`
	Key            Path     `toml:"key" doc:"Private key of the certificate. Reaches the listener as a credential." example:"\"/etc/landfast/tls/key.pem\""`
	TrustedProxies []Range  `toml:"trusted_proxies" doc:"Addresses whose X-Forwarded-For is believed." example:"[\"127.0.0.1\", \"::1\"]"`
	MaxBody        Size     `toml:"max_body" doc:"Largest body." def:"\"5MiB\"" example:"\"5MiB\""`
	MaxHeader      Size     `toml:"max_header" doc:"Largest header." def:"\"32KiB\"" example:"\"32KiB\""`
	MaxConnections int      `toml:"max_connections" doc:"Connections at a time; more wait." def:"256" example:"256" min:"1" max:"65536"`
	Timeout        Duration `toml:"timeout" doc:"How long a request may take to arrive." def:"\"10s\"" example:"\"10s\""`
	Idle           Duration `toml:"idle" doc:"The listener leaves when nothing came for this long; the socket stays." def:"\"30s\"" example:"\"30s\""`
	Rate           *int     `toml:"rate" doc:"Requests a minute from one source; 0: no limit." def:"600" example:"600" max:"1000000"`
	Burst          int      `toml:"burst" doc:"Requests of one source that may come at once." def:"120" example:"120" min:"1" max:"1000000"`
}

// Trigger is one sender of events.
type Trigger struct {
	Name       string   `toml:"name" doc:"Its name: part of the URL and of the credential." example:"\"web\"" must:"yes" form:"name"`
	App        string   `toml:"app" doc:"The app it deploys." example:"\"web\"" form:"name"`
	Apps       []string `toml:"apps" doc:"The apps, where it is more than one." example:"[\"web\", \"web-staging\"]" form:"name"`
	Provider   Provider `toml:"provider" doc:"Who sends." example:"\"github\"" must:"yes" words:"github gitlab gitea forgejo bitbucket generic standard sns"`
	Enabled    *bool    `toml:"enabled" doc:"false: what comes is verified, recorded and not acted on." def:"true" example:"false"`
	Production bool     `toml:"production" doc:"Guards the trigger: deleting it takes its name or --yes-production." def:"false" example:"true"`

	Repository  string    `toml:"repository" doc:"The repository, as the sender names it; * and ** as in paths." example:"\"shop/web\""`
	Branches    []Pattern `toml:"branches" doc:"Branches that deploy. The last pattern that matches decides; ! before it excludes." example:"[\"main\", \"release/*\", \"!release/old\"]"`
	Tags        []Pattern `toml:"tags" doc:"Tags that deploy, likewise." example:"[\"v*\"]"`
	Paths       []Pattern `toml:"paths" doc:"Deploys only what changes such a file, likewise. What the sender does not list in full passes." example:"[\"**\", \"!docs/**\"]"`
	Events      []string  `toml:"events" doc:"What deploys." def:"[\"push\"]" example:"[\"push\", \"release\"]" words:"push release workflow_run deployment pipeline"`
	Workflow    string    `toml:"workflow" doc:"For workflow_run: the name of the workflow that must have succeeded." example:"\"CI\""`
	Environment string    `toml:"environment" doc:"For deployment: its environment." example:"\"production\""`
	Prereleases bool      `toml:"prereleases" doc:"For release: takes those marked as not ready, too." def:"false" example:"true"`
	Asset       Pattern   `toml:"asset" doc:"For release: the file to deploy instead of the commit. The sender must give its digest." example:"\"web-*.tar.gz\""`

	Sources   []string `toml:"sources" doc:"Addresses it may send from; github stands for the ranges that GitHub publishes." example:"[\"github\", \"10.0.0.0/8\"]"`
	Tolerance Duration `toml:"tolerance" doc:"How old a signed message with a time in it may be." def:"\"5m\", of sns \"24h\"" example:"\"5m\""`
	Topics    []string `toml:"topics" doc:"For sns: the topics, in full." example:"[\"arn:aws:sns:eu-west-1:123456789012:deploy\"]"`
	Actions   []string `toml:"actions" doc:"For sns and generic: what it may ask for." def:"[\"deploy\"]" example:"[\"deploy\", \"update\"]" words:"deploy rollback update"`
	Generic   Shape    `toml:"generic" doc:"For generic and standard: how to verify and read what it sends."`
}

// Provider is who sends.
type Provider string

// The providers.
const (
	GitHub    Provider = "github"
	GitLab    Provider = "gitlab"
	Gitea     Provider = "gitea"
	Forgejo   Provider = "forgejo"
	Bitbucket Provider = "bitbucket"
	Generic   Provider = "generic"
	Standard  Provider = "standard"
	SNS       Provider = "sns"
)

// Shape is how to verify and read what no provider of ours sends.
type Shape struct {
	Header         string `toml:"header" doc:"The header that holds the signature." def:"\"X-Signature-256\"" example:"\"X-Signature\"" form:"header"`
	Prefix         string `toml:"prefix" doc:"What stands before the signature." def:"\"\"" example:"\"sha256=\""`
	Encoding       string `toml:"encoding" doc:"How it is written." def:"\"hex\"" example:"\"base64\"" words:"hex base64"`
	Algorithm      string `toml:"algorithm" doc:"The hash of the HMAC over the raw body." def:"\"sha256\"" example:"\"sha512\"" words:"sha256 sha384 sha512"`
	DeliveryHeader string `toml:"delivery_header" doc:"The header with the sender's id of the message." example:"\"X-Delivery\"" form:"header"`
	Action         string `toml:"action" doc:"Where the body says what to do; without it: deploy." example:"\"action\"" form:"json"`
	App            string `toml:"app" doc:"Where it names the app; without it: all apps of the trigger." example:"\"app\"" form:"json"`
	Repository     string `toml:"repository" doc:"Where it names the repository." example:"\"repo.name\"" form:"json"`
	Ref            string `toml:"ref" doc:"Where it names the ref, as refs/heads/main." example:"\"push.ref\"" form:"json"`
	Branch         string `toml:"branch" doc:"Where it names the branch, if it gives no ref." example:"\"branch\"" form:"json"`
	Commit         string `toml:"commit" doc:"Where it names the commit." example:"\"commits.0.id\"" form:"json"`
	Location       string `toml:"location" doc:"Where it gives the address of an artifact." example:"\"artifact.url\"" form:"json"`
	Digest         string `toml:"digest" doc:"Where it gives the digest of the artifact; one without is refused." example:"\"artifact.sha256\"" form:"json"`
	Release        string `toml:"release" doc:"For rollback: where it names the release." example:"\"release\"" form:"json"`
	Delivery       string `toml:"delivery" doc:"Where it gives the sender's id of the message." example:"\"id\"" form:"json"`
	Actor          string `toml:"actor" doc:"Where it says who is behind it." example:"\"user\"" form:"json"`
	Message        string `toml:"message" doc:"Where it has a line for people." example:"\"message\"" form:"json"`
}

// Token is a token for the API.
type Token struct {
	Name    string    `toml:"name" doc:"Its name, which is shown as who asked." example:"\"ci\"" must:"yes" form:"name"`
	Hash    Digest    `toml:"hash" doc:"The SHA-256 of the token." example:"\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"" must:"yes"`
	Apps    []string  `toml:"apps" doc:"The apps it may name; * is all." example:"[\"web\"]" must:"yes" form:"apps"`
	Actions []string  `toml:"actions" doc:"What it may ask for." def:"[\"deploy\", \"show\"]" example:"[\"deploy\", \"rollback\", \"cancel\", \"show\"]" words:"deploy rollback cancel show update"`
	Expires time.Time `toml:"expires" doc:"From then on it is refused." example:"2027-01-01T00:00:00Z"`
}

// OIDC is an issuer whose identity tokens the API takes.
type OIDC struct {
	Name     string             `toml:"name" doc:"Its name, which is shown as who asked." example:"\"github-actions\"" must:"yes" form:"name"`
	Issuer   URL                `toml:"issuer" doc:"The iss of the tokens. Its keys are fetched from there by landfast trigger refresh." example:"\"https://token.actions.githubusercontent.com\"" must:"yes"`
	Audience string             `toml:"audience" doc:"The aud that the tokens must have: a name of this host's own." example:"\"https://deploy.example.org\"" must:"yes"`
	Apps     []string           `toml:"apps" doc:"The apps that may be named; * is all." example:"[\"web\"]" must:"yes" form:"apps"`
	Actions  []string           `toml:"actions" doc:"What may be asked for." def:"[\"deploy\", \"show\"]" example:"[\"deploy\"]" words:"deploy rollback cancel show update"`
	Claims   map[string]Pattern `toml:"claims" doc:"What the tokens must say. One that tells the repository is needed, as every repository of the world gets tokens of the same issuer. * stands for anything but a slash, ** for anything." example:"{ repository = \"shop/web\", ref = \"refs/heads/main\" }" must:"yes"`
}

// Report is somebody who is told what becomes of deployments.
type Report struct {
	Name       string   `toml:"name" doc:"Its name, part of the credential." example:"\"forge\"" must:"yes" form:"name"`
	Provider   string   `toml:"provider" doc:"How to tell: as commit statuses of a forge, a webhook signed by Standard Webhooks, Slack's incoming webhook, or a command." example:"\"github\"" must:"yes" words:"github gitlab gitea forgejo webhook slack command"`
	Apps       []string `toml:"apps" doc:"The apps; * is all." def:"[\"*\"]" example:"[\"web\"]" form:"apps"`
	On         []string `toml:"on" doc:"The states to tell." def:"[\"pending\", \"success\", \"failure\"]" example:"[\"failure\"]" words:"pending success failure"`
	API        URL      `toml:"api" doc:"For a forge: the address of its API." def:"of github and gitlab their own" example:"\"https://git.example.org/api/v1\""`
	Repository string   `toml:"repository" doc:"For a forge: the repository, where the event does not name it." example:"\"shop/web\""`
	Context    string   `toml:"context" doc:"For a forge: the name of the status." def:"\"landfast/APP@HOST\"" example:"\"deploy/production\""`
	Target     string   `toml:"target" doc:"For a forge: the address that the status leads to. APP and DEPLOYMENT in it are replaced." example:"\"https://deploy.example.org/APP/DEPLOYMENT\""`
	URL        URL      `toml:"url" doc:"For webhook: where to. (For slack the address is the secret.)" example:"\"https://example.org/hook\""`
	Command    []string `toml:"command" doc:"For command: the program and its arguments. It runs as the worker and gets the report as JSON on its standard input." example:"[\"/usr/local/bin/announce\"]"`
	Insecure   bool     `toml:"insecure_http" doc:"Allows http for a receiver on this host or network." def:"false" example:"true"`
}
