package policy

import "reflect"

// Keys are those of a table.
func Keys() []string {
	var keys []string
	for f := range reflect.TypeFor[table]().Fields() {
		keys = append(keys, f.Tag.Get("toml"))
	}
	return keys
}
