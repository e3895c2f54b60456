package hostconf

import (
	"bytes"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/landfast/landfast/internal/manifest"
)

// maxBytes is the size of a file we read: far above any real one.
const maxBytes = 1 << 20

// document is one file.
type document struct {
	name   string
	text   []byte
	at     places
	config Config
	all    *manifest.Errors // of every file
}

// add notes a mistake at path, or at the nearest thing around it that has a place.
func (d *document) add(path, msg, hint string) {
	at := path
	for {
		if pos, ok := d.at[at]; ok || at == "" {
			d.addAt(pos, path, msg, hint)
			return
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
}

func (d *document) addAt(pos int, path, msg, hint string) {
	*d.all = append(*d.all, manifest.ProblemAt(d.name, d.text, pos, path, msg, hint))
}

// decode reads the text into the config, and checks each value alone.
func (d *document) decode() {
	if len(d.text) > maxBytes {
		d.addAt(0, "", "the file is larger than 1 MiB", "")
		return
	}
	at, bad, msg := placesOf(d.text)
	if msg != "" {
		d.addAt(bad, "", "syntax error: "+msg, "")
		return
	}
	d.at = at
	err := toml.NewDecoder(bytes.NewReader(d.text)).DisallowUnknownFields().Decode(&d.config)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		d.unknown(strict)
		err = toml.Unmarshal(d.text, &d.config)
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := wrong.Position()
		d.addAt(offset(d.text, line, column), strings.Join(wrong.Key(), "."), plain(wrong.Error()), "")
		return
	}
	if err != nil {
		d.addAt(0, "", plain(err.Error()), "")
		return
	}
	d.walk("", reflect.ValueOf(&d.config).Elem(), "")
}

// plain is a message of the library without its own terms.
func plain(msg string) string {
	msg = strings.TrimPrefix(msg, "toml: ")
	if m := wrongKind.FindStringSubmatch(msg); m != nil {
		return "cannot be a TOML " + strings.ToLower(m[1])
	}
	return msg
}

var wrongKind = regexp.MustCompile(`^cannot decode TOML ([a-zA-Z -]+?) into .*`)

// offset is where a line and a column, both from 1, are in text.
func offset(text []byte, line, column int) int {
	pos := 0
	for ; line > 1; line-- {
		end := bytes.IndexByte(text[pos:], '\n')
		if end < 0 {
			break
		}
		pos += end + 1
	}
	return min(pos+max(column-1, 0), len(text))
}

// unknown tells every key that there is not, with the nearest one there is.
func (d *document) unknown(strict *toml.StrictMissingError) {
	for _, e := range strict.Errors {
		line, column := e.Position()
		key := e.Key()
		known := keysOf(reflect.TypeFor[Config](), key[:max(len(key)-1, 0)])
		hint := ""
		if len(key) > 0 {
			hint = manifest.DidYouMean(key[len(key)-1], known)
		}
		if hint == "" && len(known) > 0 {
			hint = "known here: " + strings.Join(known, ", ")
		}
		d.addAt(offset(d.text, line, column), strings.Join(key, "."), "unknown key", hint)
	}
}

// keysOf are the keys of the table at path.
func keysOf(t reflect.Type, path []string) []string {
	for _, name := range path {
		f, ok := fieldOf(t, name)
		if !ok {
			return nil
		}
		t = f.Type
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for f := range keys(t) {
		names = append(names, f.Tag.Get("toml"))
	}
	return names
}

// keys are the fields of a table.
func keys(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("toml") != "" && !yield(f) {
				return
			}
		}
	}
}

func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	if t.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	for f := range keys(t) {
		if f.Tag.Get("toml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// walk checks every value by itself: what its form, its words and its bounds say.
func (d *document) walk(path string, v reflect.Value, tag reflect.StructTag) {
	if f, ok := v.Addr().Interface().(form); ok {
		if msg, hint := f.wrong(); msg != "" {
			d.add(path, msg, hint)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.walk(path, v.Elem(), tag)
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.walk(index(path, i), v.Index(i), tag)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			inner := reflect.New(v.Type().Elem()).Elem()
			inner.Set(v.MapIndex(k))
			d.walk(dot(path, k.String()), inner, tag)
		}
	case reflect.Struct:
		d.table(path, v)
	case reflect.String:
		d.word(path, v.String(), tag)
	case reflect.Int:
		d.number(path, v.Int(), tag)
	}
}

// table checks the keys of a table.
func (d *document) table(path string, v reflect.Value) {
	if v.Type().PkgPath() != reflect.TypeFor[Config]().PkgPath() {
		return // a time
	}
	for f := range keys(v.Type()) {
		inner, at := v.FieldByIndex(f.Index), dot(path, f.Tag.Get("toml"))
		if inner.IsZero() && f.Tag.Get("must") != "" {
			d.add(at, "is missing", "write "+f.Tag.Get("toml")+" = "+f.Tag.Get("example"))
		}
		d.walk(at, inner, f.Tag)
	}
}

// word checks one text.
func (d *document) word(path, s string, tag reflect.StructTag) {
	_, given := d.at[path]
	if !given {
		return
	}
	if words := strings.Fields(tag.Get("words")); len(words) > 0 && !slices.Contains(words, s) {
		hint := manifest.DidYouMean(s, words)
		if hint == "" {
			hint = "known are: " + strings.Join(words, ", ")
		}
		d.add(path, quote(s)+" is not known here", hint)
		return
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		d.add(path, "a control character cannot be part of a value", "")
		return
	}
	if msg, hint := textForms()[tag.Get("form")](s); msg != "" {
		d.add(path, msg, hint)
	}
}
