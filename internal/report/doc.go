// Package report tells others what becomes of deployments: commit statuses of
// GitHub, GitLab, Gitea and Forgejo, a webhook signed as Standard Webhooks say, a
// message to Slack or what takes the same, a command.
//
// A report is a file in the outbox before anything is sent, so a crash or an outage
// loses none; Send tries again with growing pauses and gives up after a day. It
// never decides a deployment: no error of a receiver reaches it. A report that a
// later one of the same commit has overtaken is not sent any more, so that an
// outage does not end with "pending".
package report
