package relay

import (
	"fmt"
	"sync"
	"time"
)

// sayer tells people things, each kind once a second at most.
type sayer struct {
	mu    sync.Mutex
	log   func(string)
	last  map[string]time.Time
	quiet map[string]int // lines left out since
}

func (s *sayer) say(kind, format string, args ...any) {
	if s.log == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if last, ok := s.last[kind]; ok && now.Sub(last) < time.Second {
		s.quiet[kind]++
		return
	}
	line := fmt.Sprintf(format, args...)
	if n := s.quiet[kind]; n > 0 {
		line += fmt.Sprintf(" (and %d more like it before)", n)
	}
	s.last[kind], s.quiet[kind] = now, 0
	s.log(line)
}
