package release

import "os"

// Open opens the files of a release that is there, for reading. Any other is an
// error of kind not-found. The caller closes the Root.
func (s *Store) Open(id string) (*os.Root, error) {
	if _, err := s.Get(id); err != nil {
		return nil, err
	}
	return os.OpenRoot(s.path(id))
}
