package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// InstanceDataFile is where cloud-init writes what it knows of the instance, as
// far as everybody may know it (cloud-init, "Instance metadata").
const InstanceDataFile = "/run/cloud-init/instance-data.json"

// redacted is what cloud-init writes in place of what only root may know.
const redacted = "redacted for non-root user"

// InstanceData is the content of InstanceDataFile.
type InstanceData struct{ tree map[string]any }

// ReadInstanceData reads the text of such a file.
func ReadInstanceData(text []byte) (*InstanceData, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	data := &InstanceData{}
	if err := d.Decode(&data.tree); err != nil {
		return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: "what cloud-init knows cannot be read", Err: err, Hint: "`cloud-init query --all` shows whether it can"}
	}
	return data, nil
}

// Value gives the value of a key, with dots between its parts: v1.region. Numbers
// and booleans are as JSON writes them.
func (i *InstanceData) Value(key string) (string, error) {
	var at any = i.tree
	parts := strings.Split(key, ".")
	for n, part := range parts {
		table, ok := at.(map[string]any)
		value, has := table[part]
		if !ok || !has {
			hint := ""
			if ok {
				hint = fmt.Sprintf("known there: %s", strings.Join(slices.Sorted(maps.Keys(table)), ", "))
			}
			return "", &landfast.Error{
				Kind: landfast.NotFound, Msg: fmt.Sprintf("cloud-init knows no %s", strings.Join(parts[:n+1], ".")), Hint: hint,
			}
		}
		at = value
	}
	switch value := at.(type) {
	case string:
		if value == redacted {
			return "", &landfast.Error{Kind: landfast.Invalid, Msg: "cloud-init tells " + key + " to root alone", Hint: "take it from a secret"}
		}
		return value, nil
	case json.Number:
		return value.String(), nil
	case bool:
		return fmt.Sprint(value), nil
	case nil:
		return "", &landfast.Error{Kind: landfast.NotFound, Msg: "cloud-init does not know " + key + " of this instance"}
	}
	return "", &landfast.Error{Kind: landfast.Invalid, Msg: key + " is not a single value", Hint: "name one of those in it"}
}
