package host

// Owner gives the numbers of an account and a group of this machine, and -1 for
// one that does not exist.
func (h *Host) Owner(user, group string) (uid, gid int, err error) {
	names, err := h.accounts()
	if err != nil {
		return -1, -1, err
	}
	uid, gid = -1, -1
	if n, ok := names.uid(user); ok {
		uid = n
	}
	if n, ok := names.gid(group); ok {
		gid = n
	}
	return uid, gid, nil
}
