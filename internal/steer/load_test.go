package steer_test

import (
	"context"

	"github.com/landfast/landfast/internal/steer"
)

var acts = map[string]func(dir string) error{
	"load": func(dir string) error {
		tab, err := steer.Load(context.Background(), dir+"/landfast")
		if err == nil {
			tab.Close()
		}
		return err
	},
}
