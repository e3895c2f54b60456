// Command cloud stands for what hosts get their secrets and configuration from: S3,
// Systems Manager and Vault, on one port. It is for machines of the suite.
//
//	cloud serve ADDRESS FILE     serves; FILE is JSON: {"parameters": {…}, "vault": {…}}, read anew each time
//	cloud put ADDRESS KEY        puts the standard input into S3 as BUCKET/NAME
//	cloud delete ADDRESS KEY     removes it
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "serve":
		return serve(args[1], args[2])
	case len(args) == 3 && args[0] == "put":
		return send(http.MethodPut, args[1], args[2], os.Stdin)
	case len(args) == 3 && args[0] == "delete":
		return send(http.MethodDelete, args[1], args[2], nil)
	}
	return fmt.Errorf("usage: cloud serve|put|delete ADDRESS FILE|KEY")
}

func send(method, address, key string, body io.Reader) error {
	request, err := http.NewRequest(method, "http://"+address+"/"+key, nil)
	if err != nil {
		return err
	}
	if body != nil {
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, key, answer.Status)
	}
	return nil
}

// values is the file.
type values struct {
	Parameters map[string]string
	Vault      map[string]map[string]string
}

func serve(address, file string) error {
	objects := gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(true)).Server()
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v values
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &v)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		switch {
		case r.Header.Get("X-Amz-Target") != "":
			parameters(w, r, v)
		case strings.HasPrefix(r.URL.Path, "/v1/"):
			vault(w, strings.TrimPrefix(r.URL.Path, "/v1/"), v)
		default:
			objects.ServeHTTP(w, r)
		}
	}))
}

type object = map[string]any

func answer(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// parameters answers as Systems Manager does.
func parameters(w http.ResponseWriter, r *http.Request, v values) {
	var in struct{ Name, Path string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(w, 400, object{"__type": "SerializationException"})
		return
	}
	if in.Path == "" {
		value, ok := v.Parameters[in.Name]
		if !ok {
			answer(w, 400, object{"__type": "ParameterNotFound"})
			return
		}
		answer(w, 200, object{"Parameter": object{"Name": in.Name, "Value": value}})
		return
	}
	list := []object{}
	names := []string{}
	for name := range v.Parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, strings.TrimSuffix(in.Path, "/")+"/") {
			list = append(list, object{"Name": name, "Value": v.Parameters[name]})
		}
	}
	answer(w, 200, object{"Parameters": list})
}

// vault answers as Vault does for an engine of KV version 2 at kv/.
func vault(w http.ResponseWriter, path string, v values) {
	if strings.HasPrefix(path, "sys/internal/ui/mounts/") {
		answer(w, 200, object{"data": object{"path": "kv/", "type": "kv", "options": object{"version": "2"}}})
		return
	}
	fields, ok := v.Vault[strings.TrimPrefix(path, "kv/data/")]
	if !ok {
		answer(w, 404, object{"errors": []string{}})
		return
	}
	answer(w, 200, object{"data": object{"data": fields}})
}
