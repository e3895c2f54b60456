package systemd

// ParseVersion is parseVersion.
var ParseVersion = parseVersion
