package manifest

// KeyExample is the example of a key of the description.
type KeyExample struct{ Section, Line string }

// KeyExamples gives the example of each key, and of each kind of free key.
func KeyExamples() []KeyExample {
	var all []KeyExample
	var walk func(path string, s section)
	walk = func(path string, s section) {
		for _, k := range s.keys() {
			if t, ok := k.value.(*table); ok {
				walk(join(path, k.name), t.section)
				if inner, ok := member(t.section); ok {
					walk(join(path, k.name)+".x", inner)
				}
				continue
			}
			all = append(all, KeyExample{path, k.name + " = " + k.example})
			if d, ok := k.value.(*dir); ok {
				walk(join(path, k.name), d)
			}
		}
		if f, ok := s.(freeSection); ok {
			_, example := f.freeDoc()
			all = append(all, KeyExample{path, example})
		}
	}
	walk("", &manifest{})
	return all
}

// CheckTOML gives the mistakes of text as TOML, before any key is looked at.
func CheckTOML(text []byte) error {
	probs := &problems{}
	parse(&source{name: "x", text: text[:len(text):len(text)]}, probs)
	return probs.err()
}
