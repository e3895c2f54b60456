package source

import (
	"context"
	"errors"

	"github.com/landfast/landfast"
)

func openGit(context.Context, landfast.Source, Options) (*Artifact, error) {
	return nil, errors.New("todo")
}
