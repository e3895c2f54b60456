// Package rootsvc is the root service: the closed list of things that the worker,
// who is not root, may have done on a host, its server and its client.
//
// systemd starts one short-lived process per connection (landfast-root.socket,
// Accept=yes). It reads one request of one line, answers with lines of what happens
// and one last line with the result, and ends. Root runs the deployment engine
// itself, with what the worker has put into /var/lib/landfast/APP/incoming/ID as the
// source; of what is in there it believes nothing. The manifest in it is held against
// the policy of the host (package policy), the plan made of it once more.
//
// A client that goes away stops nothing but a build: a deployment goes on to its end.
// A process that is killed leaves a journal, which the next request for the app
// settles before anything else, as every command does.
//
// Direct does the verbs on the machine, Client asks the service to; both are a
// Deployer, and one contract suite runs against both.
package rootsvc
