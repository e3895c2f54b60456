package rootsvc_test

import (
	"testing"

	"github.com/landfast/landfast/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
