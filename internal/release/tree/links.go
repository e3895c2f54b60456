package tree

import "strings"

// maxHops is how many links one resolution may follow, as in Linux
// (path_resolution(7)).
const maxHops = 40

// maxLinkSteps bounds the work of checking all links of one tree, which a
// hostile archive could otherwise make as long as it likes.
const maxLinkSteps = 20_000_000

// checkTarget refuses targets that can be judged without the rest of the tree.
func checkTarget(name, target string) error {
	if strings.HasPrefix(target, "/") {
		return refuse(name, "the link leads out of the release, to %s", target)
	}
	return checkText(name, target)
}

// checkText refuses targets that are none.
func checkText(name, target string) error {
	switch {
	case target == "":
		return refuse(name, "it is a link to nothing")
	case strings.ContainsAny(target, "\x00\n"):
		return refuse(name, "the target of the link holds a NUL or a newline")
	case len(target) > maxPath:
		return refuse(name, "the target of the link is %d bytes long, %d are allowed", len(target), maxPath)
	}
	return nil
}

// checkLinks follows every link through all the others and refuses the first
// that leads out of the tree or in a circle. A link to something that is not
// there is allowed: nothing can be put there later, a release is never written
// to again.
func (ns nodes) checkLinks() error {
	steps := 0
	for name, n := range ns {
		if n.kind != Link {
			continue
		}
		if err := ns.follow(name, n.target, &steps); err != nil {
			return err
		}
	}
	return nil
}

// follow resolves the link called name as the kernel does, component by
// component.
func (ns nodes) follow(name, target string, steps *int) error {
	at := strings.Split(name, "/")
	at = at[:len(at)-1]
	todo := strings.Split(target, "/")
	for hops := 1; len(todo) > 0; {
		if *steps++; *steps > maxLinkSteps {
			return refuse(name, "the links of this release are too tangled to check")
		}
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return refuse(name, "the link leads out of the release, to %s", target)
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at, part)
		next, ok := ns[strings.Join(at, "/")]
		if !ok || next.kind != Link {
			continue
		}
		if hops++; hops > maxHops {
			return refuse(name, "the link leads in a circle, or through more than %d others", maxHops)
		}
		at = at[:len(at)-1]
		todo = append(strings.Split(next.target, "/"), todo...)
	}
	return nil
}
