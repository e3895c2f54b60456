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
	// A password in a URL; a variable or an option of a secret's name in an
	// argument; such an option in front of its value.
	urlPassword = regexp.MustCompile(`(://[^/@\s:]*:)([^/@\s]+)(@)`)
	argSecret   = regexp.MustCompile(`(?i)((?:^|[\s'"])(?:--?)?([A-Z0-9_-]+)=)([^\s'"]+)`)
	optSecret   = regexp.MustCompile(`((?:^|\s)--?([A-Za-z0-9_-]+)\s+)([^\s'"-][^\s'"]*)`)
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
			hid.items = append(hid.items, hide(item, all || i > 0 && isSecretOption(n.items[i-1])))
		}
	case stringNode:
		hid.text = hideText(n.text, all)
	case boolNode: // nothing can be read from it
	default:
		if all {
			return &node{kind: stringNode, src: n.src, pos: n.pos, text: hidden}
		}
	}
	return &hid
}

// isSecretOption reports whether n is an option whose value, the next word, is a
// secret: --token.
func isSecretOption(n *node) bool {
	return n.kind == stringNode && strings.HasPrefix(n.text, "-") && !strings.Contains(n.text, "=") &&
		secretName.MatchString(underscored(strings.TrimLeft(n.text, "-")))
}

// hideText is s without its secrets; all says that it is one.
func hideText(s string, all bool) string {
	switch {
	case onlyReferences.MatchString(s):
		return s
	case all:
		return hidden
	}
	s = urlPassword.ReplaceAllStringFunc(s, func(found string) string {
		m := urlPassword.FindStringSubmatch(found)
		return m[1] + hideText(m[2], true) + m[3]
	})
	for _, pattern := range []*regexp.Regexp{argSecret, optSecret} {
		s = pattern.ReplaceAllStringFunc(s, func(found string) string {
			m := pattern.FindStringSubmatch(found)
			if !secretName.MatchString(underscored(m[2])) {
				return found
			}
			return m[1] + hideText(m[3], true)
		})
	}
	return s
}

var onlyReferences = regexp.MustCompile(`^(\$\{[^}]*\})+$`)
