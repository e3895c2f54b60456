package manifest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Config is what the files of a manifest come to, for people to look at.
type Config struct {
	Text string         // as TOML
	Tree map[string]any // the same as a value
}

// hidden stands for what is not to be seen.
const hidden = "[hidden]"

// Effective merges the layers and what the stack presets. Values that look like
// secrets are hidden unless secrets is set. An error is that of ParseLayers.
func Effective(secrets bool, layers ...Layer) (*Config, error) {
	if _, err := ParseLayers(layers...); err != nil {
		return nil, err
	}
	_, root := readLayers(layers)
	root = withStack(root)
	if !secrets {
		root = hide(root, false)
	}
	tree, ok := root.plain().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a manifest is %T", tree)
	}
	return &Config{Text: encode(root), Tree: tree}, nil
}

// plain is n as a value of Go.
func (n *node) plain() any {
	switch n.kind {
	case tableNode:
		m := map[string]any{}
		for _, e := range n.keys {
			m[e.name] = e.value.plain()
		}
		return m
	case arrayNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	case boolNode:
		return n.text == "true"
	case integerNode:
		if v, err := n.integer(); err == nil {
			return v
		}
	case floatNode:
		if v, err := strconv.ParseFloat(strings.ReplaceAll(n.raw, "_", ""), 64); err == nil {
			return v
		}
	}
	return n.text
}

var (
	secretName = regexp.MustCompile(`(?i)(SECRET|PASSW|PASSPHRASE|TOKEN|CREDENTIAL|COOKIE|PRIVATE|APIKEY|(^|_)(KEY|PASS|PWD|SALT|DSN)(_|$))`)
	// A password in a URL, and a variable or an option of a secret's name in an
	// argument.
	urlPassword = regexp.MustCompile(`(://[^/@\s:]*:)([^/@\s]+)(@)`)
	argSecret   = regexp.MustCompile(`(?i)((?:^|[\s'"])(?:--?)?([A-Z0-9_-]+)=)([^\s'"]+)`)
)

// hide is n without its secrets; all says that every value in it is one. A value
// made of references alone shows nothing and stays.
func hide(n *node, all bool) *node {
	hid := *n
	switch n.kind {
	case tableNode:
		hid.keys = nil
		for _, e := range n.keys {
			secret := all || secretName.MatchString(e.name) && e.value.kind != tableNode
			hid.keys = append(hid.keys, &entry{name: e.name, pos: e.pos, value: hide(e.value, secret)})
		}
	case arrayNode:
		hid.items = nil
		for i, item := range n.items {
			// --token VALUE as two words
			secret := all || i > 0 && item.kind == stringNode && strings.HasPrefix(n.items[i-1].text, "-") &&
				!strings.Contains(n.items[i-1].text, "=") && secretName.MatchString(underscored(strings.TrimLeft(n.items[i-1].text, "-")))
			hid.items = append(hid.items, hide(item, secret))
		}
	case stringNode:
		if all && onlyReferences.MatchString(n.text) {
			return n
		}
		if all {
			hid.text = hidden
			return &hid
		}
		hid.text = urlPassword.ReplaceAllStringFunc(n.text, func(s string) string {
			m := urlPassword.FindStringSubmatch(s)
			if onlyReferences.MatchString(m[2]) {
				return s
			}
			return m[1] + hidden + m[3]
		})
		hid.text = argSecret.ReplaceAllStringFunc(hid.text, func(s string) string {
			m := argSecret.FindStringSubmatch(s)
			if !secretName.MatchString(underscored(m[2])) || onlyReferences.MatchString(m[3]) {
				return s
			}
			return m[1] + hidden
		})
	default:
		if all && n.kind != boolNode {
			return &node{kind: stringNode, src: n.src, pos: n.pos, text: hidden}
		}
	}
	return &hid
}

var onlyReferences = regexp.MustCompile(`^(\$\{[^}]*\})+$`)
