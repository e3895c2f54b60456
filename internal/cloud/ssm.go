package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/landfast/landfast"
)

// Parameter gives one parameter of Systems Manager, decrypted.
func (a *AWS) Parameter(ctx context.Context, name string) (string, error) {
	what := "the parameter " + name
	p, err := a.parameters.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", failed(what, err)
	}
	if p.Parameter == nil || p.Parameter.Value == nil {
		return "", &landfast.Error{Kind: landfast.Unavailable, Msg: "AWS gave no value for " + what}
	}
	return *p.Parameter.Value, nil
}

// Parameters gives all parameters below a path, at any depth, by their names.
func (a *AWS) Parameters(ctx context.Context, path string) (map[string]string, error) {
	found := map[string]string{}
	pages := ssm.NewGetParametersByPathPaginator(a.parameters, &ssm.GetParametersByPathInput{
		Path: &path, Recursive: aws.Bool(true), WithDecryption: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed("the parameters below "+path, err)
		}
		for _, p := range page.Parameters {
			found[aws.ToString(p.Name)] = aws.ToString(p.Value)
		}
	}
	return found, nil
}
