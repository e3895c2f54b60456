package unit

import (
	"errors"
	"fmt"
	"strings"
)

// SysusersGroup gives the line of sysusers.d(5) that makes a system group.
func SysusersGroup(name string) (string, error) {
	if !IsUserName(name) {
		return "", errors.New(name + " is not the name of a group")
	}
	return "g " + name + " -", nil
}

// SysusersUser gives the line of sysusers.d(5) that makes a system account
// without password and login shell, and a group of the same name. systemd
// leaves an account that exists as it is.
func SysusersUser(name, description, home string) (string, error) {
	if !IsUserName(name) {
		return "", errors.New(name + " is not the name of a user")
	}
	if strings.Contains(description, ":") {
		return "", errors.New("the description of a user cannot hold a colon")
	}
	text, err := Quote(description)
	if err != nil {
		return "", fmt.Errorf("description: %w", err)
	}
	if err := CheckPath(home); err != nil {
		return "", fmt.Errorf("home: %w", err)
	}
	dir, err := Quote(home)
	if err != nil {
		return "", fmt.Errorf("home: %w", err)
	}
	return fmt.Sprintf("u %s - %s %s", name, text, dir), nil
}

// SysusersMember gives the line of sysusers.d(5) that puts a user into a group.
func SysusersMember(user, group string) (string, error) {
	if !IsUserName(user) || !IsUserName(group) {
		return "", fmt.Errorf("%s and %s are not the names of a user and a group", user, group)
	}
	return "m " + user + " " + group, nil
}

// TmpfilesDir gives the line of tmpfiles.d(5) that makes a directory, or mends
// its mode and owner, and never cleans it.
func TmpfilesDir(path, mode, user, group string) (string, error) {
	if err := CheckPath(path); err != nil {
		return "", err
	}
	p, err := Quote(path)
	if err != nil {
		return "", err
	}
	if !IsUserName(user) || !IsUserName(group) {
		return "", fmt.Errorf("%s and %s are not the names of a user and a group", user, group)
	}
	return fmt.Sprintf("d %s %s %s %s -", p, mode, user, group), nil
}

// IsUserName reports whether systemd takes s for the name of a user or group it
// may make (https://systemd.io/USER_NAMES, the strict form).
func IsUserName(s string) bool {
	for i, r := range s {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', r == '_':
		case i > 0 && ('0' <= r && r <= '9' || r == '-'):
		default:
			return false
		}
	}
	return s != "" && len(s) <= 31
}

// TmpfilesFile gives the line of tmpfiles.d(5) that makes an empty file, and
// leaves what it holds alone if it is there.
func TmpfilesFile(path, mode, user, group string) (string, error) {
	line, err := TmpfilesDir(path, mode, user, group)
	return strings.Replace(line, "d ", "f ", 1), err
}

// TmpfilesRemoveAtBoot gives the line of tmpfiles.d(5) that removes a file when
// the machine starts.
func TmpfilesRemoveAtBoot(path string) (string, error) {
	if err := CheckPath(path); err != nil {
		return "", err
	}
	if strings.ContainsAny(path, `*?[\`) {
		return "", errors.New(path + " would be taken for a pattern")
	}
	p, err := Quote(path)
	return "r! " + p, err
}
