// Package cloud is what a host can ask the cloud it is in: objects of S3, parameters
// of AWS Systems Manager, and what cloud-init knows of the instance.
//
// AWS speaks to Amazon's services, and to others with the same interface, with the
// credentials that their SDK finds: variables, ~/.aws of the account that runs the
// program, or the role of the instance. Errors are of kind NotFound when there is no
// such thing, Invalid when it is refused, and Unavailable when trying again may help.
package cloud
