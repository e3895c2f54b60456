package source

import (
	"context"
	"errors"
)

func download(context.Context, string, string, Options) (*archiveFile, error) {
	return nil, errors.New("todo")
}
