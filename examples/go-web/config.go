package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// config is the file config.json of a release.
type config struct {
	Greeting string `json:"greeting"`
	Storage  string `json:"storage"` // the database file; $VARIABLES are replaced
}

func readConfig(name string) (config, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return config{}, err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return config{}, fmt.Errorf("%s: %w", name, err)
	}
	c.Storage = os.ExpandEnv(c.Storage)
	return c, nil
}
