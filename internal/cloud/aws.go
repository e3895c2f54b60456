package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/landfast/landfast"
)

// AWS is Amazon's cloud, or what has the same interface.
type AWS struct {
	objects    *s3.Client
	parameters *ssm.Client
}

// regionLimit is how long an instance is asked where it is.
const regionLimit = 5 * time.Second

// Open finds credentials and the region, and asks nobody else yet. Without a region in the
// environment or ~/.aws the instance is asked for its own.
func Open(ctx context.Context) (*AWS, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "the configuration of AWS cannot be read", Err: err}
	}
	if c.Region == "" {
		limited, cancel := context.WithTimeout(ctx, regionLimit)
		defer cancel()
		at, err := imds.NewFromConfig(c).GetRegion(limited, &imds.GetRegionInput{})
		if err != nil {
			return nil, &landfast.Error{
				Kind: landfast.Unavailable, Msg: "the region of AWS is not known, and this host cannot be asked for it",
				Hint: "write region = ... into /root/.aws/config",
			}
		}
		c.Region = at.Region
	}
	return New(c), nil
}

// New is the cloud behind a configuration of the SDK.
func New(c aws.Config) *AWS {
	return &AWS{
		objects: s3.NewFromConfig(c, func(o *s3.Options) {
			// What is not Amazon's seldom has a name for each bucket.
			o.UsePathStyle = o.BaseEndpoint != nil
			// What was put without a checksum is said on the standard error stream otherwise.
			o.DisableLogOutputChecksumValidationSkipped = true
		}),
		parameters: ssm.NewFromConfig(c),
	}
}

// failed makes an error for people of one of the SDK.
func failed(what string, err error) error {
	refusal, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot get " + what, Err: last(err), Hint: "check the network and the credentials of AWS, and try again"}
	}
	code := refusal.ErrorCode()
	said := &landfast.Error{Msg: fmt.Sprintf("cannot get %s: AWS says %s", what, code)}
	if m := refusal.ErrorMessage(); m != "" && m != code {
		said.Msg += " (" + strings.TrimSuffix(m, ".") + ")"
	}
	switch {
	case strings.HasPrefix(code, "NoSuch"), strings.HasSuffix(code, "NotFound"):
		said.Kind, said.Hint = landfast.NotFound, "correct the name in the manifest"
	case strings.Contains(code, "AccessDenied"), strings.Contains(code, "Token"), strings.Contains(code, "Signature"),
		strings.Contains(code, "AccessKey"), code == "Forbidden", code == "UnrecognizedClientException", code == "ValidationException":
		said.Kind, said.Hint = landfast.Invalid, "check the credentials of AWS on this host, and their policy"
	default:
		said.Kind, said.Hint = landfast.Unavailable, "try again later"
	}
	return said
}

// last is the innermost of the errors that the SDK wraps: the others repeat requests.
func last(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
