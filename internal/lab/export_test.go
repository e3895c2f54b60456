package lab

// ImageKey is the name of an image in the cache.
func ImageKey(suite string, packages ...string) (string, error) {
	s, err := SuiteNamed(suite)
	return s.with(packages).key(), err
}
