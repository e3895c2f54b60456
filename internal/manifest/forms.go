package manifest

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The forms of text. They are values without a state of their own.
var (
	anyText = &form{label: "string"}

	appName = &form{label: "name", pattern: appNamePattern, check: checkAppName}
	account = &form{label: "account", pattern: accountPattern, check: checkAccount}

	absPath = &form{label: "absolute path", pattern: `^/`, check: checkAbsPath}
	ownPath = &form{label: "absolute path", pattern: `^/`, check: checkOwnPath}
	relPath = &form{label: "name", pattern: `^[^/]`, check: checkRelPath}
	envFile = &form{label: "path", pattern: `^-?/`, check: checkEnvFile}

	octal    = &form{label: "octal mode", pattern: modePattern, check: checkMode}
	span     = &form{label: "duration", number: true, pattern: spanPattern, check: checkSpan}
	size     = &form{label: "size", number: true, pattern: sizePattern, check: checkSize}
	limit    = &form{label: "limit", number: true, pattern: limitsPattern, check: checkLimit}
	port     = &form{label: "port", number: true, pattern: `^[0-9]{1,5}$`, check: checkPort}
	unitName = &form{label: "unit", pattern: unitPattern, check: checkUnit}
	listen   = &form{label: "address", number: true, check: checkListen}

	instanceName = &form{label: "name", number: true, pattern: instancePattern, check: checkInstance}
	calendar     = &form{label: "calendar event", check: checkCalendar}
	bind         = &form{label: "path or `HOST:INSIDE`", pattern: `^/`, check: checkBind}
	maybePath    = &form{label: "path", pattern: `^-?/`, check: checkMaybePath}
	packageName  = &form{label: "package", pattern: packagePattern, check: checkPackage}
	packageVer   = &form{label: "version", pattern: `^[A-Za-z0-9][A-Za-z0-9.+:~_^-]*$`, check: checkVersion}
)

const (
	sizePattern    = `^([0-9]+) *(?:B|([KMGT])(?:iB)?)?$`
	modePattern    = `^[0-7]{3,4}$`
	accountPattern = `^[a-z_][a-z0-9_-]{0,30}$`
	appNamePattern = `^[a-z][a-z0-9_-]{0,30}$`
	limitPattern   = `(infinity|[0-9]+[KMGTPE]?)`
	limitsPattern  = `^` + limitPattern + `(:` + limitPattern + `)?$`
	unitPattern    = `^[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|target|path|timer|mount|automount|device|swap|slice|scope)$`
)

var (
	appNames  = regexp.MustCompile(appNamePattern)
	accounts  = regexp.MustCompile(accountPattern)
	modes     = regexp.MustCompile(modePattern)
	sizes     = regexp.MustCompile(sizePattern)
	limits    = regexp.MustCompile(limitsPattern)
	unitNames = regexp.MustCompile(unitPattern)
)

// words is the form of a text that is one of several words.
func words(words ...string) *form { return &form{words: words} }

// reserved are names that an app cannot have, since its main unit and its
// account are named after it.
func reserved(name string) bool {
	return strings.HasPrefix(name, "landfast") || strings.HasPrefix(name, "systemd") ||
		slices.Contains([]string{"root", "daemon", "bin", "sys", "nobody", "nogroup", "init", "dbus", "messagebus", "sshd", "ssh"}, name)
}

func checkAppName(s string) (string, *flaw) {
	if !appNames.MatchString(s) {
		hint := "lower-case letters, digits, - and _, a letter first, at most 31 characters"
		return "", &flaw{quote(s) + " cannot be a name", hint}
	}
	if reserved(s) {
		return "", &flaw{quote(s) + " is reserved", "the unit and the account of the app are named after it"}
	}
	return s, nil
}

func checkAccount(s string) (string, *flaw) {
	if !accounts.MatchString(s) {
		hint := "lower-case letters, digits, - and _, a letter or _ first, at most 31 characters"
		return "", &flaw{quote(s) + " cannot be the name of an account", hint}
	}
	return s, nil
}

func checkAbsPath(s string) (string, *flaw) {
	if !path.IsAbs(s) {
		return "", &flaw{quote(s) + " is not an absolute path", ""}
	}
	if slices.Contains(strings.Split(s, "/"), "..") {
		return "", &flaw{quote(s) + " goes up with ..", "write the path it leads to"}
	}
	return path.Clean(s), nil
}

// checkOwnPath is for a path whose owner and mode will be ours: a slip here
// would change a directory of the system.
func checkOwnPath(s string) (string, *flaw) {
	clean, flaw_ := checkAbsPath(s)
	if flaw_ != nil {
		return "", flaw_
	}
	system := strings.Fields("/ /bin /boot /dev /etc /home /lib /lib64 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /var " +
		"/usr/bin /usr/lib /usr/local /usr/local/bin /usr/sbin /usr/share /var/cache /var/lib /var/log /var/tmp")
	if slices.Contains(system, clean) {
		return "", &flaw{quote(clean) + " belongs to the system", "name a directory below it"}
	}
	return clean, nil
}

func checkRelPath(s string) (string, *flaw) {
	clean := path.Clean(s)
	if s == "" || path.IsAbs(s) || clean == "." || slices.Contains(strings.Split(s, "/"), "..") {
		return "", &flaw{quote(s) + " is not a name below the base directory", `write a name such as "web" or "shop/web"`}
	}
	return clean, nil
}

// checkMaybePath takes a path, with a - in front if it may be absent.
func checkMaybePath(s string) (string, *flaw) {
	file, optional := strings.CutPrefix(s, "-")
	clean, flaw_ := checkAbsPath(file)
	if optional && flaw_ == nil {
		clean = "-" + clean
	}
	return clean, flaw_
}

// checkBind takes a path of the host and, behind a colon, where it is inside.
func checkBind(s string) (string, *flaw) {
	parts := strings.Split(s, ":")
	if len(parts) > 2 {
		return "", &flaw{quote(s) + " is not a bind", `write "/srv/data" or "/srv/data:/data"`}
	}
	for i, p := range parts {
		clean, flaw_ := checkAbsPath(p)
		if flaw_ != nil {
			return "", flaw_
		}
		parts[i] = clean
	}
	return strings.Join(parts, ":"), nil
}

func checkEnvFile(s string) (string, *flaw) {
	clean, flaw_ := checkMaybePath(s)
	if flaw_ != nil {
		flaw_.hint = `write an absolute path, such as "${configuration_dir}/environment"`
	}
	return clean, flaw_
}

func checkMode(s string) (string, *flaw) {
	if !modes.MatchString(s) {
		return "", &flaw{quote(s) + " is not an octal mode", `write four octal digits, such as "0750"`}
	}
	return strings.Repeat("0", 4-len(s)) + s, nil
}

func checkPort(s string) (string, *flaw) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", &flaw{quote(s) + " is not a port", "a port is a number from 1 to 65535"}
	}
	return strconv.FormatUint(n, 10), nil
}

func checkUnit(s string) (string, *flaw) {
	if unitNames.MatchString(s) {
		return s, nil
	}
	hint := ""
	if !strings.Contains(s, ".") && unitNames.MatchString(s+".service") {
		hint = "did you mean " + quote(s+".service") + "?"
	}
	return "", &flaw{quote(s) + " is not the name of a unit with its suffix", hint}
}

func checkLimit(s string) (string, *flaw) {
	if !limits.MatchString(s) {
		return "", &flaw{quote(s) + " is not a limit", `write a size such as "1G", "infinity", or "SOFT:HARD"`}
	}
	return s, nil
}

// checkListen takes what systemd.socket(5) takes in ListenStream=, without the
// forms that are not for servers of one host.
func checkListen(s string) (string, *flaw) {
	switch {
	case strings.HasPrefix(s, "/"):
		return checkAbsPath(s)
	case strings.HasPrefix(s, "@") && len(s) > 1:
		return s, nil
	case s != "" && strings.Trim(s, "0123456789") == "":
		return checkPort(s)
	}
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Port() != 0 {
		return s, nil
	}
	hint := `write a port "8080", an address "127.0.0.1:8080" or "[::1]:8080", or a path "/run/web.sock"`
	if rest, ok := strings.CutPrefix(s, "localhost:"); ok {
		hint = "systemd resolves no names: write " + quote("127.0.0.1:"+rest)
	} else if strings.HasPrefix(s, ":") {
		hint = "for a port on all addresses write " + quote(s[1:])
	}
	return "", &flaw{quote(s) + " is not an address to listen on", hint}
}

// maxSize is the largest size there can be: it must fit into an int64.
const maxSize = 1 << 62

func checkSize(s string) (string, *flaw) {
	bad := &flaw{quote(s) + " is not a size", `write a number of bytes, or "512KiB", "200MiB", "2GiB"`}
	m := sizes.FindStringSubmatch(s)
	if m == nil {
		return "", bad
	}
	n, err := strconv.ParseUint(m[1], 10, 63)
	unit := uint64(1)
	if m[2] != "" {
		unit <<= 10 * (strings.Index("KMGT", m[2]) + 1)
	}
	if err != nil || n == 0 || n > maxSize/unit {
		return "", bad
	}
	return fmt.Sprint(n * unit), nil
}
